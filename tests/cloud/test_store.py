"""The register on disk and the settings behind it: what is read back is what was written, at any moment of the log."""

import json
from pathlib import Path

import numpy as np
import pytest
from davylamp_alarms.definition import Kind, Priority, guarded_priority
from davylamp_cloud.introduction import described
from davylamp_cloud.settings import Settings, alarm_defs, differences, settings_of, templates_of
from davylamp_cloud.store import schema
from davylamp_cloud.store.register import load_register
from davylamp_cloud.store.snapshots import Snapshot, packed, unpacked
from davylamp_wire.point import Limit, LimitKind, Point
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from support.host import host
from support.speaker import SOURCE, Speaker, gas_point, limit


def test_a_gas_detector_gets_its_limits_over_range_and_what_tells_that_it_is_blind() -> None:
    settings = settings_of(gas_point(), "cl2-store")
    alarms = alarm_defs("p/e/s/gas", 7, "p/e", templates_of(settings))
    found = {alarm.kind: alarm for alarm in alarms}
    assert set(found) == {Kind.L1, Kind.L2, Kind.OVER_RANGE, Kind.FAULT, Kind.STALE}
    assert found[Kind.L2].id == "p/e/s/gas#L2"
    assert (found[Kind.L2].priority, found[Kind.L1].priority) == (Priority.RED, Priority.YELLOW)
    assert found[Kind.OVER_RANGE].latch
    assert {alarm.group for alarm in alarms} == {"p"}
    assert {alarm.tag for alarm in alarms} == {7}


def test_s12_blindness_is_as_loud_as_what_it_guards() -> None:
    quiet = settings_of(Point(zh="位", en="level", unit="m", limits={LimitKind.H: limit(1.0)}), "tank")
    found = {alarm.kind: alarm.priority for alarm in templates_of(quiet)}
    assert found[Kind.STALE] == found[Kind.H] == Priority.YELLOW
    loud = {alarm.kind: alarm.priority for alarm in templates_of(settings_of(gas_point(), "tank"))}
    assert loud[Kind.STALE] == loud[Kind.FAULT] == Priority.RED


def test_s12_a_warning_makes_what_is_not_seen_no_quieter() -> None:
    trend = {"settings": {"horizon_s": 60, "high": 9.0}, "source": SOURCE}
    fields = {"zh": "位", "en": "level", "unit": "m", "required": True, "warnings": {"trend": trend}}
    templates = templates_of(settings_of(Point.model_validate(fields), "tank"))
    assert Kind.TREND in {alarm.kind for alarm in templates}
    assert guarded_priority(templates) == Priority.YELLOW


def test_a_point_that_guards_nothing_has_no_alarm_when_it_is_blind() -> None:
    assert templates_of(settings_of(Point(zh="阀", en="valve", unit="", kind="status"), "tank")) == ()


def test_a_profile_may_raise_a_priority() -> None:
    point = Point(zh="位", en="level", unit="m", limits={LimitKind.H: limit(1.0, priority="red")})
    assert {alarm.kind: alarm.priority for alarm in templates_of(settings_of(point, "tank"))}[Kind.H] == Priority.RED


LIMITS = st.dictionaries(
    st.sampled_from(["L", "H"]), st.builds(lambda v: Limit(value=v, source=SOURCE), st.floats(0, 1)), max_size=2
)
SETTINGS = st.builds(
    lambda limits, unit, silence: Settings(hazard_source="t", unit=unit, silence_s=silence, limits=limits),
    LIMITS,
    st.sampled_from(["m", "bar"]),
    st.floats(1, 60),
)


@given(SETTINGS, SETTINGS)
def test_two_settings_differ_exactly_where_a_field_or_limit_does(one: Settings, other: Settings) -> None:
    named = differences(one, other)
    assert bool(named) == (one != other)
    assert [(name, new, old) for name, old, new in named] == differences(other, one)


def test_a_register_is_had_again_as_it_was_after_any_record(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth())
        running.settle()
        before = running.log.last_seq
        edge.points = {"gas": gas_point(limits={"L1": limit(0.7)}), "new": gas_point()}
        edge.now_ms += 1000
        running.hear(*edge.birth())
        running.settle()
        proposal = running.state.rows(select(schema.PROPOSALS))[0]
        proposed = running.log.last_seq
        running.change("accept", proposal=proposal["id"], second="wang")
        old, middle, now = (load_register(running.state, seq) for seq in (before, proposed, running.log.last_seq))
    assert (len(old), len(middle), len(now)) == (1, 2, 2)
    assert [len(register.proposals) for register in (old, middle, now)] == [0, 1, 0]
    assert [register.tags[0].settings.limits[LimitKind.L1].value for register in (old, middle, now)] == [1.0, 1.0, 0.7]
    assert now.guarded("cl2-store") == now.guarded("cl2-store", "park/edge-1", "store") == 2


def test_what_a_snapshot_has_of_what_is_guarded_is_what_would_be_counted(tmp_path: Path) -> None:
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth())
        running.settle()
        last = running.log.last_seq
        counted = load_register(running.state, last)
        told = load_register(running.state, last, guarding=counted.guarding())
        lived = running.monitor.examine(lambda evaluator: evaluator.register.guarding())
    assert json.loads(told.guarding()) == json.loads(counted.guarding()) == json.loads(lived)
    assert told.guarded("cl2-store", "park/edge-1", "store") == 1


def test_snapshots_keep_arrays_and_bytes_apart() -> None:
    snapshot: Snapshot = {"a/b": np.arange(3), "text": b"{}", "none": np.empty(0, np.uint8), "empty": b""}
    again = unpacked(packed(snapshot))
    assert again["text"] == b"{}"
    assert again["empty"] == b""
    assert np.array_equal(np.asarray(again["a/b"]), np.arange(3))
    assert isinstance(again["none"], np.ndarray)


def test_a_description_with_a_bad_point_names_it() -> None:
    with pytest.raises(ValueError, match="points"):
        described('{"name": "s", "profile": "p", "hazard_source": "h", "zh": "a", "en": "b", "points": {"x": {}}}')
    with pytest.raises(ValueError, match="profile"):
        described('{"name": "s"}')
    with pytest.raises(ValueError, match=r"JSON|json"):
        described("junk")


def test_a_start_looks_for_records_set_aside_by_their_number_alone(tmp_path: Path) -> None:
    with host(tmp_path) as running, running.state.reading() as connection:
        query = "EXPLAIN QUERY PLAN SELECT seq FROM audit WHERE action = 'record set aside' AND seq > 7"
        plan = [row[3] for row in connection.exec_driver_sql(query)]
    assert plan == ["SEARCH audit USING INDEX audit_by_seq (seq>?)"]


def test_s26_what_is_committed_is_on_the_disk_itself(tmp_path: Path) -> None:
    """SIGKILL cannot show it, only a power cut can: SQLite waits for the disk with each commit (2, FULL)."""
    with host(tmp_path) as running, running.state.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
