"""Start: the last snapshot, replayed to where the monitor had committed, compared with what is stored.

What a replay brings forth is not stored and not told again. Where it differs, the stored transition wins, an alarm of
the monitoring system says so, and start-up goes on (DESIGN, "The engine is a function of the log").
"""

import gc
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from davylamp_alarms.definition import Register as EngineRegister
from davylamp_alarms.engine import Engine
from davylamp_alarms.performance.watch import Performance
from davylamp_alarms.transition import Transition
from davylamp_wire.profile import COMM_OK
from sqlalchemy import Connection, select

from davylamp_cloud.chain import Head, canonical
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.live import Live
from davylamp_cloud.log import Log
from davylamp_cloud.register import Register
from davylamp_cloud.settings import tag_def
from davylamp_cloud.store import schema
from davylamp_cloud.store.performance import last_numbers
from davylamp_cloud.store.register import described_by, load_register
from davylamp_cloud.store.snapshots import Snapshot, load_snapshot, oldest_between
from davylamp_cloud.store.state import State
from davylamp_cloud.store.writes import load_heads, load_set_aside

SLICE = 2000
BIRTHS = "births"
"""The snapshot's part with the birth each node and device said last."""

PERFORMANCE = "performance"
"""The snapshot's part with what is known of chatter, floods and first-outs."""

BOOK = "book"
"""The snapshot's part with the numbers given to transitions and occurrences (davylamp_alarms.snapshot)."""


@dataclass(frozen=True, slots=True)
class Restored:
    """Where the monitor goes on. `differences` is empty where the replay agreed with what is stored."""

    evaluator: Evaluator
    heads: Mapping[str, Head]
    cursor: int
    replayed: int
    differences: tuple[str, ...]


def restore(log: Log, state: State, live: Live, shifts_ms: tuple[int, ...]) -> Restored:
    """Bring engine, register and live values to the monitor's committed cursor."""
    cursor = state.cursor()
    with state.reading() as connection, _without_gc():
        heads = load_heads(connection)
        start, evaluator = _begin(connection, state, log, live, cursor, shifts_ms)
        stored = _stored(connection, start, cursor)
        aside = load_set_aside(connection, start)
    made, replayed = _replay(evaluator, log, start, cursor, aside)
    differences = tuple(compare(stored, made))
    if differences:
        evaluator.engine = _numbered_on(evaluator.engine, heads, state)
    return Restored(evaluator, heads, cursor, replayed, differences)


def snapshot_of(evaluator: Evaluator) -> Snapshot:
    """Return the numeric state as it is after the newest record; the arrays are the caller's."""
    return {
        **evaluator.engine.snapshot(),
        **evaluator.live.dump(),
        BIRTHS: json.dumps(evaluator.register.heard).encode(),
        PERFORMANCE: evaluator.performance.dump(),
    }


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
        start, evaluator = _begin(connection, state, log, live, seq, ())
        aside = load_set_aside(connection, start)
    _replay(evaluator, log, start, seq, aside)
    return evaluator


@contextmanager
def _without_gc() -> Iterator[None]:
    """Keep the collector from walking a hundred thousand new tags again and again; none of them is garbage."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def compare(stored: Iterable[Mapping[str, Any]], made: Iterable[Transition]) -> Iterable[str]:
    """Yield a line for each hazard source whose replayed transitions are not the stored ones."""
    here: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    there: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    fields = Transition.__dataclass_fields__
    for data in stored:
        here[data["hazard_source"]].append({name: data.get(name, field.default) for name, field in fields.items()})
    for step in made:
        there[step.hazard_source].append(step.as_dict())
    for source in sorted(here.keys() | there.keys()):
        line = _first_difference(here[source], there[source])
        if line:
            yield f"{source}: {line}"


def _first_difference(stored: Sequence[dict[str, Any]], made: Sequence[dict[str, Any]]) -> str | None:
    for one, other in zip(stored, made, strict=False):
        if canonical(one) != canonical(other):
            return f"transition {one['source_no']} is stored as {one['event']}, replayed as {other['event']}"
    if len(stored) == len(made):
        return None
    return f"{len(stored)} transitions are stored, {len(made)} came out of the replay"


def _begin(
    connection: Connection, state: State, log: Log, live: Live, cursor: int, shifts_ms: tuple[int, ...]
) -> tuple[int, Evaluator]:
    """Return the newest snapshot's state; without one the beginning, or the register alone where the log is trimmed."""
    found = load_snapshot(connection, cursor)
    if found is not None:
        seq, snapshot = found
        live.load(snapshot)
        register = load_register(state, seq, log.births.index)
        register.heard = json.loads(bytes(snapshot[BIRTHS])) if BIRTHS in snapshot else described_by(connection)
        engine = Engine.restore(snapshot)
        register.watch_switches(engine.masks().values())
        evaluator = Evaluator(engine, register, live, log)
        evaluator.performance = Performance.load(bytes(snapshot[PERFORMANCE]))
        return seq, evaluator
    if log.first_seq <= 1:
        return 0, Evaluator(Engine(EngineRegister(shifts_ms=shifts_ms)), Register(), live, log)
    register = load_register(state, cursor)
    register.heard = described_by(connection)
    engine = _numbered_on(Engine(engine_register(register, shifts_ms)), load_heads(connection), state)
    evaluator = Evaluator(engine, register, live, log)
    evaluator.performance.number_on(*last_numbers(connection))
    return cursor, evaluator


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
    made: list[Transition] = []
    at = start
    while at < cursor:
        records = log.read(at, min(SLICE, cursor - at))
        records = [record for record in records if record.seq <= cursor]
        if not records:
            break
        at = records[-1].seq
        sound = [record for record in records if record.seq not in aside]
        made += [step.transition for step in evaluator.take(sound).steps] if sound else []
    return made, at - start


def _stored(connection: Connection, after: int, upto: int) -> list[dict[str, Any]]:
    table = schema.TRANSITIONS
    query = select(table.c.body).where(table.c.seq > after, table.c.seq <= upto)
    rows = connection.execute(query.order_by(table.c.hazard_source, table.c.source_no))
    return [json.loads(row.body) for row in rows]


def _numbered_on(engine: Engine, heads: Mapping[str, Head], state: State) -> Engine:
    """Return the engine with numbers beyond every stored one: none is ever given twice (SAFETY S23)."""
    snapshot: Snapshot = dict(engine.snapshot())
    book = json.loads(bytes(snapshot[BOOK]))
    for source, head in heads.items():
        if not source.startswith("#"):
            numbers = book["source_numbers"]
            numbers[source] = max(numbers.get(source, 0), head.number)
    with state.reading() as connection:
        table = schema.TRANSITIONS
        for row in connection.execute(select(table.c.hazard_source, table.c.occurrence).distinct()):
            numbers = book["occurrence_numbers"]
            number = int(row.occurrence.rsplit("-", 1)[1])
            numbers[row.hazard_source] = max(numbers.get(row.hazard_source, 0), number)
    snapshot[BOOK] = json.dumps(book).encode()
    return Engine.restore(snapshot)
