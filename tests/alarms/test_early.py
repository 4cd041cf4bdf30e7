"""Statistical rules in the live engine: warnings of their own, beside the limits and never in their place."""

import json
from typing import Any

import pytest
from davylamp_alarms import warning as rules
from davylamp_alarms.batch import Batch
from davylamp_alarms.definition import WARNING_KINDS, AlarmDef, Kind, TagDef, said_rule
from davylamp_alarms.engine import Engine
from davylamp_alarms.told import EdgeSaid
from davylamp_alarms.transition import Transition
from davylamp_alarms.warning import Samples, Verdict
from davylamp_alarms.warning.rate import RateSettings, RateState
from davylamp_alarms.warning.rule import Places, StatisticalRule
from davylamp_wire.lint_warnings import RULES as NAMES
from davylamp_wire.quality import Reason, bad, uncertain
from support.plant import NODE, Plant, alarm, events, link_alarm, tag_def, warning

LEVEL, OTHER = tag_def("LT-1101", silence_ms=60_000), tag_def("LT-1102", silence_ms=60_000)
HH, H = alarm(LEVEL, 0, Kind.HH, 90, deadband=2), alarm(LEVEL, 0, Kind.H, 80, deadband=2)
TREND = warning(LEVEL, 0, Kind.TREND, {"samples": 12, "horizon_s": 60}, towards=["HH"])
RATE = warning(LEVEL, 0, Kind.RATE, {"window_s": 3, "limit": 60})


def plant(*warnings: AlarmDef) -> Plant:
    return Plant([LEVEL, OTHER], [HH, H, *warnings])


def fill(site: Plant, start: float, slope: float, seconds: int, quality: int = 0) -> list[Transition]:
    """Let a level rise by so much a second, a reading and a tick each second."""
    told = []
    for second in range(seconds):
        told += site.read(start + slope * second, quality=quality)
        told += site.tick()
    return told


def test_a_tank_that_fills_is_warned_of_before_its_limit_and_the_evidence_says_when() -> None:
    site = plant(TREND)
    told = fill(site, 40, 0.5, 110)
    assert events(told) == ["TREND raised B", "H raised B", "HH raised B"]
    warned, limit = told[0], told[2]
    said = warned.as_dict()["evidence"]
    lead_s = (limit.time_ms - warned.time_ms) / 1000
    assert lead_s == pytest.approx(60, abs=2)
    assert said["at_limit_in_s"] == pytest.approx(lead_s, abs=1.1)
    assert said["earliest_s"] <= said["at_limit_in_s"] <= said["latest_s"]
    assert (said["rule"], said["tag"], said["limit"], said["towards"]) == ("trend", LEVEL.id, 90, "HH")
    assert said["slope_per_min"] == pytest.approx(30)
    (began_ms, began), (now_ms, now) = said["line"]
    assert now_ms == warned.time_ms
    assert (now - began) / (now_ms - began_ms) == pytest.approx(0.0005)


TO_BOTH = warning(LEVEL, 0, Kind.TREND, {"samples": 12, "horizon_s": 60}, towards=["H", "HH"])


def towards(told: Transition) -> tuple[str, str | None]:
    """Return an event and which limit its evidence speaks of."""
    said = told.as_dict().get("evidence")
    return f"{told.kind} {told.event}", said.get("towards") if said else None


def test_a_trend_looks_at_the_next_limit_once_the_nearest_is_reached_and_tells_it() -> None:
    site = plant(TO_BOTH)
    told = fill(site, 50, 0.5, 90)
    assert [towards(t) for t in told] == [
        ("TREND raised", "H"), ("H raised", None), ("TREND updated", "HH"), ("HH raised", None),
    ]  # fmt: skip
    further = told[2].as_dict()["evidence"]
    assert further["limit"] == 90
    assert further["at_limit_in_s"] == pytest.approx(20, abs=1.1)
    assert (told[3].time_ms - told[2].time_ms) / 1000 == pytest.approx(20, abs=2)


