"""A backtest over a cloud's own log: what it said at the time, beside what other limits would have made it say.

The evaluation is the monitor's own (evaluate.py), from the newest snapshot before the span on, and with everything the
log has: readings, births, links, ticks, and what persons did. Only reading connections are used, so that it may run
beside the cloud.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from davylamp_alarms.backtest.envelope import Envelope
from davylamp_alarms.backtest.outcome import Listener, Outcome
from davylamp_alarms.backtest.run import Said
from davylamp_alarms.backtest.trial import beside
from davylamp_wire.config import ConfigError, Mistake, mistaken
from davylamp_wire.point import Text

from davylamp_cloud.backtest.answer import Answer, Source
from davylamp_cloud.backtest.asked import Asked, meant
from davylamp_cloud.backtest.csv_file import Progress
from davylamp_cloud.backtest.hearing import listener_at
from davylamp_cloud.backtest.laid import Sees
from davylamp_cloud.backtest.rules import NO_RULES, Rules
from davylamp_cloud.backtest.stored import said_between
from davylamp_cloud.backtest.tried import Tried
from davylamp_cloud.backtest.unseen import Unseen
from davylamp_cloud.log import Log
from davylamp_cloud.replay import moment, slices
from davylamp_cloud.store.state import State
from davylamp_cloud.store.writes import load_set_aside


@dataclass(frozen=True, slots=True)
class Stretch:
    """Of the log the records after `start` up to `end`, and the host times they are from and to."""

    start: int
    end: int
    from_ms: int
    to_ms: int


class NoRecords(ConfigError):
    """The log has nothing of the span that was asked for."""


def over_log(log: Log, state: State, asked: Asked, told: Progress) -> Answer:
    """Return what rules would have changed.

    Raises:
        ConfigError: A rule is wrong, or nothing happened in that span (NoRecords); the message says what to do.
        TooOld: Neither snapshot nor log reaches back that far.
    """
    about = meant(state, asked)
    runs = _Runs(log, state, _stretch(log, state, asked.from_ms, asked.to_ms), asked.sees)
    if asked.against is NO_RULES:
        before, was = runs.as_it_was(), None
        after, tried = runs.under(asked.rules, told, about.envelope)
    else:
        before, was = runs.under(asked.against, lambda done: told(done / 2))
        after, tried = runs.under(asked.rules, lambda done: told(0.5 + done / 2), about.envelope)
    return Answer(
        origin=str(log.path.parent),
        source=Source.LOG,
        trial=beside(before, after),
        readings=tried.readings,
        names=about.names,
        units=about.units,
        before=tried.laid.before if was is None else was.laid.after,
        after=tried.laid.after,
        notes=tuple(_unmet(before, after)),
        courses=about.courses,
    )


def _unmet(before: Outcome, after: Outcome) -> Iterator[Text]:
    """Say of what persons did that it found no alarm under the tried rules, for the figures are higher by it."""
    if (count := before.acts - after.acts) > 0:
        yield Text(
            zh=f"当时有 {count} 次确认、搁置等操作在新规则下找不到同一次报警："
            "这些报警按无人处理计，会再次响起，并计入报警数",
            en=f"{count} acknowledgement(s), shelvings and the like met no such occurrence under the tried rules: those"
            " alarms count as if nobody had acted, sound again, and are counted again",
        )


def _stretch(log: Log, state: State, from_ms: int, to_ms: int) -> Stretch:
    start, end = log.seq_at(from_ms - 1), min(state.cursor(), log.seq_at(to_ms - 1))
    if end > start:
        first, last = log.read(start, 1)[0], log.read(end - 1, 1)[0]
        return Stretch(start, end, max(from_ms, first.time_ms), min(to_ms, last.time_ms + 1))
    raise NoRecords(
        [
            Mistake(
                "log: has no records in this span; name another",
                "日志：该时间段没有记录；请另选时间",
            )
        ]
    )


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs through one stretch of a log."""

    log: Log
    state: State
    of: Stretch
    sees: Sees

    def as_it_was(self) -> Outcome:
        """Return what came of what the cloud said: nothing is evaluated but what stood at the beginning."""
        listener = listener_at(moment(self.log, self.state, Unseen(), self.of.start).engine, self.sees)
        return self._heard(listener, said_between(self.state, self.of.start, self.of.end))

    def under(self, rules: Rules, told: Progress, envelope: Envelope | None = None) -> tuple[Outcome, Tried]:
        """Return what comes of the stretch under rules; the envelope takes its readings."""
        evaluator = moment(self.log, self.state, Unseen(), self.of.start)
        listener = listener_at(evaluator.engine, self.sees)
        tried = Tried(evaluator, rules, self.of.start, self.of.from_ms, self.sees)
        tried.envelope = envelope
        said = said_under(tried, self.log, self.state, self.of, told)
        return self._heard(listener, chain(tried.begun, said)), tried

    def _heard(self, listener: Listener, said: Iterable[Said]) -> Outcome:
        for one in said:
            if self.sees(one.transition.hazard_source):
                listener.hear(one)
        return listener.outcome(self.of.from_ms, self.of.to_ms)


def said_under(tried: Tried, log: Log, state: State, of: Stretch, told: Progress) -> Iterator[Said]:
    """Yield what a stretch of the log leads to; records that were set aside at the time are set aside now.

    Raises:
        ConfigError: The log was trimmed meanwhile.
    """
    with state.reading() as connection:
        aside = load_set_aside(connection, of.start)
    at = of.start
    for records in slices(log, of.start, of.end):
        if records[0].seq != at + 1:
            gone = (at + 1, records[0].seq - 1)
            raise mistaken(
                f"log: records {gone[0]} to {gone[1]} are gone; begin later",
                f"日志：第 {gone[0]} 至 {gone[1]} 条记录已清除；请把开始时间推后",
            )
        at = records[-1].seq
        yield from tried.take([record for record in records if record.seq not in aside])
        told((at - of.start) / (of.end - of.start))
