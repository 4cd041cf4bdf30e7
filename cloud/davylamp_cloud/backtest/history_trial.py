"""A backtest over stored history: months back, where the log was trimmed long ago.

The engine and its lifecycle are the live ones. What it is led through is what was kept, and that is less than the
log has. With the limits of then it says the same, apart from this:

- A reading counts when it was made. What came late (backlog) is there in time, and so is what came while the cloud
  was off. An edge whose clock was wrong is where its clock said.
- Ticks are made, one a second: what falls due has its own time all the same. A statistical rule sees of a tag that
  reports more often than that the newest of each second.
- An edge's link was not kept. It is lost once nothing is stored of the edge for twice its shortest silence.
- Nobody acknowledges, shelves, masks or takes out of service. So an alarm that comes again before somebody would have
  acknowledged it stays one occurrence, and nothing is hidden. Edits of limits, and births, are as they were.
- What edges decided themselves is decided here, and the alarms of the monitoring system itself are not there.
- It begins with the first reading of the hour before the span, knowing nothing: what stood for longer stands since
  then, and statistical rules that remember more than an hour (`adapt_s`) have not learnt yet.

Repeats that an edge held back are in neither.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from davylamp_alarms.backtest.envelope import Envelope
from davylamp_alarms.backtest.outcome import Listener, Outcome
from davylamp_alarms.backtest.past import Past as Records
from davylamp_alarms.backtest.past import nodes_of
from davylamp_alarms.backtest.run import Recorded, Said, take
from davylamp_alarms.backtest.ticks import TICK_MS
from davylamp_alarms.backtest.trial import beside
from davylamp_alarms.batch import Batch
from davylamp_alarms.engine import Engine
from davylamp_wire.config import mistaken
from davylamp_wire.point import Text

from davylamp_cloud.backtest.answer import Answer, Source
from davylamp_cloud.backtest.asked import Asked, meant
from davylamp_cloud.backtest.csv_file import Progress
from davylamp_cloud.backtest.hearing import listener_at
from davylamp_cloud.backtest.laid import Laid, Sees
from davylamp_cloud.backtest.past_register import Edit, edits_between, register_at, tags_by
from davylamp_cloud.backtest.rules import NO_RULES, Rules
from davylamp_cloud.historian.past import Past, Stretch
from davylamp_cloud.replay import engine_register
from davylamp_cloud.store.state import State

LEAD_MS = 3_600_000
"""So long before the span evaluation begins, so that delays run and windows are full."""

LACKS = Text(
    zh="按历史数据计算，而非日志：迟到的数据视为按时到达；每秒一个时钟节拍；无人确认、搁置或屏蔽；"
    "边缘通信按有无数据判断；开始前一小时预热",
    en="from history, not from the log: late readings count as if in time, a tick each"
    " second, nobody acknowledges, shelves or masks, links follow from silence, an hour of lead",
)


class Run:
    """One set of rules on its way through history. It hears nothing until the span begins."""

    def __init__(self, state: State, rules: Rules, begin_ms: int, sees: Sees) -> None:
        """Begin with the register as it was.

        Raises:
            ConfigError: A rule cannot be; the message names the tag.
        """
        self.register = register_at(state, begin_ms)
        self.engine = Engine(engine_register(self.register, ()))
        self.laid = Laid(self.engine, self.register, rules, sees)
        self.listener: Listener | None = None
        self._sees = sees
        self.laid.lay(self.register.tags, 0, begin_ms)

    def listen(self) -> None:
        """Hear what is said from here on."""
        self.listener = listener_at(self.engine, self._sees)

    def edit(self, edit: Edit, seq: int) -> None:
        """Let births and edits of then happen, and lay the rules over them."""
        if edit.born:
            self._hear(self.laid.change(self.register.take_on(edit.born, edit.at_ms), seq))
        for tag in edit.changed:
            changes = self.register.acceptance(self.register.tags[tag.idx], tag.settings, edit.at_ms)
            self.register.put(tag)
            self._hear(self.laid.change(changes, seq))
        edited = sorted(tag.idx for tag in (*edit.born, *edit.changed))
        self._hear(self.laid.lay([self.register.tags[idx] for idx in edited], seq, edit.at_ms))

    def take(self, record: Recorded) -> None:
        """Take what was stored."""
        known = _born(record, self.engine.tags) if isinstance(record, Batch) else record
        self._hear(take(self.engine, known))

    def end(self, from_ms: int, to_ms: int) -> Outcome:
        """Return what came of the span."""
        assert self.listener is not None
        return self.listener.outcome(from_ms, to_ms)

    def _hear(self, said: Iterable[Said]) -> None:
        if self.listener is not None:
            for one in said:
                if self._sees(one.transition.hazard_source):
                    self.listener.hear(one)


def _born(batch: Batch, tags: int) -> Batch:
    """Return what is said of tags that are born: backlog may be older than the birth that came before it."""
    if int(batch.tag.max()) < tags:
        return batch
    keep = batch.tag < tags
    return Batch(*(getattr(batch, name)[keep] for name in Batch.__slots__))


def over_history(past: Past, state: State, asked: Asked, told: Progress) -> Answer:
    """Return what rules would have changed over stored history, against others or the limits that were in force.

    Raises:
        ConfigError: A rule is wrong, or nothing was stored in that span; the message says what to do.
        HistorianUnavailable: The store does not answer.
    """
    about = meant(state, asked)
    from_ms, to_ms = asked.from_ms // TICK_MS * TICK_MS, -(-asked.to_ms // TICK_MS) * TICK_MS
    runs = [Run(state, rules, from_ms - LEAD_MS, asked.sees) for rules in (asked.against, asked.rules)]
    way = led(past, state, runs, (from_ms, to_ms), told, about.envelope)
    if not way.readings:
        raise mistaken(
            "history: no readings are stored of this span; name another",
            "历史数据：该时间段没有存储读数；请另选时间",
        )
    before, after = runs
    return Answer(
        origin=str(state.path.parent),
        source=Source.HISTORY,
        trial=beside(before.end(way.begun_ms, to_ms), after.end(way.begun_ms, to_ms)),
        readings=way.readings,
        names=about.names,
        units=about.units,
        before=after.laid.before if asked.against is NO_RULES else before.laid.after,
        after=after.laid.after,
        notes=(LACKS,),
        courses=about.courses,
    )


def led(
    past: Past,
    state: State,
    runs: Sequence[Run],
    span: tuple[int, int],
    told: Progress,
    envelope: Envelope | None = None,
) -> "Way":
    """Lead runs through a span, and what comes before it; return what was met on the way."""
    from_ms, to_ms = span
    begin_ms, tags = from_ms - LEAD_MS, tags_by(state, to_ms)
    way = Way(runs, deque(edits_between(state, begin_ms, to_ms)), from_ms, envelope)
    batches = _batches(past.stretches(range(len(tags)), begin_ms, to_ms), begin_ms, to_ms, told)
    way.lead(Records(nodes_of(tags), to_ms).records(batches))
    return way


@dataclass(slots=True)
class Way:
    """The way of runs through what was stored, from before a span to its end.

    `begun_ms` is when the span's first record was: history may begin after it was asked for.
    """

    runs: Sequence[Run]
    edits: deque[Edit]
    from_ms: int
    envelope: Envelope | None = None
    readings: int = 0
    begun_ms: int = 0

    def lead(self, records: Iterable[Recorded]) -> None:
        """Let the runs take every record, and edits at their time."""
        for record in records:
            at_ms = int(record.time_ms[0]) if isinstance(record, Batch) else record.at_ms
            while self.edits and self.edits[0].at_ms <= at_ms:
                self._edit(self.edits.popleft(), int(record.seq[0]) if isinstance(record, Batch) else record.seq)
            if at_ms >= self.from_ms:
                self._span(record, at_ms)
            for run in self.runs:
                run.take(record)

    def _edit(self, edit: Edit, seq: int) -> None:
        for run in self.runs:
            run.edit(edit, seq)

    def _span(self, record: Recorded, at_ms: int) -> None:
        """Hear what is said of the span's records, and count them."""
        if not self.begun_ms:
            self.begun_ms = at_ms
            for run in self.runs:
                run.listen()
        if isinstance(record, Batch):
            self.readings += len(record)
            if self.envelope is not None:
                self.envelope.take(record)


def _batches(stretches: Iterable[Stretch], begin_ms: int, to_ms: int, told: Progress) -> Iterator[Batch]:
    """Yield stretches as batches; records are numbered later."""
    for one in stretches:
        nothing = np.zeros(len(one), np.int64)
        yield Batch(
            nothing, one.tags, one.times_ms, one.values, one.qualities, np.zeros(len(one), np.bool_), one.times_ms
        )
        if len(one):
            told((int(one.times_ms[-1]) - begin_ms) / (to_ms - begin_ms))