def test_who_has_acknowledged_a_trend_hears_it_again_for_the_next_limit() -> None:
    site = plant(TO_BOTH)
    first = fill(site, 50, 0.5, 30)[-1]
    site.acknowledge(first)
    site.restart(1)
    assert [towards(t) for t in fill(site, 65, 0.5, 40)] == [("H raised", None), ("TREND re_alarmed", "HH")]


def test_a_limit_alarm_that_comes_and_goes_has_its_trend_told_once() -> None:
    site = Plant([LEVEL, OTHER], [HH, alarm(LEVEL, 0, Kind.H, 80), TO_BOTH])
    for second in range(60):
        site.read(69.7 + 0.3 * second + 0.3 * (-1) ** second)
        site.tick()
    told = [towards(t) for t in site.told]
    assert told.count(("H raised", None)) > 1
    assert [one for one in told if one[0].startswith("TREND")] == [("TREND raised", "H"), ("TREND updated", "HH")]


def test_a_trend_whose_next_limit_is_far_is_over_and_comes_again_for_that_limit() -> None:
    site = plant(TO_BOTH)
    told = fill(site, 75, 0.1, 80)
    assert [t[0] for t in map(towards, told)] == ["TREND raised", "H raised", "TREND cleared"]
    told = fill(site, 83, 0.1, 20)
    assert [towards(t) for t in told] == [("TREND raised", "HH")]


def test_a_trend_stands_while_every_limit_of_its_direction_is_reached() -> None:
    site = plant(TO_BOTH)
    fill(site, 60, 0.5, 90)
    assert site.letters() == {"TREND": "B", "H": "B", "HH": "B"}
    assert "TREND cleared" not in {t[0] for t in map(towards, fill(site, 105, 0.5, 30))}


def test_a_trend_looks_at_the_nearest_limit_again_once_that_has_cleared() -> None:
    site = plant(TO_BOTH)
    fill(site, 75, 0.5, 20)
    fill(site, 84, -1.0, 30)
    told = fill(site, 55, 0.5, 40)
    assert ("TREND raised", "H") in [towards(t) for t in told]


def test_no_warning_masks_delays_or_replaces_a_limit_alarm() -> None:
    bare, warned = plant(), plant(TREND, RATE)
    for site in (bare, warned):
        fill(site, 60, 2.0, 20)
        fill(site, 95, -3.0, 20)
    others = [t for t in warned.told if t.kind not in (Kind.TREND, Kind.RATE)]
    assert len(others) < len(warned.told)
    assert [_plain(t) for t in others] == [_plain(t) for t in bare.told]


def _plain(told: Transition) -> tuple[object, ...]:
    return told.kind, told.event, told.time_ms, told.value, told.condition, told.letter, told.seq, told.priority


def test_s04_a_bad_value_neither_raises_nor_clears_a_warning_and_silence_does_not() -> None:
    site = plant(TREND)
    assert events(fill(site, 70, 0.5, 18)) == ["TREND raised B"]
    assert fill(site, 20, 0.0, 30, quality=bad(Reason.COMM)) == []
    assert fill(site, 79.5, 0.0, 30, quality=uncertain(Reason.CLOCK)) == []
    assert site.wait(30) == []
    assert "TREND cleared D" not in events(site.told)
    assert events(fill(site, 79, 0.0, 30))[-1] == "TREND cleared D"


def test_a_warning_waits_its_own_delay_and_is_raised_by_a_tick() -> None:
    site = plant(warning(LEVEL, 0, Kind.RATE, {"window_s": 3, "limit": 60}, on_delay_ms=4_000))
    told = fill(site, 0, 2.0, 6)
    assert events(told) == []
    told = site.wait(6)
    assert events(told) == ["RATE raised B"]
    assert told[0].due_ms is not None
    assert told[0].as_dict()["evidence"]["found"]["rate"] == pytest.approx(120)


def test_a_warning_is_acknowledged_shelved_and_kept_like_any_alarm() -> None:
    site = plant(RATE)
    warned = fill(site, 0, 2.0, 6)[0]
    assert warned.priority.word == "blue"
    assert events(site.acknowledge(warned)) == ["RATE acknowledged C"]
    site.restart(1)
    assert site.letters() == {"RATE": "C"}
    assert events(site.shelve(RATE.id)) == ["RATE shelved G"]
    assert events(fill(site, 12, 0.0, 6)) == ["RATE cleared G"]


