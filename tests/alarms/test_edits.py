"""Edits: every kind of edit in every place an alarm can stand, by the table the docs are drawn from (S4, S20)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from davylamp_alarms.definition import AlarmDef, Changes, Kind, MaskDef, Priority, said_rule
from davylamp_alarms.edit_page import page
from davylamp_alarms.edit_preview import EditPreview, Touched
from davylamp_alarms.engine import Engine
from davylamp_alarms.migration import FIELDS, TABLE, Decision, Edit, Place, decide
from davylamp_alarms.transition import Op, Refusal, Why
from davylamp_wire.quality import Reason, bad, uncertain
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plant import Plant, alarm, events, tag_def

LEVEL = tag_def("LT-1101")
BASE = alarm(LEVEL, 0, Kind.HH, 90, deadband=2.0, on_delay_ms=5_000, off_delay_ms=5_000)
PAGE = Path(__file__).parents[2] / "docs" / "edits.md"

EDITED: dict[Edit, AlarmDef] = {
    Edit.LIMIT: replace(BASE, limit=99),
    Edit.DEADBAND: replace(BASE, deadband=1.0),
    Edit.ON_DELAY: replace(BASE, on_delay_ms=7_000),
    Edit.OFF_DELAY: replace(BASE, off_delay_ms=7_000),
    Edit.LATCH: replace(BASE, latch=True),
    Edit.PRIORITY: replace(BASE, priority=Priority.RED),
    Edit.POSITION: replace(BASE, group="control room"),
    Edit.TEXT: BASE,
    Edit.RULE: replace(BASE, rule=said_rule({"window_s": 3})),
    Edit.INSTRUMENT: replace(BASE, hazard_source="another"),
}

EXPECTED = """
             normal pending active clearing returned acknowledged latched hidden late
