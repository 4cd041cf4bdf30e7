"""SAFETY S15, S16, S20, S23, S25: shelves, edits, numbers, ties."""

from collections import defaultdict

import pytest
from davylamp_alarms.definition import AlarmDef, Kind, PointKind, Priority
from davylamp_alarms.hiding import MAX_SHELF_MS
from davylamp_alarms.transition import Command, Event, Op, Refusal, Suppression, Why
from davylamp_wire.quality import Reason, bad
from support.plant import Plant, alarm, events, tag_def

LEVEL = tag_def("LT-1101")
FIRE = tag_def("FT-1", PointKind.FIRE)
HIGH, HIGH_HIGH = f"{LEVEL.id}#H", f"{LEVEL.id}#HH"


def tank() -> Plant:
    """One level with H 80 and HH 90, and a flame detector."""
    alarms = [alarm(LEVEL, 0, Kind.H, 80), alarm(LEVEL, 0, Kind.HH, 90), alarm(FIRE, 1, Kind.H, 0.5)]
    plant = Plant([LEVEL, FIRE], alarms)
    plant.read(50)
    return plant


def refused(answer: object) -> Why:
    assert isinstance(answer, Refusal), answer
    assert answer.zh
    assert answer.en
    return answer.why


@pytest.mark.parametrize("name", [HIGH_HIGH, f"{FIRE.id}#H"])
def test_s15_nobody_shelves_high_high_or_fire_alone(name: str) -> None:
    plant = tank()
    assert refused(plant.shelve(name)) is Why.SECOND_PERSON
    assert refused(plant.shelve(name, second=" LI ")) is Why.SECOND_PERSON
    told = plant.shelve(name, second="wang")
    assert events(told) == [f"{name.rpartition('#')[2]} shelved G"]
    assert plant.told[-1].actor == "li + wang"


def test_s15_a_red_priority_needs_two_persons_whatever_the_kind() -> None:
    plant = tank()
    plant.edit(alarm(LEVEL, 0, Kind.H, 80, priority=Priority.RED))
    assert refused(plant.shelve(HIGH)) is Why.SECOND_PERSON


def test_s15_nothing_shelves_itself() -> None:
    plant = tank()
    for value in (85, 50) * 200:
        plant.read(value, after_s=0.1)
    plant.wait(10)
    assert not plant.engine.shelves()
    assert Event.SHELVED not in {t.event for t in plant.told}


def test_s16_a_shelf_needs_a_reason_and_an_expiry_within_a_shift() -> None:
    plant = tank()
    assert refused(plant.shelve(HIGH, comment="  ")) is Why.NO_REASON
    for minutes in (0, -1, MAX_SHELF_MS / 60_000 + 1):
        assert refused(plant.shelve(HIGH, minutes=minutes)) is Why.BAD_EXPIRY
    assert refused(plant.shelve("park/edge-1/device/none#H")) is Why.UNKNOWN
    assert not plant.engine.shelves()


def test_s16_a_shelf_covers_its_own_limit_and_never_the_higher_one() -> None:
    plant = tank()
    plant.shelve(HIGH)
    assert events(plant.read(95)) == ["HH raised B", "H raised G"]


def test_s16_what_is_shelved_is_still_evaluated_and_written() -> None:
    plant = tank()
    plant.shelve(HIGH)
    told = [*plant.read(85), *plant.read(50)]
    assert events(told) == ["H raised G", "H cleared G"]
    assert told[0].suppressions == (Suppression.SHELVED,)


def test_s16_the_engine_itself_ends_a_shelf_by_tick() -> None:
    plant = tank()
    plant.shelve(HIGH, minutes=10)
    due_ms = plant.now_ms + 600_000
    assert plant.wait(599) == []
    told = plant.wait(1)
    assert events(told) == ["H unshelved A"]
    assert told[0].due_ms == due_ms
    assert not plant.engine.shelves()


def test_s16_what_began_under_a_shelf_comes_back_unacknowledged() -> None:
    for manual in (True, False):
        plant = tank()
        plant.shelve(HIGH, minutes=10)
        plant.read(85)
        told = plant.ask(Op.UNSHELVE, alarm=HIGH) if manual else plant.wait(600)
        assert events(told) == ["H unshelved B"]


def test_s16_what_was_acknowledged_before_the_shelf_stays_acknowledged() -> None:
    plant = tank()
    plant.acknowledge(plant.read(85)[0])
    plant.shelve(HIGH)
    assert events(plant.ask(Op.UNSHELVE, alarm=HIGH)) == ["H unshelved C"]


def test_s16_a_shelved_occurrence_cannot_be_acknowledged() -> None:
    plant = tank()
    plant.shelve(HIGH)
    assert refused(plant.acknowledge(plant.read(85)[0])) is Why.ILLEGAL