def test_a_limit_that_a_person_moves_moves_the_forecast_and_keeps_the_window() -> None:
    site = plant(TREND)
    fill(site, 40, 0.1, 20)
    assert site.letters() == {}
    site.edit(alarm(LEVEL, 0, Kind.HH, 45, deadband=2), by="li", second="wang")
    told = fill(site, 42, 0.1, 1)
    assert events(told) == ["TREND raised B"]
    assert told[0].as_dict()["evidence"]["limit"] == 45


def test_a_changed_setting_begins_that_rule_anew_and_no_other_and_says_so() -> None:
    site = plant(TREND, RATE)
    assert {t.kind for t in fill(site, 40, 2.0, 15)} >= {Kind.RATE}
    longer = warning(LEVEL, 0, Kind.RATE, {"window_s": 30, "limit": 60})
    said = site.edit(longer, by="li", comment="too nervous")
    assert events(said) == ["RATE updated B"]
    assert isinstance(said, list)
    assert "memory" in said[0].comment
    assert "too nervous" in said[0].comment
    told = fill(site, 70, 2.0, 3)
    assert Kind.RATE not in {t.kind for t in told}, "its memory is empty: it neither raises nor clears"
    assert site.letters()["RATE"] == "B"


def test_an_edge_clock_set_back_leaves_a_rule_its_memory_and_deafens_none() -> None:
    site = plant(RATE)
    fill(site, 0, 0.0, 5)
    site.offset_ms -= 27 * 3_600_000
    told = fill(site, 0, 2.0, 8)
    assert events(told) == ["RATE raised B"]


def test_a_rule_over_several_tags_goes_by_the_newest_of_each_and_stale_ones_are_bad() -> None:
    apart = warning(LEVEL, 0, Kind.DEVIATION, {"limit": 5}, inputs=["LT-1101", "LT-1102"])
    site = plant(apart)
    site.read(40, tag=0)
    site.read(50, tag=1)
    told = site.tick()
    assert events(told) == ["DEVIATION raised B"]
    assert told[0].as_dict()["evidence"]["contributions"] == [[LEVEL.id, 0.5], [OTHER.id, 0.5]]
    site.wait(181)
    assert events(fill(site, 50, 0, 1)) == [], "the other is stale by now: that shows nothing gone"
    site.read(50, tag=1)
    assert events(site.tick()) == ["DEVIATION cleared D"]


def test_an_input_that_is_born_later_is_taken_in() -> None:
    name = f"{NODE}/pump/run"
    site = plant(warning(LEVEL, 0, Kind.EXPRESSION, {"text": "run == 1 and LT_1101 > 50"}, inputs=["LT-1101", name]))
    assert fill(site, 60, 0, 3) == []
    site.edit(tags=(TagDef(name, NODE, LEVEL.hazard_source),))
    site.read(1, tag=2)
    assert events(site.tick()) == ["EXPRESSION raised B"]


def failing(settings: RateSettings, state: RateState, places: Places, samples: Samples) -> Verdict:
    if samples.value.max() > 50:
        raise ArithmeticError("no such number")
    return Verdict(samples.value > 20, samples.value < 10)


BROKEN = StatisticalRule(RateSettings, RateState, failing, lambda *_: {})


def test_s14_a_rule_that_fails_is_left_out_and_named_and_nothing_else_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(rules.RULES, "rate", f"{__name__}:BROKEN")
    rules.load.cache_clear()
    try:
        site = plant(TREND, RATE)
        told = fill(site, 40, 0.5, 110)
        assert events(told) == ["RATE raised B", "TREND raised B", "H raised B", "HH raised B"]
        assert site.engine.failures() == {"rate": "no such number"}
        assert site.letters()["RATE"] == "B", "what stood goes on standing"
        site.restart(1)
        assert site.engine.failures() == {"rate": "no such number"}
        site.engine.begin_run(site.seq, "b")
        assert site.engine.failures() == {}
        fill(site, 5, 0, 2)
        assert "RATE" not in site.letters() or site.letters()["RATE"] == "D"
    finally:
        rules.load.cache_clear()


