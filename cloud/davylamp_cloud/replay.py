"""Start: the last snapshot, replayed to where the monitor had committed, compared with what is stored.

What a replay brings forth is not stored and not told again. Where it differs, the stored transition wins, an alarm of
the monitoring system says so, and start-up goes on (DESIGN, "The engine is a function of the log").
"""

import gc
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from davylamp_alarms.book import occurrence_number
from davylamp_alarms.definition import Register as EngineRegister
from davylamp_alarms.engine import Engine
from davylamp_alarms.performance.watch import Performance
from davylamp_alarms.transition import Transition
from davylamp_wire.config import ConfigError
from davylamp_wire.point import COMM_OK
from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from davylamp_cloud.chain import Head, canonical
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.live import Live
from davylamp_cloud.log import Log, Record
from davylamp_cloud.receipts import newest_told
from davylamp_cloud.register import Register
from davylamp_cloud.settings import tag_def
from davylamp_cloud.store import schema
from davylamp_cloud.store.performance import last_numbers
from davylamp_cloud.store.register import described_by, load_register
from davylamp_cloud.store.snapshots import Snapshot, load_snapshot, oldest_between
from davylamp_cloud.store.state import State
from davylamp_cloud.store.writes import load_heads, load_set_aside
from davylamp_cloud.tags import lost_tag

LOG = structlog.get_logger()

SLICE = 2000
LOOK_BACK_MS = 600_000
"""So much of the log is evaluated anew where state.db is lost: longer than any living tag is silent."""

BIRTHS = "births"
"""The snapshot's part with the birth each node and device said last."""

GUARDING = "guarding"
"""The snapshot's part with what devices and links guard."""

PERFORMANCE = "performance"
"""The snapshot's part with what is known of chatter, floods and first-outs."""


@dataclass(frozen=True, slots=True)
class Restored:
    """Where the monitor goes on. `differences` is empty where the replay agreed with what is stored.

    `cold` says that the engine knows nothing of what stood: neither a snapshot nor the log could tell it; `lost` that
    the records between state.db and what the log still has are gone.
    """

    evaluator: Evaluator
    heads: Mapping[str, Head]
    cursor: int
    replayed: int
    differences: tuple[str, ...]
    cold: bool = False
    lost: bool = False


def restore(log: Log, state: State, live: Live, shifts_ms: tuple[int, ...]) -> Restored:
    """Bring engine, register and live values to the monitor's committed cursor.

    Where the engine fails on what it once took, which only another version of it does, or where records of the log are
    gone, it starts without memory.
    """
    cursor = state.cursor()
    with state.reading() as connection, _without_gc():
        _number_tags_on(log, connection)
        heads = load_heads(connection)
        if (at := _beyond(log, cursor)) is not None:
            return _lost(connection, state, log, live, heads, at, shifts_ms)
        start, evaluator, cold = _begin(connection, state, log, live, cursor, shifts_ms)
        stored = _stored(connection, start, cursor)
        aside = load_set_aside(connection, start)
        try:
            made, replayed = _replay(evaluator, log, start, cursor, aside)
            if replayed < cursor - start:
                raise Hole(f"the log has {replayed} of {cursor - start} records")
            differences = tuple(compare(stored, made))
        except (sqlite3.Error, SQLAlchemyError, OSError):
            raise  # the disk's fault, not the engine's
        except Exception as error:
            LOG.exception("replay failed; starting without memory", first=start, last=cursor)
            evaluator, cold, replayed = _cold(connection, state, log, live, cursor, shifts_ms), True, 0
            differences = (f"replay from record {start} to {cursor} failed: {error!r}",)
        if cold or differences:
            _number_on(evaluator.engine, heads, connection)
        log.births.number_on((), max(evaluator.register.heard.values(), default=0))
    return Restored(evaluator, heads, cursor, replayed, differences, cold)


def _beyond(log: Log, cursor: int) -> int | None:
    """Return from where to go on where state.db is gone or too old for the log; None where it is not.

    The present is what counts, and in some minutes each tag that lives has said it: to evaluate days first would make
    every alarm wait (SAFETY S1), and tell of alarms long over as if they began now. What receivers were told of is
    behind: read again, a value from before an alarm would end it (S4).
    """
    first = log.first_seq
    if cursor + 1 >= first:
        return None
    newest = log.read(log.newest_seq - 1, 1)
    told = newest_told(log.deliveries(0))
    return max(first - 1, log.seq_at(newest[0].time_ms - LOOK_BACK_MS), told)


