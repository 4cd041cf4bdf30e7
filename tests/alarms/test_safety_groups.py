"""SAFETY S12 and S18: votes only raise the priority, lost channels degrade them, and a blind group is an alarm."""

from dataclasses import replace
from typing import Any

import pytest
from davylamp_alarms.definition import AlarmDef, GroupDef, Kind, Member, PointKind, Priority, link_alarm_id
from davylamp_alarms.groups import mode, needed
from davylamp_alarms.transition import Condition, Op, Refusal, Transition, Why
from davylamp_wire.quality import GOOD, Reason, bad
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plant import NODE, SOURCE, Plant, alarm, events, tag_def

TAGS = [tag_def(f"AT-{n}", PointKind.GAS) for n in range(1, 7)]
STORE = f"{NODE}/device/store"
VOTE, LOST, BLIND = (f"{STORE}#{kind}" for kind in (Kind.VOTE, Kind.VOTE_LOST, Kind.BLIND))


def member(number: int) -> Member:
    name = TAGS[number].id
    return Member(f"{name}#L1", (f"{name}#FAULT", f"{name}#STALE", link_alarm_id(NODE, SOURCE)))


def group(count: int = 3, need: int = 2, blind_at: int = 2, **more: Any) -> GroupDef:
    members = tuple(member(number) for number in range(count))
    made = GroupDef(STORE, SOURCE, members, need, blind_at, Priority.RED, Priority.YELLOW, "氯库", "chlorine store")
    return replace(made, **more)


def store(count: int = 3, need: int = 2, blind_at: int = 2) -> Plant:
    """Detectors with L1 25 and a fault alarm each, all read well."""
    alarms: list[AlarmDef] = []
    for number in range(count):
        alarms += [alarm(TAGS[number], number, kind, limit) for kind, limit in
                   ((Kind.L1, 25.0), (Kind.FAULT, 0.0), (Kind.STALE, 0.0))]  # fmt: skip
    plant = Plant(TAGS[:count], alarms)
    assert plant.edit(groups=(group(count, need, blind_at),)) == []
    for number in range(count):
        plant.read(1, tag=number)
    return plant


def leak(plant: Plant, number: int) -> list[Transition]:
    return plant.read(30, tag=number)


def calm(plant: Plant, number: int) -> list[Transition]:
    return plant.read(1, tag=number)


def lose(plant: Plant, number: int) -> list[Transition]:
    return plant.read(float("nan"), tag=number, quality=bad(Reason.LOOP_LOW))


def of_group(told: list[Transition]) -> list[str]:
    return [f"{t.kind} {t.event} {t.value:g}" for t in told if t.alarm_id.startswith(STORE)]


def test_s18_each_detector_announces_alone_and_the_vote_comes_on_top() -> None:
    plant = store()
    assert events(leak(plant, 0)) == ["L1 raised B"]
    told = leak(plant, 1)
    assert events(told) == ["L1 raised B", "VOTE raised B"]
    assert [t.priority for t in told] == [Priority.YELLOW, Priority.RED]
    assert told[-1].seq == told[0].seq, "a vote delays nothing"
    assert (told[-1].value, told[-1].limit, told[-1].comment) == (2.0, 2.0, "2oo3")


def test_s18_a_vote_ends_when_too_few_stand_and_takes_no_member_with_it() -> None:
    plant = store()
    leak(plant, 0)
    leak(plant, 1)
    assert events(calm(plant, 0)) == ["L1 cleared D", "VOTE cleared D"]
    assert plant.letters() == {"L1": "B", "VOTE": "D"}


@pytest.mark.parametrize(("lost", "votes", "least"), [(0, "2oo3", 2), (1, "1oo2", 1), (2, "1oo1", 1), (3, "1oo0", 1)])
def test_s18_a_bad_channel_degrades_the_vote(lost: int, votes: str, least: int) -> None:
    assert mode(group(), lost) == votes
    assert needed(group(), lost) == least


def test_s18_with_one_channel_lost_one_detector_is_enough() -> None:
    plant = store()
    lose(plant, 2)
    told = leak(plant, 0)
    assert events(told) == ["L1 raised B", "VOTE raised B"]
    assert told[-1].comment == "1oo2"


def test_s18_losing_a_channel_can_raise_a_vote_and_never_ends_one() -> None:
    plant = store()
    leak(plant, 0)
    assert of_group(lose(plant, 1)) == ["VOTE raised 1"]
    assert of_group(lose(plant, 0)) == ["VOTE updated 1", "BLIND raised 2"]
    assert of_group(lose(plant, 2)) == ["VOTE updated 1", "VOTE_LOST raised 3", "BLIND updated 3"]
    assert plant.letters()["VOTE"] == "B"


def test_s18_with_every_channel_lost_the_vote_is_lost_at_its_own_priority() -> None:
    plant = store()
    for number in range(3):
        told = lose(plant, number)
    lost = next(t for t in told if t.kind is Kind.VOTE_LOST)
    assert (lost.priority, lost.value, lost.limit) == (Priority.RED, 3.0, 3.0)
    assert of_group(calm(plant, 0)) == ["VOTE_LOST cleared 2", "BLIND updated 2"]


def test_s12_a_blind_group_says_how_many_of_how_many_and_is_as_loud_as_what_it_guards() -> None:
    plant = store(count=6, need=0, blind_at=4)
    for number in range(3):
        assert of_group(lose(plant, number)) == []
    told = lose(plant, 3)
    assert of_group(told) == ["BLIND raised 4"]
    assert told[-1].priority is Priority.YELLOW
    assert of_group(lose(plant, 4)) == ["BLIND updated 5"]
    assert of_group(calm(plant, 4)) == ["BLIND updated 4"]
    assert of_group(calm(plant, 3)) == ["BLIND cleared 3"]