def test_s14_settings_that_no_rule_takes_fail_alone() -> None:
    site = Plant([LEVEL, OTHER], [HH, H, RATE, warning(OTHER, 1, Kind.RATE, {"window_s": 3, "limit": -60})])
    assert events(fill(site, 0, 2.0, 6)) == ["RATE raised B"]
    assert "limit" in site.engine.failures()["rate"]
    mended = warning(OTHER, 1, Kind.RATE, {"window_s": 3, "limit": 60})
    site.edit(mended, by="li")
    assert site.engine.failures() == {}


def test_a_doubtful_value_warns_and_is_not_told_as_backlog() -> None:
    site = plant(RATE)
    told = fill(site, 0, 2.0, 6, quality=uncertain(Reason.CLOCK))
    assert events(told) == ["RATE raised B"]
    assert not told[0].late


def test_tags_of_one_profile_share_their_rows_and_rows_are_found_wherever_tags_came_in() -> None:
    tags = [tag_def(f"LT-{number}") for number in range(20)]
    some = [warning(tags[at], at, Kind.RATE, {"window_s": 3, "limit": 10 + at}) for at in (3, 9, 17)]
    site = Plant(tags, some)
    site.edit(warning(tags[5], 5, Kind.RATE, {"window_s": 3, "limit": 99}))
    site.edit(removed=(some[1].id,))
    early: Any = site.engine._memory.early
    (warner,) = early
    assert warner.members.tag[: len(warner)].tolist() == [3, 5, 17]
    assert warner.bank.state.limit[:3].tolist() == [13, 99, 27]
    again = Engine.restore(site.engine.snapshot())
    assert _bytes(again) == _bytes(site.engine)


def _bytes(engine: Engine) -> dict[str, bytes]:
    return {
        name: bytes(part) if isinstance(part, bytes) else part.tobytes() for name, part in engine.snapshot().items()
    }


def test_every_kind_of_warning_has_a_rule_and_every_rule_a_kind() -> None:
    assert {kind.lower() for kind in WARNING_KINDS} == set(rules.RULES) == set(NAMES)


def test_the_same_rule_is_spelled_the_same() -> None:
    assert said_rule({"b": 1, "a": 2}) == said_rule({"a": 2, "b": 1})


def test_a_setting_that_a_definition_leaves_out_is_the_rules_own_and_no_other_tags() -> None:
    wide, bare = {"still_s": 60, "band": 5}, {"still_s": 60}
    site = Plant([LEVEL, OTHER], [warning(LEVEL, 0, Kind.FROZEN, wide), warning(OTHER, 1, Kind.FROZEN, bare)])
    for second in range(75):
        site.read(50 + second % 2)
        site.read(50 + second % 2, after_s=0, tag=1)
        site.tick()
    assert [(t.tag, t.event) for t in site.told] == [(LEVEL.id, "raised")]
    site.edit(warning(LEVEL, 0, Kind.FROZEN, bare), by="li")
    assert events([t for second in range(20) for t in (*site.read(50 + second % 2), *site.tick())]) == [
        "FROZEN cleared D"
    ]


def test_s05_backlog_of_any_input_clears_no_warning() -> None:
    site = plant(warning(LEVEL, 0, Kind.DEVIATION, {"limit": 5}, inputs=["LT-1101", "LT-1102"]))
    site.read(40, tag=0)
    site.read(50, tag=1)
    assert events(site.tick()) == ["DEVIATION raised B"]
    site.read(40, tag=0)
    site.read(40, tag=1, late=True)
    assert site.tick() == []
    site.read(40, tag=1)
    assert events(site.tick()) == ["DEVIATION cleared D"]


@pytest.mark.parametrize("moved_s", [400, -400])
def test_an_edge_clock_that_is_set_is_no_time_in_which_a_value_stood_still(moved_s: int) -> None:
    site = plant(warning(LEVEL, 0, Kind.FROZEN, {"still_s": 600}))
    assert fill(site, 40, 0, 300) == []
    site.offset_ms += moved_s * 1000
    site.restart(1)
    assert fill(site, 40, 0, 250) == []
    assert events(fill(site, 40, 0, 150)) == ["FROZEN raised B"]


