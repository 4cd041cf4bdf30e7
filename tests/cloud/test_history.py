"""Transitions as the KPIs' columns, read from an index alone: what reading them row by row gives as well."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pytest
from davylamp_alarms.definition import Kind, Priority
from davylamp_alarms.performance.heard import ACTS, Heard
from davylamp_alarms.performance.kpis import Columns, kpis
from davylamp_alarms.transition import Condition, Event, Lane, Letter, Suppression, Transition
from davylamp_cloud.store import schema
from davylamp_cloud.store.history import QUERY, History, history
from davylamp_cloud.store.state import State
from davylamp_cloud.store.what import PRIORITIES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

START_MS, HOUR_MS, DAY_MS = 1_760_000_000_000, 3_600_000, 86_400_000
ALARMS = (
    "park/e/d/p1#H",
    "park/e/d/p2#L1",
    "park/e#LINK@tank",
    "park",
    "park0/e/d/p1#H",
    "par/e/d/p1#H",
    "parking/e#H",
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A transition, and when its record arrived."""

    step: Transition
    at_ms: int


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    found = State(tmp_path_factory.mktemp("cloud") / "state.db")
    yield found
    found.close()


@st.composite
def stored(draw: st.DrawFn) -> list[Stored]:
    """Give transitions of any kind, some of one moment, and a clock that is now and then set back."""
    at_ms, found = START_MS, []
    gaps = st.sampled_from([0, 0, 1, 5_000, 20_000, HOUR_MS, 30 * HOUR_MS, -HOUR_MS])
    for number in range(1, draw(st.integers(0, 40)) + 1):
        at_ms += draw(gaps)
        found.append(Stored(_step(draw, number), at_ms))
    return found


def _step(draw: st.DrawFn, number: int) -> Transition:
    flag = st.booleans()
    hidden = draw(st.sampled_from([(), (), (Suppression.SHELVED,), (Suppression.BY_DESIGN, Suppression.SHELVED)]))
    return Transition(
        seq=draw(st.integers(max(1, number - 1), number)), hazard_source="tank", source_no=number, occurrence="tank-1",
        version=number, alarm_id=draw(st.sampled_from(ALARMS)), lane=draw(st.sampled_from(Lane)), tag="", kind=Kind.H,
        priority=draw(st.sampled_from(Priority)), event=draw(st.sampled_from([*Event, Event.RAISED, Event.CLEARED])),
        condition=draw(st.sampled_from(Condition)), quality=192, acknowledged=draw(flag), latched=draw(flag),
        suppressions=hidden, letter=Letter.B, value=None, limit=None, time_ms=0, due_ms=None, raised_ms=0, late=False,
        late_until_ms=None, scan_ms=1_000, actor="", comment="",
    )  # fmt: skip


def row(one: Stored) -> Mapping[str, Any]:
    plain = {name: value for name, value in one.step.as_dict().items() if name in schema.TRANSITIONS.c}
    more = {"id": one.step.id, "tag": -1, "tag_id": "", "at_ms": one.at_ms, "body": "", "prev_hash": "", "hash": ""}
    return {**plain, **more}


def store(state: State, found: Sequence[Stored]) -> None:
    with state.writing() as connection:
        connection.execute(schema.TRANSITIONS.delete())
        if found:
            connection.execute(schema.TRANSITIONS.insert(), [row(one) for one in found])


def twin(found: Sequence[Stored], position: str, from_ms: int, to_ms: int) -> History:
    """Take every transition from `from_ms` on as a listener hears it, in the order of the log."""
    heard = [Heard(one.at_ms, one.step) for one in found if from_ms <= one.at_ms < to_ms]
    own = sorted(
        (one for one in heard if one.position == position),
        key=lambda one: (one.at_ms, one.step.seq, one.step.source_no),
    )
    numbers = {name: at for at, name in enumerate(dict.fromkeys(one.step.alarm_id for one in own))}
    columns = Columns(
        np.array([one.at_ms for one in own], np.int64),
        np.array([numbers[one.step.alarm_id] for one in own], np.int64),
        np.array([PRIORITIES.index(one.step.priority.word) + 1 for one in own], np.int64),
        np.array([one.annunciated for one in own], np.bool_),
        np.array([one.live_raise for one in own], np.bool_),
        np.array([one.live_end for one in own], np.bool_),
        np.array([bool(one.step.suppressions) for one in own], np.bool_),
        np.array([one.step.event in ACTS for one in own], np.bool_),
    )
    return History(columns, tuple(numbers))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stored(), st.integers(-DAY_MS, 5 * DAY_MS), st.integers(1, 5 * DAY_MS), st.sampled_from([0, HOUR_MS, 9 * DAY_MS])
)
def test_kpis_from_the_index_are_those_of_every_transition_read_by_itself(
    state: State, found: list[Stored], start_h: int, span_ms: int, before_ms: int
) -> None:
    store(state, found)
    from_ms = START_MS + start_h * HOUR_MS
    to_ms = from_ms + span_ms
    with state.reading() as connection:
        read = history(connection, "park", from_ms, to_ms, from_ms - before_ms)
    plain = twin(found, "park", from_ms - before_ms, to_ms)
    assert read.alarms == plain.alarms
    assert asdict(kpis(read.columns, from_ms, to_ms)) == asdict(kpis(plain.columns, from_ms, to_ms))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stored())
def test_each_alarms_transitions_are_read_as_they_were_heard_in_the_order_of_the_log(
    state: State, found: list[Stored]
) -> None:
    store(state, found)
    with state.reading() as connection:
        read = history(connection, "park", 0, START_MS + 100 * DAY_MS, 0)
    plain = twin(found, "park", 0, START_MS + 100 * DAY_MS)
    order = np.argsort(plain.columns.alarm, kind="stable")
    for name in Columns.__dataclass_fields__:
        assert np.array_equal(getattr(read.columns, name), getattr(plain.columns, name)[order]), name


def test_the_query_reads_the_index_and_no_row(state: State) -> None:
    asked = dict.fromkeys(("position", "low", "high"), "park") | dict.fromkeys(("from_ms", "to_ms", "since_ms"), 0)
    with state.reading() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {QUERY.text}", asked).all()
        steps = connection.exec_driver_sql(f"EXPLAIN {QUERY.text}", asked).all()
    searches = [step.detail for step in plan if "transitions" in step.detail]
    assert len(searches) >= 4
    assert all("INDEX transitions_by_alarm" in step for step in searches)
    assert not [step for step in steps if step.p4 == "raised"], "what an index holds is not worked out again"
