"""SAFETY S9 to S12: values, over-range, blindness."""

import numpy as np
from davylamp_alarms.definition import Kind, PointKind, Priority, default_priority, guarded_priority
from davylamp_alarms.transition import Refusal
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from hypothesis import given
from hypothesis import strategies as st
from support.plant import SYSTEM, Plant, alarm, events, link_alarm, tag_def

LEVEL = tag_def("LT-1101")
CO = tag_def("AT-2201", PointKind.GAS)
OVER = uncertain(Reason.OVER_RANGE)


def detector() -> Plant:
    """A gas detector with both levels, over-range latched, fault after 10 s."""
    return Plant(
        [CO],
        [
            alarm(CO, 0, Kind.L1, 25),
            alarm(CO, 0, Kind.L2, 50, latch=True),
            alarm(CO, 0, Kind.OVER_RANGE, latch=True),
            alarm(CO, 0, Kind.FAULT, on_delay_ms=10_000),
        ],
    )


def test_s09_over_range_on_gas_raises_at_once_and_is_a_fault_after_its_persistence() -> None:
    plant = detector()
    plant.read(5)
    assert events(plant.read(0, quality=OVER)) == ["OVER_RANGE raised B"]
    assert plant.wait(9) == []
    assert events(plant.wait(1)) == ["FAULT raised B"]


def test_s09_a_bad_over_range_raises_as_well() -> None:
    plant = detector()
    told = plant.read(float("nan"), quality=bad(Reason.OVER_RANGE))
    assert events(told) == ["OVER_RANGE raised B"]
    assert told[0].priority is Priority.RED


def test_s09_doubt_is_never_a_reason_to_wait() -> None:
    plant = detector()
    assert events(plant.read(60, quality=uncertain(Reason.LOOP_HIGH))) == ["L1 raised B", "L2 raised B"]


@given(value=st.floats(0, 100), limit=st.floats(1, 99))
def test_s10_limits_are_compared_in_their_own_unit_bit_for_bit(value: float, limit: float) -> None:
    plant = Plant([CO], [alarm(CO, 0, Kind.L1, limit)])
    told = plant.read(value)
    assert bool(told) == (value >= limit)
    assert all(t.limit == limit and t.value == value for t in told)


def test_s10_the_smallest_step_below_24_ppm_is_below_24_ppm() -> None:
    plant = Plant([CO], [alarm(CO, 0, Kind.L1, 24)])
    assert plant.read(float(np.nextafter(24.0, 0.0))) == []
    assert events(plant.read(24.0)) == ["L1 raised B"]


def test_s11_over_range_stays_latched_when_the_sensor_falls_back_to_zero() -> None:
    plant = detector()
    raised = plant.read(0, quality=OVER)[0]
    assert events(plant.read(0)) == ["OVER_RANGE cleared E"]
    plant.wait(3_600)
    assert plant.letters() == {"OVER_RANGE": "E"}
    assert isinstance(plant.reset(raised), Refusal), "the version has moved on"
    assert events(plant.reset(plant.told[-1])) == ["OVER_RANGE reset D"]


def test_s11_over_range_latches_whatever_its_definition_says() -> None:
    plant = Plant([CO], [alarm(CO, 0, Kind.OVER_RANGE)])
    plant.read(0, quality=OVER)
    assert events(plant.read(0)) == ["OVER_RANGE cleared E"]


def test_s11_a_latch_is_not_reset_while_the_condition_stands() -> None:
    plant = detector()
    raised = plant.read(0, quality=OVER)[0]
    refusal = plant.reset(raised)
    assert isinstance(refusal, Refusal)
    assert "复位" in refusal.zh
    assert "reset" in refusal.en
    assert plant.letters() == {"OVER_RANGE": "B"}