@pytest.mark.parametrize("heard_first", [False, True])
def test_an_edge_clock_that_is_set_is_no_time_in_which_a_command_was_not_followed(heard_first: bool) -> None:
    site = plant(warning(LEVEL, 0, Kind.COMMAND, {"allow_s": 30}, inputs=["LT-1101", "LT-1102"]))
    site.read(0, tag=1)
    told = fill(site, 0, 0, 2) + fill(site, 1, 0, 2)
    site.offset_ms += 3_600_000
    told += [] if heard_first else site.wait(1)
    assert told + fill(site, 1, 0, 20) == []
    assert events(fill(site, 1, 0, 20)) == ["COMMAND raised B"]


def test_s14_figures_that_no_memory_can_hold_fail_alone() -> None:
    site = plant(RATE, warning(LEVEL, 0, Kind.COMMAND, {"allow_s": 1e300}, inputs=["LT-1101", "LT-1102"]))
    assert set(site.engine.failures()) == {"command"}
    assert events(fill(site, 0, 2.0, 6)) == ["RATE raised B"]


def test_an_input_that_does_not_exist_is_bad_whatever_lies_beyond_the_tags() -> None:
    site = plant(warning(LEVEL, 0, Kind.EXPRESSION, {"text": "run == 1 or LT_1101 > 50"}, inputs=["LT-1101", "run"]))
    site.edit(tags=(tag_def("LT-1103"),))
    columns: Any = site.engine._memory.layout.tags
    assert len(columns.shared) > columns.n
    columns.shared[columns.n :] = 99
    assert events(fill(site, 60, 0, 1)) == ["EXPRESSION raised B"]


def test_s01_a_warning_whose_delay_was_over_before_it_was_back_is_told_as_both() -> None:
    site = plant(warning(LEVEL, 0, Kind.EXPRESSION, {"text": "LT_1101 > 50"}, inputs=["LT-1101"], on_delay_ms=4_000))
    assert fill(site, 60, 0, 1) == []
    site.read(40, after_s=10)
    told = site.tick()
    assert events(told) == ["EXPRESSION raised B", "EXPRESSION cleared D"]
    assert told[0].time_ms == told[1].time_ms - 6_000


FOLLOWING = {"tau_s": 0, "limit": 100, "adapt_s": 60, "adapt_within": 9, "mean": 50, "deviation": 10}
NOTHING = Batch.of([], [], [], [], [], [], [])


def said_at_edge(site: Plant, active: bool) -> None:
    """Let the edge say that its alarm H stands, or returned."""
    site.seq += 1
    at_ms = site.now_ms + site.offset_ms
    word = EdgeSaid(site.seq, 0, Kind.H, "a", 1, 1, active, at_ms, at_ms, None, 85.0, 0, 80.0)
    site.told += site.engine.apply(NOTHING, [word])


def usual(site: Plant, kind: Kind) -> float:
    """Return what a rule holds for usual now."""
    (of,) = (found for found in site.engine.explain(LEVEL.id, site.now_ms) if found.of.kind is kind)
    found = json.loads(of.evidence)["found"]
    return float(found["usual"])


@pytest.mark.parametrize("at_edge", [False, True])
def test_a_standing_limit_alarm_stops_a_baseline_from_learning_whoever_decides_it(at_edge: bool) -> None:
    site = Plant([LEVEL, OTHER], [alarm(LEVEL, 0, Kind.H, 80, local=at_edge), warning(LEVEL, 0, Kind.EWMA, FOLLOWING)])
    fill(site, 60, 0, 30)
    before = usual(site, Kind.EWMA)
    assert 50 < before < 60
    if at_edge:
        said_at_edge(site, active=True)
    fill(site, 85, 0, 60)
    site.restart(1)
    fill(site, 85, 0, 30)
    assert site.letters() == {"H": "B"}
    assert usual(site, Kind.EWMA) == before
    if at_edge:
        said_at_edge(site, active=False)
    fill(site, 70, 0, 60)
    assert usual(site, Kind.EWMA) > before + 5