def _lost(
    connection: Connection,
    state: State,
    log: Log,
    live: Live,
    heads: Mapping[str, Head],
    at: int,
    shifts_ms: tuple[int, ...],
) -> Restored:
    """Return where to go on with what state.db knows, if anything, and nothing of what came between."""
    evaluator = _cold(connection, state, log, live, at, shifts_ms)
    _number_on(evaluator.engine, heads, connection)
    log.births.number_on((), max(evaluator.register.heard.values(), default=0))
    return Restored(evaluator, heads, at, 0, (), cold=True, lost=True)


def snapshot_of(evaluator: Evaluator) -> Snapshot:
    """Return the numeric state as it is after the newest record; the arrays are the caller's."""
    return {
        **evaluator.engine.snapshot(),
        **evaluator.live.dump(),
        BIRTHS: json.dumps(evaluator.register.heard).encode(),
        GUARDING: evaluator.register.guarding(),
        PERFORMANCE: evaluator.performance.dump(),
    }


class Hole(Exception):
    """Records are gone that came after the state to go on from: alarms that began in them would not be known (S4)."""


class TooOld(Exception):
    """Neither snapshot nor log reaches back that far; `earliest_ms` is the first moment that can be had again."""

    def __init__(self, earliest_ms: int) -> None:
        super().__init__(f"the oldest moment that can be had again is {earliest_ms}")
        self.earliest_ms = earliest_ms


def moment(log: Log, state: State, live: Live, seq: int) -> Evaluator:
    """Return engine and register as they were after the record `seq`: the newest snapshot before it, replayed to it.

    Raises:
        TooOld: What lies between was trimmed.
    """
    with state.reading() as connection:
        oldest = oldest_between(connection, log.first_seq - 1)
        if log.first_seq > 1 and (oldest is None or seq < oldest[0]):
            raise TooOld(oldest[1] if oldest else 0)
        start, evaluator, _ = _begin(connection, state, log, live, seq, ())
        aside = load_set_aside(connection, start)
    _replay(evaluator, log, start, seq, aside)
    return evaluator


@contextmanager
def _without_gc() -> Iterator[None]:
    """Keep the collector from walking a hundred thousand new tags again and again; none of them is garbage."""
    at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if at_work:
            gc.enable()


def compare(stored: Iterable[Mapping[str, Any]], made: Iterable[Transition]) -> Iterable[str]:
    """Yield a line for each hazard source whose replayed transitions are not the stored ones."""
    here: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    there: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    fields = Transition.__dataclass_fields__
    for data in stored:
        here[data["hazard_source"]].append(_as_made({name: data.get(name, f.default) for name, f in fields.items()}))
    for step in made:
        there[step.hazard_source].append(step.as_dict())
    for source in sorted(here.keys() | there.keys()):
        line = _first_difference(here[source], there[source])
        if line:
            yield f"{source}: {line}"


def _as_made(said: dict[str, Any]) -> dict[str, Any]:
    """Return a stored transition as the engine said it: without evidence where there is none, and without its unit."""
    evidence = said.pop("evidence")
    return {**said, "evidence": {k: v for k, v in evidence.items() if k != "unit"}} if evidence else said


def _first_difference(stored: Sequence[dict[str, Any]], made: Sequence[dict[str, Any]]) -> str | None:
    for one, other in zip(stored, made, strict=False):
        if canonical(one) != canonical(other):
            return f"transition {one['source_no']} is stored as {one['event']}, replayed as {other['event']}"
    if len(stored) == len(made):
        return None
    return f"{len(stored)} transitions are stored, {len(made)} came out of the replay"


def _begin(
    connection: Connection, state: State, log: Log, live: Live, cursor: int, shifts_ms: tuple[int, ...]
) -> tuple[int, Evaluator, bool]:
    """Return from where to replay, and with what: the newest snapshot's state, or nothing at the log's beginning.

    Where there is neither, that is the register alone, and True: what stood is not known.
    """
    found = load_snapshot(connection, cursor)
    if found is not None:
        seq, snapshot = found
        live.load(snapshot)
        register = load_register(state, seq, log.births.index, bytes(snapshot[GUARDING]))
        register.heard = json.loads(bytes(snapshot[BIRTHS]))
        engine = Engine.restore(snapshot)
        register.run = engine.run
        register.watch_switches(engine.masks().values())
        evaluator = Evaluator(engine, register, live, log)
        evaluator.performance = Performance.load(bytes(snapshot[PERFORMANCE]))
        return seq, evaluator, False
    if log.first_seq <= 1:
        return 0, Evaluator(Engine(EngineRegister(shifts_ms=shifts_ms)), Register(), live, log), False
    return cursor, _cold(connection, state, log, live, cursor, shifts_ms), True