def test_s12_a_lost_device_is_one_alarm_with_the_priority_of_what_it_guarded() -> None:
    guarded = detector().engine.definition(f"{CO.id}#L2")
    assert guarded is not None
    comm = tag_def("comm_ok", PointKind.STATUS)
    plant = Plant(
        [comm, CO],
        [
            alarm(comm, 0, Kind.COMM, 0.5, priority=guarded_priority([guarded])),
            alarm(CO, 1, Kind.FAULT, on_delay_ms=10_000),
            alarm(CO, 1, Kind.L2, 50),
        ],
    )
    plant.read(1)
    told = plant.read(0)
    assert events(told) == ["COMM raised B"]
    assert told[0].priority is Priority.RED
    plant.read(float("nan"), tag=1, quality=bad(Reason.COMM))
    assert plant.wait(60) == [], "a lost device is not an instrument's fault, and never a gas alarm"
    assert events(plant.read(1)) == ["COMM cleared D"]


def test_s12_blindness_never_ends_by_itself() -> None:
    plant = detector()
    plant.read(float("nan"), quality=bad(Reason.DEVICE_FAULT))
    plant.wait(20)
    plant.read(float("nan"), quality=bad(Reason.COMM))
    plant.read(5, quality=uncertain(Reason.CALIBRATION))
    assert plant.letters() == {"FAULT": "B"}
    assert events(plant.read(5, quality=GOOD)) == ["FAULT cleared D"]


def test_s12_a_short_fault_is_none() -> None:
    plant = detector()
    plant.read(float("nan"), quality=bad(Reason.DEVICE_FAULT))
    plant.wait(5)
    plant.read(5)
    assert plant.wait(20) == []


def test_s12_a_link_alarm_can_wait_and_a_return_in_time_ends_the_wait() -> None:
    plant = Plant([LEVEL], [])
    slow = link_alarm()
    plant.edit(type(slow)(slow.id, -1, Kind.LINK, Priority.RED, slow.hazard_source, on_delay_ms=5_000, node=slow.node))
    assert plant.link(False) == []
    plant.wait(4)
    assert plant.link(True) == []
    assert plant.link(False) == []
    assert events(plant.wait(5)) == ["LINK raised B"]


def test_s12_an_edge_nobody_ever_saw_is_missed() -> None:
    plant = Plant([LEVEL], [])
    plant.edit(link_alarm("park/edge-9"))
    assert plant.wait(59) == []
    told = plant.wait(3)
    assert events(told) == ["LINK raised B"]
    assert told[0].alarm_id == "park/edge-9#LINK@tank-farm"


def test_s12_after_a_host_outage_a_waiting_link_alarm_waits_anew() -> None:
    plant = Plant([LEVEL], [])
    slow = link_alarm()
    plant.edit(type(slow)(slow.id, -1, Kind.LINK, Priority.RED, slow.hazard_source, on_delay_ms=5_000, node=slow.node))
    plant.link(False)
    plant.restart(down_s=3_600)
    assert plant.wait(5) == []
    assert events(plant.wait(1)) == ["LINK raised B"]


def test_the_system_speaks_of_itself() -> None:
    plant = Plant([LEVEL], [])
    told = plant.engine.report(90, SYSTEM, True, plant.now_ms, "60 s behind")
    assert events(told) == ["SYSTEM raised B"]
    assert told[0].comment == "60 s behind"
    assert plant.engine.report(91, SYSTEM, True, plant.now_ms) == []
    assert events(plant.engine.report(92, SYSTEM, False, plant.now_ms)) == ["SYSTEM cleared D"]


def test_default_priorities_are_those_of_the_safety_page() -> None:
    expected = {
        (Kind.L2, PointKind.GAS): Priority.RED,
        (Kind.OVER_RANGE, PointKind.GAS): Priority.RED,
        (Kind.LL, PointKind.GAS): Priority.RED,
        (Kind.H, PointKind.FIRE): Priority.RED,
        (Kind.HH, PointKind.PROCESS): Priority.ORANGE,
        (Kind.LL, PointKind.PROCESS): Priority.ORANGE,
        (Kind.H, PointKind.PROCESS): Priority.YELLOW,
        (Kind.L, PointKind.PROCESS): Priority.YELLOW,
        (Kind.L1, PointKind.GAS): Priority.YELLOW,
    }
    assert {pair: default_priority(*pair) for pair in expected} == expected
