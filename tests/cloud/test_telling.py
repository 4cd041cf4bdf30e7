"""The sentences of alarms: complete in both languages for everything the engine can say (SAFETY S24)."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from davylamp_alarms.definition import Kind, Priority
from davylamp_alarms.transition import Condition, Event, Lane, Letter, Transition
from davylamp_cloud.handling import general
from davylamp_cloud.telling import EVENTS, KINDS, LEVELS, Subject, tell
from davylamp_wire.point import Text

SHANGHAI = timezone(timedelta(hours=8))
STEP = Transition(
    seq=1, hazard_source="tank-farm", source_no=1, occurrence="tank-farm-1", version=1, alarm_id="a#HH", lane=Lane.LIVE,
    tag="park/e/tank/level", kind=Kind.HH, priority=Priority.ORANGE, event=Event.RAISED, condition=Condition.ACTIVE,
    quality=0, acknowledged=False, latched=False, suppressions=(), letter=Letter.B, value=9.25, limit=9.0,
    time_ms=1_760_000_000_000, due_ms=None, raised_ms=1_760_000_000_000, late=False, late_until_ms=None, scan_ms=1000,
    actor="", comment="",
)  # fmt: skip
TANK = Subject("tank-farm", Text(zh="一号罐", en="tank 1"), Text(zh="液位", en="level"), "1#LT-1101/A", "m")


def test_every_kind_event_and_level_has_words_in_both_languages() -> None:
    assert set(KINDS) == set(Kind)
    assert set(EVENTS) == set(Event)
    assert set(LEVELS) == set(Priority)


def test_s24_the_sentence_of_a_high_level() -> None:
    text = tell(STEP, TANK, SHANGHAI)
    assert text.zh == (
        "监测报警·橙 · tank-farm 一号罐 · 液位（1#LT-1101/A） · 高高限报警 · 9.25 m ≥ 9 m · "
        "自 2025-10-09 16:53:20 起 · 立即核实现场，按处置卡操作"
    )
    assert text.en == (
        "MONITORING ORANGE · tank-farm tank 1 · level (1#LT-1101/A) · high-high: raised · 9.25 m ≥ 9 m · "
        "since 2025-10-09 16:53:20 · Check the field now and follow the handling card"
    )


def test_a_moment_no_calendar_has_is_told_as_its_number() -> None:
    said = tell(replace(STEP, raised_ms=1 << 62, late=True, late_until_ms=1 << 62), TANK, SHANGHAI)
    assert f"occurred {(1 << 62) // 1000} s–{(1 << 62) // 1000} s during link loss" in said.en


def test_the_profiles_own_first_thing_to_do_comes_first() -> None:
    action = Text(zh="停进料泵 P-101", en="stop feed pump P-101")
    handling = replace(general(Kind.HH), action=action)
    assert tell(STEP, replace(TANK, handling=handling)).en.endswith("stop feed pump P-101")


@pytest.mark.parametrize(
    ("kind", "value", "limit", "sign"),
    [(Kind.L, 0.5, 1.0, "≤"), (Kind.L, 1.5, 1.0, ">"), (Kind.H, 9.5, 9.0, "≥"), (Kind.H, 8.0, 9.0, "<")],
)
def test_the_value_stands_against_its_limit_on_the_side_it_is_on(
    kind: Kind, value: float, limit: float, sign: str
) -> None:
    assert f"{value:g} m {sign} {limit:g} m" in tell(replace(STEP, kind=kind, value=value, limit=limit), TANK).en


def test_s12_blindness_says_how_much_is_not_seen_and_shows_no_value() -> None:
    step = replace(STEP, kind=Kind.COMM, value=0.0, limit=0.5)
    text = tell(step, replace(TANK, lost=4, guarded=6))
    assert "BLIND: 4 of 6 points lost" in text.en
    assert "失去监视：6 个测点中 4 个" in text.zh
    assert "0.5" not in text.en


def test_s05_a_late_excursion_says_from_when_to_when() -> None:
    step = replace(STEP, late=True, lane=Lane.LATE, late_until_ms=STEP.raised_ms + 65_000)
    assert "occurred 2025-10-09 08:53:20–08:54:25 during link loss, check the field" in tell(step, TANK).en


def test_s21_no_text_orders_an_evacuation_or_names_a_government_colour() -> None:
    for kind in Kind:
        for event in Event:
            text = tell(replace(STEP, kind=kind, event=event), TANK)
            assert "疏散" not in text.zh
            assert "预警" not in text.zh
            assert "vacuat" not in text.en