def test_s12_a_lost_link_blinds_the_whole_group_in_one_record() -> None:
    plant = store()
    told = plant.link(False)
    assert of_group(told) == ["VOTE_LOST raised 3", "BLIND raised 3"]
    assert {t.seq for t in told} == {plant.seq}


def test_s19_a_detector_out_of_service_is_a_lost_channel() -> None:
    plant = store()
    until_ms = plant.now_ms + 20_000  # before anything goes stale
    for number in (0, 1):
        told = plant.ask(Op.TAKE_OUT, tag=TAGS[number].id, reason="calibration", permit="1", comment="x",
                         second="wang", until_ms=until_ms)  # fmt: skip
    assert isinstance(told, list)
    assert of_group(told) == ["BLIND raised 2"]
    assert of_group(leak(plant, 2)) == ["VOTE raised 1"]
    assert of_group(plant.wait(21)) == ["VOTE cleared 1", "BLIND cleared 0"]


def test_s18_a_vote_that_no_channel_can_give_any_more_is_not_cleared_by_that() -> None:
    plant = store(count=2)
    leak(plant, 0)
    leak(plant, 1)
    until_ms = plant.now_ms + 20_000
    for number in (0, 1):
        plant.ask(Op.TAKE_OUT, tag=TAGS[number].id, reason="calibration", permit="1", comment="x", second="wang",
                  until_ms=until_ms)  # fmt: skip
    told = [*calm(plant, 0), *calm(plant, 1)]
    assert [step for step in told if step.alarm_id == VOTE and step.event == "cleared"] == []
    told = plant.wait(21)
    assert [step.event for step in told if step.alarm_id == VOTE] == ["cleared"], "its channels are back, and calm"


def test_s18_a_vote_below_its_members_is_refused() -> None:
    plant = store()
    answer = plant.edit(groups=(group(priority=Priority.BLUE),))
    assert isinstance(answer, Refusal)
    assert answer.why is Why.BAD_EDIT
    for wrong in ({"need": 4}, {"blind_at": -1}, {"members": (member(0), member(0))}):
        assert isinstance(plant.edit(groups=(group(**wrong),)), Refusal)


def test_s20_a_group_that_is_saved_unchanged_changes_nothing() -> None:
    plant = store()
    leak(plant, 0)
    leak(plant, 1)
    version = plant.engine.register_version
    for _ in range(100):
        assert plant.edit(groups=(group(),)) == []
    assert plant.engine.register_version == version


def test_s20_a_change_of_a_group_that_ends_its_vote_needs_two_persons() -> None:
    plant = store()
    leak(plant, 0)
    leak(plant, 1)
    strict = group(need=3)
    answer = plant.edit(groups=(strict,), by="li")
    assert isinstance(answer, Refusal)
    assert VOTE in answer.en
    assert of_group(plant.edit(groups=(strict,), by="li", second="wang")) == ["VOTE closed 2"]  # type: ignore[arg-type]
    assert of_group(leak(plant, 2)) == ["VOTE raised 3"]


def test_s20_removing_a_group_ends_its_alarms_only_by_two_persons() -> None:
    plant = store()
    leak(plant, 0)
    leak(plant, 1)
    assert isinstance(plant.edit(removed_groups=(STORE,), by="li"), Refusal)
    assert of_group(plant.edit(removed_groups=(STORE,), by="li", second="wang")) == ["VOTE closed 2"]  # type: ignore[arg-type]
    assert plant.engine.groups() == {}
    assert of_group(leak(plant, 2)) == []


def test_a_laxer_vote_is_met_at_once() -> None:
    plant = store()
    leak(plant, 0)
    assert of_group(plant.edit(groups=(group(need=1),), by="li")) == ["VOTE raised 1"]  # type: ignore[arg-type]


def test_a_group_survives_a_restart_with_its_count() -> None:
    plant = store()
    leak(plant, 0)
    lose(plant, 1)
    plant.restart(1)
    assert of_group(calm(plant, 1)) == ["VOTE cleared 1"]


moves = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["leak", "calm", "lose", "late"])), max_size=40)


@settings(max_examples=200, deadline=None)
@given(moves, st.integers(1, 4), st.integers(1, 4))
def test_s18_the_vote_is_what_counting_all_members_says(moved: list[tuple[int, str]], need: int, blind_at: int) -> None:
    plant = store(4, need, blind_at)
    active, lost, voted = [False] * 4, [False] * 4, False
    for number, what in moved:
        if what == "leak":
            leak(plant, number)
            active[number] = True
            lost[number] = False
        elif what == "calm":
            calm(plant, number)
            active[number] = lost[number] = False
        elif what == "lose":
            lose(plant, number)
            lost[number] = True
        else:
            plant.read_at(30, plant.now_ms - 600_000, GOOD, number, late=True)
            continue
        enough = sum(active) >= max(1, need - sum(lost))
        voted = enough or (voted and sum(lost) == 4)
        assert stands(plant) == {
            name for name, is_met in ((VOTE, voted), (LOST, sum(lost) == 4), (BLIND, sum(lost) >= blind_at)) if is_met
        }


def stands(plant: Plant) -> set[str]:
    return {r.alarm for r in plant.engine.standing() if r.alarm.startswith(STORE) and r.state.condition is ACTIVE}


ACTIVE = Condition.ACTIVE