def test_s16_a_shelf_hides_both_lanes_and_gives_both_back() -> None:
    plant = tank()
    plant.shelve(HIGH_HIGH, second="wang")
    plant.wait(60)
    plant.read(50)
    assert events(plant.backlog(95, 20))[0] == "HH raised G"
    plant.read(95)
    assert sorted(events(plant.ask(Op.UNSHELVE, alarm=HIGH_HIGH))) == ["HH unshelved B", "HH unshelved E"]


def test_s16_a_shelf_survives_a_restart_and_ends_while_the_host_was_down() -> None:
    plant = tank()
    plant.shelve(HIGH, minutes=10)
    plant.restart(down_s=3_600)
    assert events(plant.tick()) == ["H unshelved A"]


def test_s16_a_shelf_lasts_as_long_as_was_said_whatever_the_hosts_clock_does() -> None:
    for jump_ms in (3_600_000, -3_600_000):
        plant = tank()
        plant.shelve(HIGH, minutes=10)
        plant.now_ms += jump_ms
        assert plant.wait(599) == []
        assert events(plant.wait(1)) == ["H unshelved A"]


def test_s16_shelving_twice_and_unshelving_nothing_are_refused() -> None:
    plant = tank()
    assert refused(plant.ask(Op.UNSHELVE, alarm=HIGH)) is Why.ILLEGAL
    plant.shelve(HIGH)
    assert refused(plant.shelve(HIGH)) is Why.ILLEGAL


def test_a_command_for_the_past_is_refused_and_changes_nothing() -> None:
    plant = tank()
    raised = plant.read(85)[0]
    plant.acknowledge(raised)
    before = plant.engine.standing()
    assert refused(plant.acknowledge(raised)) is Why.STALE_VERSION
    assert refused(plant.acknowledge(plant.told[-1])) is Why.ILLEGAL
    assert refused(plant.ask(Op.ACKNOWLEDGE, occurrence="tank-farm-99", version=1)) is Why.UNKNOWN
    assert plant.engine.standing() == before


def raised_limit(value: float = 97, **more: object) -> AlarmDef:
    return alarm(LEVEL, 0, Kind.HH, value, **more)


def test_s20_an_edit_that_ends_a_standing_alarm_is_refused_to_one_person() -> None:
    plant = tank()
    plant.read(95)
    assert refused(plant.edit(raised_limit(), by="li")) is Why.SECOND_PERSON
    assert refused(plant.edit(raised_limit(), by="li", second="Li")) is Why.SECOND_PERSON
    known = plant.engine.definition(HIGH_HIGH)
    assert known is not None
    assert known.limit == 90
    assert plant.letters() == {"HH": "B", "H": "B"}


def test_s20_two_persons_close_it_and_the_journal_says_how() -> None:
    plant = tank()
    plant.read(95)
    told = plant.edit(raised_limit(), by="li", second="wang")
    assert events(told) == ["HH closed A"]
    assert isinstance(told, list)
    assert "closed by limit change" in told[0].comment
    assert told[0].actor == "li + wang"
    assert plant.read(96) == []
    assert events(plant.read(97)) == ["HH raised B"]


def test_s20_removing_a_shelved_alarm_that_was_never_raised_touches_no_other() -> None:
    plant = tank()
    plant.read(95)
    plant.shelve(f"{FIRE.id}#H", second="wang")
    told = plant.edit(removed=(f"{FIRE.id}#H",), by="li", second="wang")
    assert isinstance(told, list)
    assert [t.event for t in told] == ["closed"]
    assert plant.letters() == {"H": "B", "HH": "B"}
    assert events(plant.read(50)) == ["HH cleared D", "H cleared D"]


def test_s20_removing_a_standing_alarm_needs_two_persons() -> None:
    plant = tank()
    plant.read(95)
    assert refused(plant.edit(removed=(HIGH_HIGH,), by="li")) is Why.SECOND_PERSON
    assert events(plant.edit(removed=(HIGH_HIGH,), by="li", second="wang")) == ["HH closed A"]
    assert plant.engine.definition(HIGH_HIGH) is None
    assert plant.letters() == {"H": "B"}
    assert events(plant.read(50)) == ["H cleared D"]


def test_s20_with_a_bad_value_a_laxer_limit_counts_as_ending() -> None:
    plant = tank()
    plant.read(95)
    plant.read(float("nan"), quality=bad(Reason.DEVICE_FAULT))
    assert refused(plant.edit(raised_limit(91), by="li")) is Why.SECOND_PERSON


