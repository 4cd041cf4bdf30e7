"""SAFETY S15 to S19: masks, instruments out of service, the glass that one person breaks, and what each would hide."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from davylamp_alarms.definition import AlarmDef, Kind, MaskDef, PointKind, Priority, TagDef
from davylamp_alarms.engine import Engine
from davylamp_alarms.hiding import MAX_MASK_MS, MAX_OUT_MS
from davylamp_alarms.persons import REVIEW_MS
from davylamp_alarms.preview import Preview
from davylamp_alarms.transition import Command, Op, Refusal, Suppression, Transition, Why
from davylamp_wire.quality import Reason, bad
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plant import NODE, SOURCE, Plant, alarm, events, tag_def

GAS = replace(tag_def("AT-1", PointKind.GAS), range=(0.0, 100.0))
PEOPLE = tag_def("count", PointKind.STATUS)
SWITCH = tag_def("blast", PointKind.STATUS)
FIRST, SECOND, OVER = (f"{GAS.id}#{kind}" for kind in (Kind.L1, Kind.L2, Kind.OVER_RANGE))
STUCK = f"{SWITCH.id}#MASK"
BLASTING = MaskDef("blasting", SOURCE, (FIRST, f"{GAS.id}#STALE"), PEOPLE.id, SWITCH.id, "爆破", "blasting")
POSITION = NODE.split("/")[0]


def drift() -> Plant:
    """A gas detector, the count of who is inside, and the switch of the blasting mask; nobody is inside, it is on."""
    alarms: list[AlarmDef] = [
        alarm(GAS, 0, Kind.L1, 25),
        alarm(GAS, 0, Kind.L2, 50, latch=True),
        alarm(GAS, 0, Kind.OVER_RANGE, 100),
        alarm(GAS, 0, Kind.STALE),
        alarm(SWITCH, 2, Kind.MASK, 0.5, on_delay_ms=MAX_MASK_MS),
    ]
    plant = Plant([GAS, PEOPLE, SWITCH], alarms)
    assert plant.edit(masks=(BLASTING,)) == []
    plant.read(1)
    plant.read(0, tag=1)
    plant.read(1, tag=2)
    return plant


def mask(plant: Plant, minutes: float = 30, **fields: Any) -> list[Transition] | Refusal:
    wanted = {"mask": "blasting", "comment": "round 7", "until_ms": plant.now_ms + round(minutes * 60_000)}
    return plant.ask(Op.MASK, **{**wanted, **fields})


def take_out(plant: Plant, hours: float = 2, **fields: Any) -> list[Transition] | Refusal:
    until_ms = plant.now_ms + round(hours * 3_600_000)
    wanted = {"tag": GAS.id, "reason": "calibration", "permit": "HW-17", "comment": "yearly", "until_ms": until_ms}
    return plant.ask(Op.TAKE_OUT, **{**wanted, **fields})


def why(answer: object) -> Why:
    assert isinstance(answer, Refusal), answer
    assert answer.zh
    assert answer.en
    return answer.why


# masks


def test_s17_a_mask_names_a_person_hides_what_it_covers_and_leaves_the_ceiling_live() -> None:
    plant = drift()
    assert events(mask(plant)) == ["L1 suppressed H", "STALE suppressed H"]
    assert {(t.actor, t.comment) for t in plant.told[-2:]} == {("li", "round 7")}
    assert plant.engine.open_masks()["blasting"].by == "li"
    told = plant.read(60)
    assert events(told) == ["L1 raised H", "L2 raised B"]


def test_s17_a_mask_ends_by_tick_after_thirty_minutes_at_the_latest() -> None:
    plant = drift()
    assert why(mask(plant, minutes=31)) is Why.BAD_EXPIRY
    mask(plant)
    until_ms = plant.engine.open_masks()["blasting"].until_ms
    plant.pass_time(30 * 60 - 5)
    plant.tick()
    assert plant.engine.open_masks()
    told = [t for t in plant.wait(6) if t.event == "unsuppressed"]
    assert [t.due_ms for t in told] == [until_ms, until_ms]
    assert not plant.engine.open_masks()


def test_s17_what_began_under_a_mask_comes_back_unacknowledged() -> None:
    plant = drift()
    mask(plant)
    plant.read(30)
    assert events(plant.ask(Op.UNMASK, mask="blasting")) == ["L1 unsuppressed B", "STALE unsuppressed A"]
    assert plant.letters() == {"L1": "B"}


@pytest.mark.parametrize(
    ("value", "quality"), [(1.0, 0), (0.0, bad(Reason.COMM)), (0.5, 0)], ids=["somebody", "not good", "half"]
)
def test_s17_a_mask_is_refused_while_anybody_may_be_inside(value: float, quality: int) -> None:
    plant = drift()
    plant.read(value, tag=1, quality=quality)
    assert why(mask(plant)) is Why.OCCUPIED
    assert not plant.engine.open_masks()


def test_s17_a_count_of_people_that_is_old_or_never_came_is_no_zero() -> None:
    plant = drift()
    plant.pass_time(31)
    plant.read(1, tag=2)
    assert why(mask(plant)) is Why.OCCUPIED
    unborn = replace(BLASTING, id="other", people="park/edge-1/device/never")
    plant.edit(masks=(BLASTING, unborn))
    assert why(mask(plant, mask="other")) is Why.OCCUPIED


def test_s17_a_mask_needs_its_switch_and_ends_with_it() -> None:
    plant = drift()
    plant.read(0, tag=2)
    assert why(mask(plant)) is Why.NOT_ARMED
    plant.read(1, tag=2)
    mask(plant)
    plant.read(0, tag=2, quality=bad(Reason.COMM))
    assert not [t for t in plant.wait(1) if t.event == "unsuppressed"], "a switch that cannot be read ends nothing"
    plant.read(0, tag=2)
    assert [t.event for t in plant.wait(1)] == ["unsuppressed", "unsuppressed"]


def test_s17_a_mask_input_that_sticks_is_an_alarm() -> None:
    plant = drift()
    told = [t for _ in range(31) for t in (*plant.read(1, after_s=60, tag=2), *plant.tick())]
    assert [t.alarm_id for t in told if t.event == "raised" and t.kind is Kind.MASK] == [STUCK]


def test_s17_no_mask_may_name_a_ceiling_limit() -> None:
    plant = drift()
    answer = plant.edit(masks=(replace(BLASTING, alarms=(FIRST, SECOND, OVER)),))
    assert why(answer) is Why.BAD_EDIT
    assert isinstance(answer, Refusal)
    assert SECOND in answer.en
    assert OVER in answer.en
    assert plant.engine.masks()["blasting"] == BLASTING


def test_s17_what_is_red_and_measured_stays_live_whatever_a_mask_names() -> None:
    plant = drift()
    plant.edit(alarm(GAS, 0, Kind.L1, 25, priority=Priority.RED))
    assert events(mask(plant)) == ["STALE suppressed H"]


def test_s17_a_mask_hides_nothing_of_another_hazard_source() -> None:
    """Whoever may open the masks of one store may not silence its neighbour by a wrong line in the config."""
    plant = drift()
    assert plant.edit(masks=(replace(BLASTING, hazard_source="next-door"),)) == []
    assert mask(plant) == []
    assert events(plant.read(30)) == ["L1 raised B"]


def test_s17_two_masks_over_one_alarm_hide_it_until_both_are_over() -> None:
    plant = drift()
    cleaning = replace(BLASTING, id="cleaning", people="", input="")
    plant.edit(masks=(BLASTING, cleaning))
    mask(plant)
    assert events(mask(plant, mask="cleaning")) == []
    assert events(plant.ask(Op.UNMASK, mask="blasting")) == []
    assert events(plant.ask(Op.UNMASK, mask="cleaning")) == ["L1 unsuppressed A", "STALE unsuppressed A"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"mask": "nobody"}, Why.UNKNOWN), ({"comment": " "}, Why.NO_REASON), ({"until_ms": 0}, Why.BAD_EXPIRY)],
)
def test_s17_a_mask_that_is_not_whole_is_refused(fields: dict[str, Any], reason: Why) -> None:
    assert why(mask(drift(), **fields)) is reason


def test_s17_a_mask_is_opened_once_and_closed_once() -> None:
    plant = drift()
    assert why(plant.ask(Op.UNMASK, mask="blasting")) is Why.ILLEGAL
    mask(plant)
    assert why(mask(plant)) is Why.ILLEGAL


def test_s17_a_mask_survives_a_restart_and_ends_while_the_host_was_down() -> None:
    plant = drift()
    mask(plant)
    plant.restart(31 * 60)
    assert [t.event for t in plant.tick() if t.kind is Kind.L1] == ["unsuppressed"]


# out of service


def test_s19_an_instrument_goes_out_with_all_its_alarms_under_a_permit() -> None:
    plant = drift()
    assert why(take_out(plant)) is Why.SECOND_PERSON
    told = take_out(plant, second="wang")
    assert events(told) == [f"{kind} taken_out_of_service I" for kind in ("L1", "L2", "OVER_RANGE", "STALE")]
    out = plant.engine.out_of_service()[GAS.id]
    assert (out.by, out.reason, out.permit, out.comment) == ("li + wang", "calibration", "HW-17", "yearly")


def test_s19_out_of_service_is_still_recorded_and_comes_back_unacknowledged() -> None:
    plant = drift()
    take_out(plant, second="wang")
    assert events(plant.read(60)) == ["L1 raised I", "L2 raised I"]
    told = plant.ask(Op.RETURN, tag=GAS.id, comment="done", range=(0.0, 100.0))
    assert events(told) == [f"{kind} returned_to_service {letter}" for kind, letter in
                            (("L1", "B"), ("L2", "B"), ("OVER_RANGE", "A"), ("STALE", "A"))]  # fmt: skip


def test_s19_an_instrument_with_another_range_does_not_return() -> None:
    plant = drift()
    take_out(plant, second="wang")
    answer = plant.ask(Op.RETURN, tag=GAS.id, range=(0.0, 50.0))
    assert why(answer) is Why.RANGE
    assert isinstance(answer, Refusal)
    assert "0..50" in answer.en
    assert "0..100" in answer.en
    assert GAS.id in plant.engine.out_of_service()
    assert not isinstance(plant.ask(Op.RETURN, tag=GAS.id), Refusal)


def test_s19_it_ends_by_tick_and_says_when_it_was_due() -> None:
    plant = drift()
    assert why(take_out(plant, hours=MAX_OUT_MS / 3_600_000 + 1, second="wang")) is Why.BAD_EXPIRY
    take_out(plant, hours=1, second="wang")
    until_ms = plant.engine.out_of_service()[GAS.id].until_ms
    plant.restart(2 * 3600)
    returned = [t for t in plant.tick() if t.event == "returned_to_service"]
    assert {t.due_ms for t in returned} == {until_ms}
    assert len(returned) == 4


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tag": "nobody"}, Why.UNKNOWN),
        ({"reason": "holiday"}, Why.NO_REASON),
        ({"permit": " "}, Why.NO_REASON),
        ({"comment": ""}, Why.NO_REASON),
        ({"until_ms": 0}, Why.BAD_EXPIRY),
        ({"second": "LI"}, Why.SECOND_PERSON),
    ],
)
def test_s19_taking_out_without_what_it_needs_is_refused(fields: dict[str, Any], reason: Why) -> None:
    plant = drift()
    assert why(take_out(plant, **{"second": "wang", **fields})) is reason
    assert not plant.engine.out_of_service()


def test_s19_out_and_back_each_only_once() -> None:
    plant = drift()
    assert why(plant.ask(Op.RETURN, tag=GAS.id)) is Why.ILLEGAL
    take_out(plant, second="wang")
    assert why(take_out(plant, second="wang")) is Why.ILLEGAL


def test_s19_leaving_one_reason_to_be_hidden_leaves_no_other() -> None:
    plant = drift()
    take_out(plant, second="wang")
    mask(plant)
    plant.shelve(FIRST)
    hidden = next(r for r in plant.engine.standing() if r.alarm == FIRST).state.suppressions
    assert hidden == set(Suppression)
    plant.ask(Op.UNMASK, mask="blasting")
    plant.ask(Op.UNSHELVE, alarm=FIRST)
    assert plant.letters()["L1"] == "I"


# one person alone


def test_s15_one_person_breaks_the_glass_where_nobody_else_is_on_duty() -> None:
    plant = drift()
    long = "alone at night, detector floods the list"
    assert why(take_out(plant, break_glass=True, comment=long)) is Why.SECOND_PERSON
    plant.edit(one_person=(POSITION,))
    assert why(take_out(plant)) is Why.SECOND_PERSON
    assert why(take_out(plant, break_glass=True, comment="short")) is Why.NO_REASON
    told = take_out(plant, break_glass=True, comment=long)
    assert isinstance(told, list)
    assert all(t.break_glass and t.actor == "li" for t in told)
    (owed,) = plant.engine.reviews().values()
    assert (owed.by, owed.op, owed.subject, owed.due_ms) == ("li", "take_out", GAS.id, plant.now_ms + REVIEW_MS)


def test_s15_the_park_reviews_it_and_nobody_reviews_their_own_act() -> None:
    plant = drift()
    plant.edit(one_person=(POSITION,))
    plant.ask(Op.SHELVE, alarm=SECOND, comment="alone at night, sensor is wet", break_glass=True,
              until_ms=plant.now_ms + 60_000)  # fmt: skip
    (name,) = plant.engine.reviews()
    asked = {"review": name, "comment": "seen"}
    assert why(plant.ask(Op.REVIEW, review="0")) is Why.UNKNOWN
    assert why(plant.ask(Op.REVIEW, role="operator", **asked)) is Why.ROLE
    assert why(plant.ask(Op.REVIEW, role="administrator", **asked)) is Why.SECOND_PERSON
    assert why(review(plant, name, comment="")) is Why.NO_REASON
    assert review(plant, name, comment="seen") == []
    assert not plant.engine.reviews()


def review(plant: Plant, name: str, comment: str) -> object:
    act = Command(Op.REVIEW, by="zhao", role="regulator", at_ms=plant.now_ms, review=name, comment=comment)
    return plant.engine.command(plant.seq + 1, act)


# previews


def test_s16_a_preview_shows_what_is_hidden_and_heard_and_changes_nothing() -> None:
    plant = drift()
    plant.read(30)
    before = plant.engine.snapshot()
    found = preview(plant, Op.MASK, mask="blasting")
    assert [(seen.alarm, seen.stands) for seen in found.hidden] == [(FIRST, True), (f"{GAS.id}#STALE", False)]
    assert [seen.alarm for seen in found.heard] == [SECOND, OVER]
    assert preview(plant, Op.TAKE_OUT, tag=GAS.id, reason="calibration", permit="1").two
    assert preview(plant, Op.SHELVE, alarm=SECOND).two
    assert not preview(plant, Op.SHELVE, alarm=FIRST).two
    assert same(before, plant.engine)


def preview(plant: Plant, op: Op, **fields: Any) -> Preview:
    act = Command(op, by="li", at_ms=plant.now_ms, comment="x", until_ms=plant.now_ms + 60_000, **fields)
    found = plant.engine.preview(act)
    assert isinstance(found, Preview), found
    return found


def same(before: dict[str, Any], engine: Engine) -> bool:
    after = engine.snapshot()
    return all(bytes(before[name]) == bytes(after[name]) for name in before)


def test_s16_shelves_of_one_position_end_apart_and_never_later_than_asked() -> None:
    plant = many()
    asked_ms = plant.now_ms + 60 * 60_000
    for number in range(40):
        plant.ask(Op.SHELVE, alarm=f"{many_tag(number).id}#H", comment="trip", until_ms=asked_ms)
    ends = sorted(shelf.until_ms for shelf in plant.engine.shelves().values())
    assert ends[-1] == asked_ms
    apart = [end for end in ends if ends.count(end) == 1]
    assert len(apart) >= 29
    assert all(later - sooner >= 60_000 for sooner, later in pairwise(apart))
    assert ends[0] >= plant.now_ms + 30 * 60_000


def many_tag(number: int) -> TagDef:
    return tag_def(f"LT-{number}")


def many() -> Plant:
    tags = [many_tag(number) for number in range(40)]
    return Plant(tags, [alarm(tag, number, Kind.H, 80) for number, tag in enumerate(tags)])


acts = st.lists(
    st.one_of(
        st.tuples(st.just(Op.MASK), st.just({"mask": "blasting"})),
        st.tuples(st.just(Op.UNMASK), st.just({"mask": "blasting"})),
        st.tuples(st.just(Op.TAKE_OUT), st.just({"tag": GAS.id, "reason": "calibration", "permit": "1"})),
        st.tuples(st.just(Op.RETURN), st.just({"tag": GAS.id})),
        st.tuples(st.just(Op.SHELVE), st.sampled_from([{"alarm": FIRST}, {"alarm": SECOND}])),
        st.tuples(st.just(Op.UNSHELVE), st.sampled_from([{"alarm": FIRST}, {"alarm": SECOND}])),
        st.tuples(st.just(None), st.sampled_from([{"value": 30.0}, {"value": 1.0}, {"seconds": 400}])),
    ),
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(acts)
def test_s16_an_alarm_is_hidden_exactly_while_something_hides_it(done: list[tuple[Op | None, dict[str, Any]]]) -> None:
    plant = drift()
    for op, fields in done:
        if op is not None:
            plant.ask(op, comment="x", second="wang", until_ms=plant.now_ms + 900_000, **fields)
        elif "seconds" in fields:
            plant.pass_time(fields["seconds"])
            plant.tick()
        else:
            plant.read(fields["value"])
            plant.read(0, after_s=0, tag=1)
            plant.read(1, after_s=0, tag=2)
        assert hidden(plant) == wanted(plant)


def hidden(plant: Plant) -> dict[str, frozenset[Suppression]]:
    return {r.alarm: r.state.suppressions for r in plant.engine.standing() if r.state.suppressions}


def wanted(plant: Plant) -> dict[str, frozenset[Suppression]]:
    found: dict[str, set[Suppression]] = {}
    for name in plant.engine.shelves():
        found.setdefault(name, set()).add(Suppression.SHELVED)
    for opened in plant.engine.open_masks().values():
        for name in opened.alarms:
            found.setdefault(name, set()).add(Suppression.BY_DESIGN)
    for _ in plant.engine.out_of_service():
        for kind in (Kind.L1, Kind.L2, Kind.OVER_RANGE, Kind.STALE):
            found.setdefault(f"{GAS.id}#{kind}", set()).add(Suppression.OUT_OF_SERVICE)
    return {name: frozenset(reasons) for name, reasons in found.items()}
