"""Chatter, flashes, floods, first-outs and KPIs: from transitions alone, advice and never an act."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from davylamp_alarms.definition import Kind, Priority
from davylamp_alarms.performance.firsts import Candidate, Firsts, earliest
from davylamp_alarms.performance.heard import Heard
from davylamp_alarms.performance.kpis import TARGETS, Columns, Kpis, kpis
from davylamp_alarms.performance.watch import Found, Performance
from davylamp_alarms.transition import Condition, Event, Lane, Transition
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plant import NODE, START_MS, Plant, alarm, tag_def, warning

MINUTE_MS, DAY_MS = 60_000, 86_400_000


class Room:
    """A plant with many levels, and somebody who listens to every transition and tick."""

    def __init__(self, levels: int = 1, **more: Any) -> None:
        self.tags = [tag_def(f"LT-{n}") for n in range(levels)]
        self.plant = Plant(self.tags, [alarm(tag, n, Kind.H, 80, **more) for n, tag in enumerate(self.tags)])
        self.performance = Performance()
        self.found: list[Found] = []
        self._heard = len(self.plant.told)

    def read(self, value: float, tag: int = 0, after_s: float = 1.0) -> None:
        self.plant.read(value, after_s, tag=tag)
        self.listen()

    def listen(self) -> None:
        for step in self.plant.told[self._heard :]:
            self.found += self.performance.hear(step, self.plant.now_ms)
        self._heard = len(self.plant.told)

    def wait(self, seconds: float) -> None:
        self.plant.pass_time(seconds)
        self.plant.tick()
        self.listen()
        self.found += self.performance.tick(self.plant.now_ms)

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        return [f.row for f in self.found if f.table == table and all(f.row[k] == v for k, v in where.items())]


# chatter and flashes


def test_s15_three_raises_in_a_minute_bring_advice_and_no_act() -> None:
    room = Room()
    for value in (85, 77, 85, 77, 85):
        room.read(value, after_s=12)
    (advice,) = room.rows("advice", kind="chatter")
    assert advice["alarm_id"] == f"{room.tags[0].id}#H"
    assert advice["count"] == 3
    assert advice["suggestion"] == {"off_delay_s": 18.0, "deadband": 12.0}
    assert not room.plant.engine.shelves()


def test_a_warning_that_chatters_is_advised_no_deadband_for_it_has_none() -> None:
    room = Room()
    nervous = warning(room.tags[0], 0, Kind.EXPRESSION, {"text": "LT_0 > 80"}, inputs=["LT-0"])
    room.plant = Plant(room.tags, [nervous])
    for value in (85, 77, 85, 77, 85):
        room.plant.read(value, 11)
        room.wait(1)
    (advice,) = room.rows("advice", kind="chatter")
    assert (advice["alarm_id"], advice["suggestion"]) == (nervous.id, {"off_delay_s": 18.0})


def test_slower_raises_are_no_chatter() -> None:
    room = Room()
    for value in (85, 77) * 5:
        room.read(value, after_s=31)
    assert room.rows("advice", kind="chatter") == []


def test_advice_goes_on_with_its_alarm_once_a_minute_at_most_and_closes_after_a_calm_day() -> None:
    room = Room()
    for value in (85, 77) * 100:
        room.read(value, after_s=5)
    told = room.rows("advice", kind="chatter")
    assert {row["id"] for row in told} == {told[0]["id"]}
    assert len(told) <= 200 * 5 / 60 + 2
    assert told[-1]["count"] > 90
    room.wait(86_401)
    room.wait(86_401)  # the flood it made has its own advice, which is as old as the flood's end
    assert [row["closed"] for row in room.rows("advice", kind="chatter")][-1] == "calm for a day"
    assert room.performance.adviser.open == {}
    assert room.performance.adviser.seen == {}, "nothing is remembered of what was calm for a day"


def test_an_alarm_that_flashes_by_three_times_while_nobody_acts_brings_advice() -> None:
    room = Room()
    for _ in range(3):
        room.read(85, after_s=300)
        room.read(70, after_s=4)
    (advice,) = room.rows("advice", kind="fleeting")
    assert advice["suggestion"] == {"on_delay_s": 6.0}


def test_an_alarm_somebody_acted_on_is_not_fleeting() -> None:
    room = Room()
    for _ in range(5):
        room.read(85, after_s=300)
        room.plant.acknowledge(room.plant.told[-1])
        room.listen()
        room.read(70, after_s=4)
    assert room.rows("advice", kind="fleeting") == []


def test_an_act_counts_for_its_occurrence_alone() -> None:
    room = Room()
    room.read(85, after_s=300)
    room.plant.acknowledge(room.plant.told[-1])
    room.listen()
    room.read(70, after_s=4)
    for _ in range(3):
        room.read(85, after_s=300)
        room.read(70, after_s=4)
    assert len(room.rows("advice", kind="fleeting")) == 1


def test_advice_on_what_goes_on_for_days_stays_open() -> None:
    room = Room()
    for value in (85, 77) * 3:
        room.read(value, after_s=5)
    for _ in range(3):
        room.wait(40_000)
        for value in (85, 77) * 3:
            room.read(value, after_s=5)
    room.wait(10)
    assert {row["closed"] for row in room.rows("advice", kind="chatter")} == {""}


def test_a_person_dismisses_advice_and_it_may_come_again() -> None:
    room = Room()
    for value in (85, 77, 85, 77, 85):
        room.read(value, after_s=5)
    (advice,) = room.rows("advice", kind="chatter")
    (closed,) = room.performance.dismiss(advice["id"], "wang: known, pump test")
    assert closed.row["closed"] == "wang: known, pump test"
    assert room.performance.dismiss(advice["id"], "again") == []
    room.read(77, after_s=5)
    room.read(85, after_s=5)
    assert room.rows("advice", kind="chatter")[-1]["id"] != advice["id"]


# floods


def test_a_flood_begins_above_ten_in_ten_minutes_and_keeps_its_first_cause() -> None:
    room = Room(levels=12)
    for n in range(10):
        room.read(85, tag=n, after_s=2)
    assert room.rows("floods") == []
    room.read(85, tag=10)
    (flood,) = room.rows("floods")
    position = NODE.split("/")[0]
    assert (flood["id"], flood["position"], flood["total"], flood["peak"]) == (f"{position}-flood-1", position, 11, 11)
    assert [alarm for _, alarm, _ in flood["first"]] == [f"{room.tags[0].id}#H"]
    assert flood["began_ms"] == START_MS + 2000


def test_a_flood_ends_when_ten_minutes_hold_fewer_than_five_and_names_its_worst() -> None:
    room = Room(levels=12)
    for n in range(12):
        room.read(85, tag=n)
    room.read(70, tag=3)
    room.read(85, tag=3)
    room.wait(580)
    assert all(row["ended_ms"] == 0 for row in room.rows("floods"))
    room.wait(32)
    ended = room.rows("floods")[-1]
    assert ended["ended_ms"] == room.plant.now_ms
    assert ended["worst"][0] == [f"{room.tags[3].id}#H", 2]
    assert next(row["alarm_id"] for row in room.rows("advice", kind="flood")) == f"{room.tags[3].id}#H"


def test_a_flood_lasts_while_ten_minutes_hold_five_and_not_a_moment_longer() -> None:
    room = Room(levels=12)
    for n in range(7):
        room.read(85, tag=n)
    room.wait(300)
    for n in range(7, 12):
        room.read(85, tag=n)
    room.wait(338)
    assert room.rows("floods")[-1]["ended_ms"] == 0, "the last five are less than ten minutes old"
    room.wait(258)
    assert room.rows("floods")[-1]["ended_ms"] == room.plant.now_ms, "and now the first of them is ten"


def test_s25_a_flood_names_what_began_first_and_not_what_was_heard_first() -> None:
    room = Room(levels=12)
    room.plant.pass_time(60)
    for n in range(11):
        room.read(85, tag=n)
    room.plant.read_at(85, room.plant.now_ms - 30_000, tag=11)
    room.listen()
    room.wait(10)
    flood = room.rows("floods")[-1]
    assert ([alarm for _, alarm, _ in flood["first"]], flood["tie_ms"]) == ([f"{room.tags[11].id}#H"], 0)


def test_s25_a_flood_that_began_within_one_scan_names_no_first() -> None:
    room = Room(levels=12)
    for n in range(12):
        room.read(85, tag=n, after_s=0.01)
    flood = room.rows("floods")[-1]
    assert (len(flood["first"]), flood["tie_ms"]) == (11, 1_000)


def test_s25_a_flood_counts_warnings_and_names_none_of_them_first() -> None:
    room = Room(levels=12)
    apart = {"text": "LT_0 > 10"}
    early = [warning(room.tags[n], n, Kind.EXPRESSION, apart, inputs=["LT-0"]) for n in range(11)]
    room.plant.edit(*early)
    room.read(20)
    room.wait(1)
    (flood,) = room.rows("floods")[:1]
    assert (flood["total"], flood["first"], flood["tie_ms"]) == (11, [], 0)
    room.read(85, tag=3, after_s=5)
    room.wait(10)
    flood = room.rows("floods")[-1]
    assert (flood["total"], [alarm for _, alarm, _ in flood["first"]]) == (12, [f"{room.tags[3].id}#H"])


def test_advice_on_an_alarm_goes_on_with_its_next_flood_and_closes_after_a_calm_day() -> None:
    room = Room(levels=12)
    for _ in range(2):
        for n in range(12):
            room.read(85, tag=n)
        for n in range(12):
            room.read(70, tag=n)
        room.wait(700)
    rows = room.rows("advice", kind="flood")
    assert len({row["id"] for row in rows}) == 3
    assert {row["flood"] for row in rows[-3:]} == {room.rows("floods")[-1]["id"]}
    room.wait(90_000)
    last = {row["id"]: row["closed"] for row in room.rows("advice", kind="flood")}
    assert set(last.values()) == {"calm for a day"}
    assert room.performance.adviser.open == {}


def test_a_flood_goes_through_a_snapshot() -> None:
    room = Room(levels=12)
    for n in range(12):
        room.read(85, tag=n)
    kept = Performance.load(room.performance.dump())
    assert kept == room.performance


def test_what_is_hidden_makes_no_flood() -> None:
    room = Room(levels=12)
    for n in range(12):
        room.plant.shelve(f"{room.tags[n].id}#H")
    for n in range(12):
        room.read(85, tag=n)
    assert room.rows("floods") == []


# first-out


def test_s25_the_first_of_an_upset_is_named_and_later_ones_are_not() -> None:
    room = Room(levels=3)
    room.read(85, tag=1)
    room.read(85, tag=0, after_s=5)
    room.read(85, tag=2, after_s=5)
    (upset,) = room.rows("upsets")
    assert [alarm_id for _, alarm_id, _ in upset["first"]] == [f"{room.tags[1].id}#H"]
    assert upset["tie_ms"] == 0


def test_s25_a_warning_begins_no_upset_and_is_the_first_of_none() -> None:
    room = Room(levels=2)
    room.plant.edit(warning(room.tags[0], 0, Kind.EXPRESSION, {"text": "LT_0 > 10"}, inputs=["LT-0"]))
    room.read(20)
    room.wait(1)
    assert [step.kind for step in room.plant.told] == [Kind.EXPRESSION]
    assert room.rows("upsets") == []
    room.read(85, tag=1)
    assert [alarm_id for _, alarm_id, _ in room.rows("upsets")[-1]["first"]] == [f"{room.tags[1].id}#H"]


def test_s25_within_one_scan_it_is_a_tie_and_nobody_guesses() -> None:
    room = Room(levels=3)
    room.read(85, tag=1)
    room.read(85, tag=0, after_s=0.4)
    upset = room.rows("upsets")[-1]
    assert len(upset["first"]) == 2
    assert upset["tie_ms"] == 1_000


def test_s25_one_that_began_earlier_and_is_heard_later_corrects_it() -> None:
    room = Room(levels=2)
    room.plant.pass_time(60)
    room.read(85, tag=1)
    room.plant.read_at(85, room.plant.now_ms - 20_000, tag=0)
    room.listen()
    upset = room.rows("upsets")[-1]
    assert [alarm_id for _, alarm_id, _ in upset["first"]] == [f"{room.tags[0].id}#H"]


def test_an_upset_ends_when_nothing_stands_and_the_next_raise_begins_another() -> None:
    room = Room(levels=2)
    room.read(85)
    room.read(70)
    assert room.rows("upsets")[-1]["ended_ms"] == room.plant.now_ms
    room.read(85, tag=1)
    assert room.rows("upsets")[-1]["id"].endswith("-upset-2")


candidates = st.lists(
    st.builds(Candidate, st.integers(0, 5_000), st.uuids().map(str), st.just("a"), st.sampled_from([100, 900, 2_000])),
    min_size=1, max_size=12, unique_by=lambda one: one.occurrence,
)  # fmt: skip


@given(candidates, st.randoms(use_true_random=False))
def test_s25_the_order_in_which_alarms_are_heard_does_not_matter(found: list[Candidate], random: Any) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    firsts = Firsts()
    for one in shuffled:
        firsts.consider(one)
    assert firsts.named == earliest(sorted(found))


# the same wherever it is cut


steps = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([70.0, 85.0, 79.0]), st.sampled_from([0.2, 1.0, 15.0, 70.0, 700.0])),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.sets(st.integers(0, 60), max_size=5))
def test_a_snapshot_anywhere_changes_nothing(done: Sequence[tuple[int, float, float]], saves: set[int]) -> None:
    whole, cut = Room(levels=4), Room(levels=4)
    for at, (tag, value, after_s) in enumerate(done):
        for room in (whole, cut):
            room.read(value, tag, after_s)
            room.wait(0)
        if at in saves:
            cut.performance = Performance.load(cut.performance.dump())
    assert cut.found == whole.found
    assert json.loads(cut.performance.dump()) == json.loads(whole.performance.dump())


# KPIs


def columns(rows: Sequence[tuple[int, int, str, bool]]) -> Columns:
    """Make columns of (at_ms, alarm, what, hidden); what is raised, ended or acted."""
    what = np.array([row[2] for row in rows], dtype="U8")
    hidden = np.array([row[3] for row in rows], np.bool_)
    raised = what == "raised"
    return Columns(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([1 + row[1] % 4 for row in rows], np.int64),
        raised & ~hidden, raised, what == "ended", hidden, what == "acted",
    )  # fmt: skip


def twin(rows: Sequence[tuple[int, int, str, bool]], from_ms: int, to_ms: int) -> dict[str, Any]:
    """Count the obvious way."""
    heard = [(t, a) for t, a, what, hidden in rows if what == "raised" and not hidden and from_ms <= t < to_ms]
    tens = Counter(t // 600_000 for t, _ in heard)
    windows = range(from_ms // 600_000, (max(from_ms, to_ms - 1)) // 600_000 + 1)
    top = sorted(Counter(a for _, a in heard).items(), key=lambda item: (-item[1], item[0]))[:10]
    chattering, fleeting, stale = set(), set(), set()
    for name in {a for _, a, _, _ in rows}:
        own = [(t, what) for t, a, what, _ in rows if a == name and from_ms <= t < to_ms]
        raises = [t for t, what in own if what == "raised"]
        chattering |= {name for i in range(len(raises) - 2) if raises[i + 2] - raises[i] < 60_000}
        fleeting |= {name for (t, w), (u, v) in pairwise(own) if (w, v) == ("raised", "ended") and u - t <= 10_000}
        life = [(t, what) for t, a, what, _ in rows if a == name and what != "acted" and t < to_ms]
        for at, (t, what) in enumerate(life):
            until = life[at + 1][0] if at + 1 < len(life) else to_ms
            stale |= {name} if what == "raised" and until - t >= DAY_MS and until > from_ms else set()
    return {
        "annunciated": len(heard),
        "windows": len(windows),
        "most_in_10_min": max((tens[w] for w in windows), default=0),
        "flooded": sum(tens[w] > 10 for w in windows) / len(windows),
        "top": tuple(top),
        "chattering": tuple(sorted(chattering)),
        "fleeting": tuple(sorted(fleeting)),
        "stale": tuple(sorted(stale)),
        "suppressed": sum(w == "raised" and h and from_ms <= t < to_ms for t, _, w, h in rows),
    }


histories = st.lists(
    st.tuples(st.sampled_from([100, 5_000, 20_000, 400_000, 30_000_000]), st.integers(0, 4),
              st.sampled_from(["raised", "raised", "ended", "acted"]), st.booleans()),
    max_size=80,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(histories, st.integers(0, 3 * DAY_MS), st.integers(1, 3 * DAY_MS))
def test_kpis_are_what_counting_by_hand_says(
    history: list[tuple[int, int, str, bool]], start_ms: int, span_ms: int
) -> None:
    at_ms, rows = START_MS, []
    for gap_ms, name, what, hidden in history:
        at_ms += gap_ms
        rows.append((at_ms, name, what, hidden))
    from_ms, to_ms = START_MS + start_ms, START_MS + start_ms + span_ms
    found = kpis(columns(rows), from_ms, to_ms)
    for figure, wanted in twin(rows, from_ms, to_ms).items():
        measured = getattr(found, figure)
        assert measured == (pytest.approx(wanted) if isinstance(wanted, float) else wanted), figure
    assert sum(found.priorities) == pytest.approx(1.0 if found.annunciated else 0.0)


HOUR = range(START_MS - START_MS % 3_600_000, START_MS - START_MS % 3_600_000 + 3_600_000)
"""An hour of the wall clock: six windows."""


def at_ms(*seconds: float, what: str = "raised") -> list[tuple[int, int, str, bool]]:
    return [(HOUR.start + round(1000 * second), 0, what, False) for second in seconds]


@pytest.mark.parametrize(
    ("rows", "figure", "wanted"),
    [
        (at_ms(*range(10)), "flooded", 0.0),
        (at_ms(*range(11)), "flooded", 1 / 6),
        (at_ms(*range(0, 3_600, 120)), "busy_hours", 0.0),
        (at_ms(*range(0, 3_600, 120), 1), "busy_hours", 1.0),
        (at_ms(0, 3_599.999), "annunciated", 2),
        (at_ms(-0.001, 3_600), "annunciated", 0),
        (at_ms(0, 30, 59.999), "chattering", (0,)),
        (at_ms(0, 30, 60), "chattering", ()),
        ([*at_ms(0), *at_ms(10, what="ended")], "fleeting", (0,)),
        ([*at_ms(0), *at_ms(10.001, what="ended")], "fleeting", ()),
        ([*at_ms(0), *at_ms(5, what="acted"), *at_ms(10, what="ended")], "fleeting", ()),
        (at_ms(3_600 - 86_400), "stale", (0,)),
        (at_ms(3_600 - 86_399.999), "stale", ()),
        ([*at_ms(-100_000), *at_ms(0, what="ended")], "stale", ()),
        ([*at_ms(-100_000), *at_ms(0.001, what="ended")], "stale", (0,)),
    ],
)
def test_each_figure_begins_and_ends_where_its_definition_says(
    rows: list[tuple[int, int, str, bool]], figure: str, wanted: object
) -> None:
    assert getattr(kpis(columns(rows), HOUR.start, HOUR.stop), figure) == wanted


def test_empty_windows_count() -> None:
    found = kpis(columns([(START_MS, 0, "raised", False)]), START_MS, START_MS + DAY_MS)
    assert found.per_day == 1.0
    assert found.per_hour == pytest.approx(1 / 24)
    assert found.windows >= 144
    across = kpis(columns(at_ms(1)), HOUR.start + 1, HOUR.start + 600_001)
    assert (across.windows, across.per_10_min) == (2, 1.0)
    nothing = kpis(columns([]), START_MS, START_MS + DAY_MS)
    assert (nothing.annunciated, nothing.most_in_10_min, nothing.flooded, nothing.top) == (0, 0, 0.0, ())


def test_every_target_is_of_a_figure_there_is_and_says_that_it_is_unverified() -> None:
    assert {target.figure for target in TARGETS} <= set(Kpis.__dataclass_fields__)
    assert all("unverified" in target.source for target in TARGETS)


def test_a_repeat_sounds_and_an_acknowledgement_does_not() -> None:
    room = Room(priority=Priority.RED)
    room.read(85)
    step = room.plant.told[-1]
    heard = {event: Heard(0, replace(step, event=event)).annunciated for event in (Event.RAISED, Event.RE_ALARMED)}
    assert heard == {Event.RAISED: True, Event.RE_ALARMED: True}
    again = Heard(step.raised_ms + 99, replace(step, event=Event.RE_ALARMED))
    assert again.candidate.raised_ms == step.raised_ms + 99, "it was no cause before it sounded again"
    assert Heard(step.raised_ms + 99, step).candidate.raised_ms == step.raised_ms
    late = Heard(0, replace(step, lane=Lane.LATE))
    assert not late.live_raise, "what backlog told was heard by nobody in its time"
    quiet: Transition = replace(step, event=Event.ACKNOWLEDGED, acknowledged=True)
    assert not Heard(0, quiet).annunciated


@pytest.mark.parametrize(
    ("condition", "latched", "acknowledged", "sounds"),
    [
        (Condition.ACTIVE, False, False, True),
        (Condition.ACTIVE, False, True, False),
        (Condition.NORMAL, True, False, True),
        (Condition.NORMAL, True, True, False),
        (Condition.NORMAL, False, False, False),
    ],
)
def test_what_comes_back_from_being_hidden_sounds_where_nobody_knows_of_it_yet(
    condition: Condition, latched: bool, acknowledged: bool, sounds: bool
) -> None:
    room = Room()
    room.read(85)
    back = replace(room.plant.told[-1], condition=condition, latched=latched, acknowledged=acknowledged)
    for event in (Event.UNSHELVED, Event.UNSUPPRESSED, Event.RETURNED):
        assert Heard(0, replace(back, event=event)).annunciated is sounds


def test_s25_an_occurrence_that_sounded_again_within_its_scan_is_no_tie_with_itself() -> None:
    firsts = Firsts()
    for raised_ms in (1_000, 6_000):
        firsts.consider(Candidate(raised_ms, "cl2-1", "store/gas#L2", 60_000))
    assert (firsts.row(), firsts.tie_ms) == ([("cl2-1", "store/gas#L2", 1_000)], 0)


def heard_before_the_clock_was_set_back(raises: int) -> tuple[Performance, Transition]:
    room = Room()
    room.read(85)
    step, listening = room.plant.told[-1], Performance()
    for number in range(raises):
        listening.hear(replace(step, occurrence=f"level-{number}"), START_MS + 3_600_000 + number * 30_000)
    return listening, step


def test_a_flood_ends_ten_minutes_after_the_hosts_clock_was_set_back_an_hour() -> None:
    listening, step = heard_before_the_clock_was_set_back(12)
    assert listening.floods.lasting()
    listening.hear(replace(step, occurrence="level-99"), START_MS - 5_000)
    listening.tick(START_MS)
    listening.tick(START_MS + 610_000)
    assert listening.floods.lasting() == []


def test_raises_from_before_the_hosts_clock_was_set_back_make_no_chatter_with_later_ones() -> None:
    listening, step = heard_before_the_clock_was_set_back(2)
    found = listening.hear(replace(step, occurrence="level-9"), START_MS)
    assert [one.row for one in found if one.table == "advice"] == []