limit        keep   given   close  keep     keep     close        keep    close  keep
deadband     keep   keep    keep   keep     keep     keep         keep    keep   keep
on_delay     keep   keep    keep   keep     keep     keep         keep    keep   keep
off_delay    keep   keep    keep   keep     keep     keep         keep    keep   keep
latch        keep   keep    keep   keep     keep     keep         keep    keep   keep
priority     keep   keep    keep   keep     keep     keep         keep    keep   keep
position     keep   keep    keep   keep     keep     keep         keep    keep   keep
added        raise  raise   raise  raise    raise    raise        raise   raise  raise
removed      gone   gone    close  close    close    close        close   close  close
text         keep   keep    keep   keep     keep     keep         keep    keep   keep
rule         keep   keep    keep   keep     keep     keep         keep    keep   keep
instrument   refuse refuse  refuse refuse   refuse   refuse       refuse  refuse refuse
"""
"""What each edit of `EDITED` comes to: the limit moves from 90 to 99 while the value, where it is beyond, is 95."""


def pairs() -> list[tuple[Edit, Place, str]]:
    head, *rows = (line.split() for line in EXPECTED.strip().splitlines())
    return [(Edit(row[0]), Place(place), word) for row in rows for place, word in zip(head, row[1:], strict=True)]


def normal(plant: Plant) -> None:
    plant.read(50)


def pending(plant: Plant) -> None:
    plant.read(95)


def active(plant: Plant) -> None:
    plant.read(95)
    plant.read(95, after_s=6)


def clearing(plant: Plant) -> None:
    active(plant)
    plant.read(50)


def returned(plant: Plant) -> None:
    clearing(plant)
    plant.wait(5)
    plant.read(50)


def acknowledged(plant: Plant) -> None:
    active(plant)
    plant.acknowledge(plant.told[-1])


def hidden(plant: Plant) -> None:
    active(plant)
    plant.shelve(BASE.id, second="wang")


def late(plant: Plant) -> None:
    plant.read(50)
    plant.backlog(95, -20)
    plant.backlog(95, -10)
    plant.backlog(50, -5)


STAND: dict[Place, Callable[[Plant], None]] = {
    Place.NORMAL: normal,
    Place.PENDING: pending,
    Place.ACTIVE: active,
    Place.CLEARING: clearing,
    Place.RETURNED: returned,
    Place.ACKNOWLEDGED: acknowledged,
    Place.LATCHED: returned,
    Place.HIDDEN: hidden,
    Place.LATE: late,
}


def standing(place: Place, base: AlarmDef = BASE) -> Plant:
    """Return a plant whose alarm stands there."""
    latching = replace(base, latch=True) if place is Place.LATCHED else base
    plant = Plant([LEVEL], [latching])
    STAND[place](plant)
    return plant


def ask(plant: Plant, edit: Edit, place: Place) -> Changes:
    """Return an edit by one person."""
    if edit is Edit.REMOVED:
        return Changes(plant.now_ms, removed=(BASE.id,), by="li", comment="review")
    if edit is Edit.ADDED:
        return Changes(plant.now_ms, alarms=(alarm(LEVEL, 0, Kind.H, 40),), by="li", comment="review")
    latch = {} if edit is Edit.LATCH or place is not Place.LATCHED else {"latch": True}
    return Changes(plant.now_ms, alarms=(replace(EDITED[edit], **latch),), by="li", comment="review")  # type: ignore[arg-type]  # one flag


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(value, other[name], equal_nan=value.dtype.kind == "f") if hasattr(value, "dtype")
        else value == other[name]
        for name, value in one.items()
    )  # fmt: skip


def occurrences(plant: Plant) -> list[tuple[object, ...]]:
    return [(r.occurrence, r.state, r.raised_ms, r.acknowledged_ms) for r in plant.engine.standing()]


def timers(plant: Plant) -> list[object]:
    found = plant.engine.snapshot()
    return [np.asarray(found[f"slots/{name}"]).tolist() for name in ("since_ms", "until_ms", "mark_ms")]


def touched(plant: Plant, changes: Changes) -> Touched:
    seen = plant.engine.preview_edit(changes)
    assert isinstance(seen, EditPreview), seen
    return seen.touched[0]


@pytest.mark.parametrize(("edit", "place", "word"), pairs())
def test_s20_every_edit_in_every_place_does_what_the_table_says(edit: Edit, place: Place, word: str) -> None:
    plant = standing(place)
    changes = ask(plant, edit, place)
    before, running = occurrences(plant), timers(plant)
    phase = int(np.asarray(plant.engine.snapshot()["rows/phase"])[0])
    answer = plant.engine.redefine(plant.seq + 1, changes)
    if word in ("refuse", "close"):
        why = {"refuse": Why.BAD_EDIT, "close": Why.SECOND_PERSON}[word]
        assert isinstance(answer, Refusal)
        assert answer.why is why
        assert occurrences(plant) == before
    if word == "close":
        closed = plant.engine.redefine(plant.seq + 2, replace(changes, second="wang"))
        assert isinstance(closed, list)
        assert [t.event for t in closed] == ["closed"]
        assert plant.letters() == {}
    if word == "keep":
        assert isinstance(answer, list)
        assert {t.event for t in answer} <= {"updated"}
        assert (occurrences(plant), timers(plant)) == (before, running)
        assert int(np.asarray(plant.engine.snapshot()["rows/phase"])[0]) == phase
    if word == "given":
        assert answer == []
        assert plant.wait(10) == [], "the value is not beyond the new limit"
    if word == "raise":
        assert events(answer) == (["H raised B"])
        assert [found for found in occurrences(plant) if found in before] == before
    if word == "gone":
        assert answer == []
        assert plant.wait(10) == []


def test_the_grid_covers_the_whole_table() -> None:
    assert {(edit, place) for edit, place, _ in pairs()} == {(edit, place) for edit in TABLE for place in TABLE[edit]}
    assert set(TABLE) == set(Edit)
    assert all(set(cells) == set(Place) for cells in TABLE.values())


@pytest.mark.parametrize("place", Place)
def test_each_scene_stands_where_it_says(place: Place) -> None:
    plant = standing(place)
    assert place in touched(plant, ask(plant, Edit.PRIORITY, place)).places


@pytest.mark.parametrize(("edit", "place", "word"), pairs())
def test_a_preview_says_what_the_edit_then_does_and_changes_nothing(edit: Edit, place: Place, word: str) -> None:
    plant = standing(place)
    changes = ask(plant, edit, place)
    before = plant.engine.snapshot()
    seen = plant.engine.preview_edit(changes)
    assert same(before, plant.engine.snapshot())
    answer = plant.engine.redefine(plant.seq + 1, changes)
    assert isinstance(seen, Refusal) is (word == "refuse")
    if isinstance(seen, EditPreview):
        assert seen.two is (word == "close")
        assert seen.two is isinstance(answer, Refusal)
        told = plant.engine.redefine(plant.seq + 2, replace(changes, second="wang")) if seen.two else answer
        assert isinstance(told, list)
        assert [t.occurrence for t in told if t.event == "closed"] == [o for one in seen.touched for o in one.ending]
        raised = [t.alarm_id for t in told if t.event == "raised"]
        assert raised == [one.alarm for one in seen.touched if one.raises_after_ms == 0]


def test_the_page_is_drawn_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m davylamp_alarms.edit_page"


def test_every_field_of_a_definition_is_an_edit_or_says_which_alarm_it_is() -> None:
    assert set(AlarmDef.__slots__) == set(FIELDS) | {"id", "tag", "kind"}


@given(st.sets(st.sampled_from(Edit)), st.sets(st.sampled_from(Place), min_size=1))
def test_the_strictest_cell_decides(edits: set[Edit], where: set[Place]) -> None:
    strictest = Decision.KEEP
    for edit in edits:
        for place in where:
            if TABLE[edit][place] > strictest:
                strictest = TABLE[edit][place]
    assert decide(edits, where) is strictest


# delays that run


def test_s01_an_edit_between_two_samples_leaves_a_running_delay_its_start() -> None:
    plant = standing(Place.PENDING)
    began_ms = plant.now_ms
    plant.pass_time(2)
    assert plant.edit(replace(BASE, on_delay_ms=8_000, priority=Priority.RED), by="li") == []
    told = plant.wait(10)
    assert events(told) == ["HH raised B"]
    assert told[0].time_ms == began_ms + 8_000


def test_s01_no_number_of_edits_puts_a_raise_off() -> None:
    plant = standing(Place.PENDING)
    began_ms = plant.now_ms
    for step in range(4):
        plant.pass_time(1)
        plant.edit(replace(BASE, limit=91 + step), by="li")
    told = plant.wait(5)
    assert [t.time_ms for t in told] == [began_ms + 5_000]


def test_s01_a_delay_shortened_below_what_has_passed_raises_at_the_next_tick() -> None:
    plant = standing(Place.PENDING)
    plant.pass_time(3)
    plant.edit(replace(BASE, on_delay_ms=1_000), by="li")
    assert events(plant.tick()) == ["HH raised B"]


def test_a_limit_that_moves_under_the_value_counts_its_delay_from_the_edit() -> None:
    plant = standing(Place.NORMAL)
    plant.pass_time(3)
    edited_ms = plant.now_ms
    assert plant.edit(replace(BASE, limit=45), by="li") == []
    assert [t.time_ms for t in plant.wait(6)] == [edited_ms + 5_000]


def test_s04_doubt_gives_no_running_delay_up_whatever_is_edited() -> None:
    plant = standing(Place.PENDING)
    plant.read(60, quality=uncertain(Reason.CLOCK))
    plant.edit(replace(BASE, priority=Priority.RED), by="li")
    plant.edit(replace(BASE, priority=Priority.RED, limit=91), by="li")
    assert events(plant.wait(6)) == ["HH raised B"]


def test_s04_an_edit_of_the_off_delay_keeps_the_clearing_that_runs() -> None:
    plant = standing(Place.CLEARING)
    plant.edit(replace(BASE, off_delay_ms=3_000), by="li")
    plant.wait(2)
    assert events(plant.read(50)) == ["HH cleared D"]


# what holds an alarm


def test_s20_a_limit_the_value_is_still_beyond_keeps_the_occurrence() -> None:
    plant = standing(Place.ACKNOWLEDGED)
    before = occurrences(plant)
    assert events(plant.edit(replace(BASE, limit=93), by="li")) == ["HH updated C"]
    assert occurrences(plant) == before


def test_s20_a_narrower_deadband_that_lets_the_value_go_needs_two() -> None:
    plant = standing(Place.ACTIVE)
    plant.read(88.5)
    narrower = replace(BASE, deadband=1.0)
    assert isinstance(plant.edit(narrower, by="li"), Refusal)
    assert events(plant.edit(narrower, by="li", second="wang")) == ["HH closed A"]


@pytest.mark.parametrize(("limit", "word"), [(94.0, "updated"), (96.0, "refused")])
def test_s20_a_doubtful_value_holds_an_alarm_only_beyond_the_new_limit(limit: float, word: str) -> None:
    plant = standing(Place.ACTIVE)
    plant.read(95, quality=uncertain(Reason.CLOCK))
    answer = plant.edit(replace(BASE, limit=limit), by="li")
    assert ("refused" if isinstance(answer, Refusal) else answer[0].event) == word


def test_s20_a_bad_value_holds_nothing_against_a_laxer_limit() -> None:
    plant = standing(Place.ACTIVE)
    plant.read(float("nan"), quality=bad(Reason.COMM))
    assert isinstance(plant.edit(replace(BASE, limit=90.1), by="li"), Refusal)
    assert events(plant.edit(replace(BASE, limit=89.9), by="li")) == ["HH updated B"]


def test_s20_several_edits_in_one_go_by_the_strictest() -> None:
    plant = standing(Place.ACTIVE)
    assert isinstance(plant.edit(replace(BASE, limit=99, latch=True), by="li"), Refusal)
    kept = plant.engine.definition(BASE.id)
    assert kept == BASE, "refused whole"


def test_a_latch_switched_on_holds_from_the_next_raise_and_one_switched_off_leaves_what_is_latched() -> None:
    plant = standing(Place.ACTIVE)
    plant.edit(replace(BASE, latch=True), by="li")
    plant.read(50)
    plant.wait(5)
    assert events(plant.read(50)) == ["HH cleared D"]
    latched = standing(Place.LATCHED)
    latched.edit(BASE, by="li")
    assert latched.letters() == {"HH": "E"}


# hidden alarms


def test_s16_an_edit_under_a_shelf_leaves_the_shelf_and_comes_back_by_the_new_limit() -> None:
    plant = standing(Place.HIDDEN)
    shelf = plant.engine.shelves()[BASE.id]
    assert events(plant.edit(replace(BASE, limit=93, priority=Priority.RED), by="li")) == ["HH updated G"]
    assert plant.engine.shelves()[BASE.id] == shelf
    assert events(plant.wait(1_801))[-1] == "HH unshelved B"
    assert plant.told[-1].limit == 93


def masked(op: Op, **fields: object) -> Plant:
    """Return a plant whose H stands under a mask, or whose instrument is out of service."""
    high = alarm(LEVEL, 0, Kind.H, 80)
    plant = Plant([LEVEL], [high, BASE])
    plant.edit(masks=(MaskDef("cleaning", LEVEL.hazard_source, (high.id,)),))
    plant.read(85)
    until_ms = plant.now_ms + 20 * 60_000
    answer = plant.ask(op, comment="tank cleaning", until_ms=until_ms, second="wang", **fields)
    assert not isinstance(answer, Refusal), answer
    return plant


HIDING: list[tuple[Op, dict[str, object]]] = [
    (Op.MASK, {"mask": "cleaning"}),
    (Op.TAKE_OUT, {"tag": LEVEL.id, "permit": "P-17", "reason": "maintenance"}),
]


@pytest.mark.parametrize(("op", "fields"), HIDING)
def test_s17_s19_an_edit_of_a_hidden_alarm_keeps_what_hides_it(op: Op, fields: dict[str, object]) -> None:
    plant = masked(op, **fields)
    letter = plant.letters()["H"]
    edited = alarm(LEVEL, 0, Kind.H, 82, deadband=1)
    assert events(plant.edit(edited, by="li")) == [f"H updated {letter}"]
    assert plant.letters()["H"] == letter


@pytest.mark.parametrize(("op", "fields"), HIDING)
def test_s17_s19_an_alarm_removed_while_hidden_leaves_the_hiding_able_to_end(op: Op, fields: dict[str, object]) -> None:
    plant = masked(op, **fields)
    name = f"{LEVEL.id}#H"
    assert isinstance(plant.edit(removed=(name,), by="li"), Refusal)
    assert [t.event for t in plant.edit(removed=(name,), by="li", second="wang")] == ["closed"]  # type: ignore[union-attr]
    plant.wait(21 * 60)
    assert "H" not in plant.letters()
    assert plant.engine.open_masks() == {}
    assert plant.engine.out_of_service() == {}


# nothing differs


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(Place), st.permutations([0, 1, 2]))
def test_s20_saving_what_is_in_force_in_any_order_changes_nothing(place: Place, order: list[int]) -> None:
    others = [alarm(LEVEL, 0, Kind.H, 99.5), alarm(LEVEL, 0, Kind.L, 1)]
    plant = Plant([LEVEL], [BASE, *others])
    STAND[place](plant)
    before, version = plant.engine.snapshot(), plant.engine.register_version
    defined = [BASE, *others]
    seq = plant.seq
    for _ in range(20):
        assert plant.engine.redefine(seq, Changes(plant.now_ms, alarms=tuple(defined[n] for n in order), by="li")) == []
    assert plant.engine.register_version == version
    assert same(before, plant.engine.snapshot())


def test_an_edit_survives_a_restart_as_it_was() -> None:
    plant = standing(Place.PENDING)
    plant.edit(replace(BASE, on_delay_ms=9_000), by="li")
    twin = Engine.restore(plant.engine.snapshot())
    assert same(plant.engine.snapshot(), twin.snapshot())
    assert twin.definition(BASE.id) == replace(BASE, on_delay_ms=9_000)


def test_a_snapshot_names_what_came_after_the_one_before() -> None:
    plant = Plant([LEVEL], [BASE])
    plant.engine.snapshot()
    later = tag_def("LT-1102")
    assert plant.engine.redefine(plant.seq, Changes(plant.now_ms, tags=(later,))) == []
    twin = Engine.restore(plant.engine.snapshot())
    assert twin.explain(later.id, plant.now_ms) == plant.engine.explain(later.id, plant.now_ms)
    assert same(plant.engine.snapshot(), twin.snapshot())