def test_an_edit_that_ends_nothing_is_one_persons_and_keeps_the_occurrence() -> None:
    plant = tank()
    plant.acknowledge(next(t for t in plant.read(95) if t.kind is Kind.HH))
    told = plant.edit(raised_limit(92, on_delay_ms=5_000), by="li")
    assert events(told) == ["HH updated C"]
    assert plant.letters() == {"HH": "C", "H": "B"}


def test_an_edit_that_changes_nothing_gives_no_transition() -> None:
    plant = tank()
    plant.read(85)
    version = plant.engine.register_version
    for _ in range(1_000):
        assert plant.edit(alarm(LEVEL, 0, Kind.HH, 90), alarm(LEVEL, 0, Kind.H, 80)) == []
    assert plant.engine.register_version == version


def test_a_stricter_limit_raises_at_once_and_a_new_one_on_an_old_tag_too() -> None:
    plant = tank()
    assert events(plant.edit(alarm(LEVEL, 0, Kind.H, 45))) == ["H raised B"]
    assert events(plant.edit(alarm(LEVEL, 0, Kind.L, 60))) == ["L raised B"]
    assert events(plant.read(70)) == ["L cleared D"]
    assert plant.letters() == {"H": "B", "L": "D"}


def test_a_new_limit_on_an_old_tag_leaves_its_neighbours_alone() -> None:
    tags = [tag_def(f"LT-{n}") for n in range(4)]
    plant = Plant(tags, [alarm(tag, n, Kind.HH, 90, off_delay_ms=5_000) for n, tag in enumerate(tags)])
    for n in range(4):
        plant.read(95, tag=n)
    plant.read(50, tag=2)
    plant.edit(alarm(tags[1], 1, Kind.L1, 10))
    assert len(plant.letters()) == 2
    plant.wait(5)
    assert events(plant.read(50, tag=2)) == ["HH cleared D"]
    plant.edit(removed=(f"{tags[0].id}#HH",), by="li", second="wang")
    assert events(plant.read(96, tag=2)) == ["HH raised B"]
    assert plant.read(96, tag=3) == []


def test_new_tags_take_the_next_indices() -> None:
    plant = tank()
    new = tag_def("PT-1")
    plant.edit(alarm(new, 2, Kind.H, 5), tags=(new,))
    assert events(plant.read(6, tag=2)) == ["H raised B"]
    assert refused(plant.edit(tags=(new,))) is Why.BAD_EDIT
    assert refused(plant.edit(alarm(new, 7, Kind.HH, 5))) is Why.BAD_EDIT
    assert refused(plant.edit(alarm(new, 1, Kind.HH, 5))) is Why.BAD_EDIT
    assert refused(plant.edit(alarm(new, 2, Kind.HH, float("nan")))) is Why.BAD_EDIT


def test_s23_each_transition_has_its_own_number_without_a_gap() -> None:
    plant = tank()
    for value in (85, 95, 50, 5, 99, 50):
        plant.read(value)
    plant.acknowledge(plant.told[-1])
    plant.shelve(HIGH)
    plant.link(False)
    numbers, versions = defaultdict(list), defaultdict(list)
    for told in plant.told:
        numbers[told.hazard_source].append(told.source_no)
        versions[told.occurrence].append(told.version)
    for counted in (*numbers.values(), *versions.values()):
        assert counted == list(range(1, len(counted) + 1))
    assert len({t.id for t in plant.told}) == len(plant.told)
    assert all("." not in t.id for t in plant.told)


def test_s23_no_number_is_given_twice_where_transitions_are_stored_already() -> None:
    plant = tank()
    plant.engine.number_on("tank-farm", 100, 40)
    told = plant.read(85)[0]
    assert (told.source_no, told.occurrence) == (101, "tank-farm-41")


def test_s25_transitions_carry_time_and_scan_period_so_that_ties_can_be_shown() -> None:
    plant = tank()
    told = [*plant.read(95), *plant.read(1, after_s=0.4, tag=1)]
    assert [t.scan_ms for t in told] == [1_000, 1_000, 1_000]
    assert told[2].time_ms - told[0].time_ms < told[0].scan_ms


def test_nobody_is_not_a_person() -> None:
    plant = tank()
    until_ms = plant.now_ms + 60_000
    nobody = Command(
        Op.SHELVE, by="", at_ms=plant.now_ms, alarm=HIGH_HIGH, comment="x", second="wang", until_ms=until_ms
    )
    assert refused(plant.engine.command(99, nobody)) is Why.SECOND_PERSON


def test_s20_closing_a_shelved_alarm_ends_its_shelf() -> None:
    plant = tank()
    plant.read(95)
    plant.shelve(HIGH_HIGH, second="wang")
    plant.edit(raised_limit(), by="li", second="wang")
    assert plant.letters() == {"H": "B"}
    assert not plant.engine.shelves()
    assert events(plant.read(99)) == ["HH raised B"]