OTHER_EDGE = "park/edge-2"
FAR = tag_def("LT-2101", silence_ms=60_000, node=OTHER_EDGE)
BOTH = [LEVEL.id, FAR.id]


class TwoEdges(Plant):
    """A plant whose second tag comes from another edge, `ahead_ms` ahead of the first."""

    def __init__(self, ahead_ms: int, *warnings: AlarmDef) -> None:
        self.ahead_ms = ahead_ms
        super().__init__([LEVEL, FAR], [link_alarm(OTHER_EDGE), *warnings])
        self.link(True, OTHER_EDGE)

    def tick(self) -> list[Transition]:
        offsets = {NODE: self.offset_ms, OTHER_EDGE: self.offset_ms + self.ahead_ms}
        told = self.engine.tick(self._next(), self.now_ms, self.monotonic_ms, self.boot, offsets)
        self.told += told
        return told

    def far(self, value: float) -> list[Transition]:
        """Let the other edge's tag say something now."""
        return self.read_at(value, self.now_ms + self.offset_ms + self.ahead_ms, tag=1)


@pytest.mark.parametrize("ahead_ms", [0, 3_600_000, -3_600_000])
@pytest.mark.parametrize("on_far", [False, True])
def test_a_rule_on_two_edges_hears_both_at_once_however_their_clocks_are_apart(ahead_ms: int, on_far: bool) -> None:
    tag = (FAR, 1) if on_far else (LEVEL, 0)
    site = TwoEdges(ahead_ms, warning(*tag, Kind.DEVIATION, {"limit": 5}, inputs=BOTH))
    site.read(50)
    site.far(50)
    site.tick()
    for _ in range(3):  # only the one speaks, and then only the other
        site.read(60)
        told = site.tick()
        assert events(told)[:1] == ["DEVIATION raised B"]
        assert told[0].time_ms == site.now_ms + site.offset_ms + on_far * ahead_ms
        site.pass_time(1)
        site.far(60)
        assert events(site.tick()) == ["DEVIATION cleared D"]
        site.acknowledge(site.told[-1])
        site.restart(1)
        site.pass_time(1)
        site.far(70)
        assert events(site.tick()) == ["DEVIATION raised B"]
        site.read(70)
        assert events(site.tick()) == ["DEVIATION cleared D"]
        site.acknowledge(site.told[-1])
        site.read(50)
        site.far(50)
        site.tick()
        site.told.clear()


def test_what_an_edge_says_late_and_once_is_heard_though_the_other_spoke_since() -> None:
    site = TwoEdges(3_600_000, warning(LEVEL, 0, Kind.DEVIATION, {"limit": 5}, inputs=BOTH))
    site.read(50)
    site.pass_time(1)
    site.far(50)
    site.tick()
    site.read_at(60, site.now_ms + site.offset_ms - 600)
    assert events(site.tick()) == ["DEVIATION raised B"]


@pytest.mark.parametrize("ahead_ms", [2_000, 3_600_000])
def test_clocks_that_are_measured_anew_are_no_news_of_a_rule_and_no_time(ahead_ms: int) -> None:
    apart = warning(LEVEL, 0, Kind.COMMAND, {"allow_s": 30}, inputs=BOTH)
    site = TwoEdges(ahead_ms, apart)
    site.read(1)
    site.far(0)
    site.tick()
    (warner,) = site.engine._memory.early
    assert warner.own is not None

    def own_ms() -> int:
        assert warner.own is not None
        return int(warner.own.fed_ms[0] + warner.own.ahead_ms[0])

    before_ms = own_ms()
    for moved_ms in (3, -3, 40, 900, -900, 7_200_000, -7_200_000):
        site.ahead_ms += moved_ms
        site.wait(1)
        assert own_ms() == before_ms
    assert site.told == [], "a command that was not followed for eight seconds, whatever clocks say"
    for _ in range(30):
        site.pass_time(1)
        site.far(0)
        site.read(1, after_s=0)
        site.tick()
    assert events(site.told) == ["COMMAND raised B"]