def _cold(
    connection: Connection, state: State, log: Log, live: Live, cursor: int, shifts_ms: tuple[int, ...]
) -> Evaluator:
    """Return an evaluator that knows the register and nothing else."""
    register = load_register(state, cursor)
    register.heard = described_by(connection)
    evaluator = Evaluator(Engine(engine_register(register, shifts_ms)), register, live, log)
    evaluator.performance.number_on(*last_numbers(connection))
    return evaluator


def engine_register(register: Register, shifts_ms: tuple[int, ...]) -> EngineRegister:
    """Return a whole register as the engine takes it at a cold start."""
    return EngineRegister(
        tuple(tag_def(tag.tag_id, tag.node, tag.settings) for tag in register.tags),
        (*(alarm for tag in register.tags for alarm in register.alarms_of(tag)), *register.links()),
        shifts_ms,
        groups=tuple(group for tag in register.tags if tag.point == COMM_OK for group in register.groups_of(tag)),
    )


def _replay(
    evaluator: Evaluator, log: Log, start: int, cursor: int, aside: frozenset[int]
) -> tuple[list[Transition], int]:
    """Return the transitions that records after `start` make, and how many records there were."""
    made: list[Transition] = []
    taken = 0
    for records in slices(log, start, cursor):
        taken += len(records)
        sound = [record for record in records if record.seq not in aside]
        made += [step.transition for step in evaluator.take(sound).steps] if sound else []
    return made, taken


def slices(log: Log, after: int, upto: int) -> Iterator[list[Record]]:
    """Yield the records after one number up to another, so many at a time; records may be missing."""
    at = after
    while at < upto:
        records = [record for record in log.read(at, min(SLICE, upto - at)) if record.seq <= upto]
        if not records:
            return
        at = records[-1].seq
        yield records


def _stored(connection: Connection, after: int, upto: int) -> list[dict[str, Any]]:
    table = schema.TRANSITIONS
    query = select(table.c.body).where(table.c.seq > after, table.c.seq <= upto)
    rows = connection.execute(query.order_by(table.c.hazard_source, table.c.source_no))
    return [json.loads(row.body) for row in rows]


def _number_tags_on(log: Log, connection: Connection) -> None:
    """Let a log that was lost, or is older than state.db, number tags as they are known (SAFETY S4).

    Otherwise the first device to be born again would take the numbers of others, and its readings end their alarms.
    """
    table = schema.TAGS
    _check_numbers(log, connection)
    unknown = select(table.c.tag_id).where(table.c.idx >= len(log.births)).order_by(table.c.idx)
    if names := connection.execute(unknown).scalars().all():
        LOG.warning("the log does not know tags of state.db; it numbers on from them", tags=len(names))
        log.number_on(names, 0)


def _check_numbers(log: Log, connection: Connection) -> None:
    """Refuse files that mean different tags by one number: each reading would raise and end another tag's alarms.

    Both only grow, so the last number they share tells.
    """
    table, shared = schema.TAGS, len(log.births) - 1
    row = connection.execute(select(table.c.idx, table.c.tag_id).where(table.c.idx <= shared)
                             .order_by(table.c.idx.desc()).limit(1)).first()  # fmt: skip
    if row is None or lost_tag(row.idx) in (row.tag_id, log.births.tag_ids[row.idx]):
        return
    if log.births.tag_ids[row.idx] != row.tag_id:
        raise ConfigError(
            [
                f"{log.path.parent}: log.db and state.db are not of one cloud: tag {row.idx} is "
                f"{log.births.tag_ids[row.idx]} in one and {row.tag_id} in the other. Put back both of one backup "
                "(davylamp-cloud restore); nothing was changed"
            ]
        )


def _number_on(engine: Engine, heads: Mapping[str, Head], connection: Connection) -> None:
    """Have the engine give no number that was given before (SAFETY S23)."""
    occurrences: defaultdict[str, int] = defaultdict(int)
    table = schema.TRANSITIONS
    for source, occurrence in connection.execute(select(table.c.hazard_source, table.c.occurrence).distinct()):
        occurrences[source] = max(occurrences[source], occurrence_number(occurrence))
    for source, head in heads.items():
        if not source.startswith("#"):
            engine.number_on(source, head.number, occurrences[source])
