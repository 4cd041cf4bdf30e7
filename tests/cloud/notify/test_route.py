"""Who is told, and in which words."""

import json
from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud.notify.heartbeat import SILENT_AFTER_S, beat
from davylamp_cloud.notify.queue import RANKS
from davylamp_cloud.notify.route import NOTICE, body_of, envelope, iso, outbox_rows, receivers_of
from hypothesis import given
from hypothesis import strategies as st
from support.outbox import step
from support.receiver import config_of

COLOURS = ("government", "emergency", "warning")


def test_regulators_receive_red_and_orange_by_default(tmp_path: Path) -> None:
    regulator = config_of("regulator", "http://127.0.0.1:1/x", tmp_path)
    told = [priority for priority in RANKS if receivers_of(priority, "cl2", [regulator])]
    assert told == ["red", "orange"]


def test_a_receiver_may_want_some_hazard_sources_only(tmp_path: Path) -> None:
    one = config_of("one", "http://127.0.0.1:1/x", tmp_path, hazard_sources=("cl2",))
    everyone = config_of("all", "http://127.0.0.1:1/x", tmp_path)
    assert [r.name for r in receivers_of("red", "cl2", [one, everyone])] == ["one", "all"]
    assert [r.name for r in receivers_of("red", "lpg", [one, everyone])] == ["all"]


def test_each_receiver_gets_a_row_with_the_same_body(tmp_path: Path) -> None:
    receivers = [config_of(name, "http://127.0.0.1:1/x", tmp_path) for name in ("a", "b")]
    rows = outbox_rows(step(7), receivers, created_ms=5)
    assert [row["receiver"] for row in rows] == ["a", "b"]
    assert {row["transition"] for row in rows} == {"cl2-7"}
    assert len({row["body"] for row in rows}) == 1
    assert outbox_rows(step(7, "blue"), receivers, created_ms=5) == []


@pytest.mark.parametrize("priority", RANKS)
@pytest.mark.parametrize("event", ["raised", "cleared", "acknowledged", "shelved"])
def test_s21_no_notice_borrows_a_government_colour(priority: str, event: str) -> None:
    said = json.loads(body_of(step(1, priority, event=event)))
    assert said["type"] == f"alarm.{event}"
    assert (said["data"]["scheme"], said["data"]["level"]) == ("monitoring", priority)
    assert said["data"]["notice"] == NOTICE
    assert "非事故报告" in NOTICE
    assert not {"Extreme", "Evacuate", "Shelter"} & set(json.dumps(said).split('"'))


def test_s21_the_scheme_cannot_be_overruled_by_what_is_sent_along() -> None:
    said = json.loads(body_of(step(1, scheme="government", level="I", notice="")))
    assert (said["data"]["scheme"], said["data"]["level"], said["data"]["notice"]) == ("monitoring", "red", NOTICE)


@pytest.mark.parametrize("silent_s", [0.0, SILENT_AFTER_S])
def test_s21_a_sign_of_life_is_no_accident_report_either(silent_s: float) -> None:
    said = json.loads(beat("park", 1, 41, silent_s, 0).body)
    assert said["data"]["notice"] == NOTICE


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES), st.integers())
def test_every_body_is_json_a_strict_receiver_can_read(data: dict[str, Any], time_ms: int) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    said = json.loads(envelope("alarm.raised", time_ms, data), parse_constant=refuse)
    assert set(said) == {"type", "timestamp", "data"}


def test_timestamps_are_iso_8601_in_utc() -> None:
    assert iso(1_700_006_400_007) == "2023-11-15T00:00:00.007Z"
    assert iso(-1) == "1969-12-31T23:59:59.999Z"
    assert iso(1 << 62) == str(1 << 62)
