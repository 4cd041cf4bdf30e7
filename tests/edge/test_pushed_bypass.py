"""A switch that a server tells by itself bypasses the points it is about, as a polled one does (SAFETY S9)."""

from typing import Any

import pytest
from asyncua import ua
from davylamp_edge import push_line
from davylamp_edge.pushed import failed
from davylamp_edge.pushed_bypass import PushedBypasses
from davylamp_wire.point import Point
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from support import services
from support.field import PLANT_URI, Collector, OpcuaPlant, device, edge_config, opcua_plant, point, profile, scanning

CALIBRATION = {"by": "cal", "level": "bad", "reason": "CALIBRATION"}
INHIBIT = {"by": "mode", "when": [2, 3], "level": "uncertain", "reason": "INHIBIT"}
CALIBRATED, INHIBITED, COMM = bad(Reason.CALIBRATION), uncertain(Reason.INHIBIT), bad(Reason.COMM)
GAS, CAL, MODE, OTHER = range(4)


def at(name: str, **said: Any) -> Point:
    return point(address={"opcua": f"nsu={PLANT_URI};s={name}"}, scan_s=0.05, **said)


POINTS = {
    "gas": at("gas", type="float64", bypass=[CALIBRATION, INHIBIT]),
    "cal": at("cal", type="bool"),
    "mode": at("mode", type="uint8"),
    "other": at("other", type="float64"),
}


def told(bypasses: PushedBypasses, *pushed: tuple[int, Any, int]) -> list[tuple[Any, ...]]:
    """Take good readings with their stamps; return what comes of them, without the switches."""
    found = bypasses.apply([(at, value, GOOD, stamp) for at, value, stamp in pushed])
    return [reading for reading in found if reading[0] in (GAS, OTHER)]


@pytest.fixture
def bypasses() -> PushedBypasses:
    made = PushedBypasses(list(POINTS), list(POINTS.values()))
    told(made, (CAL, False, 1), (MODE, 0, 1), (GAS, 7.0, 1), (OTHER, 1.0, 1))
    return made


def test_s09_a_switch_that_turns_marks_what_it_is_about_at_once_and_nothing_else(bypasses: PushedBypasses) -> None:
    assert told(bypasses, (MODE, 2, 50)) == [(GAS, 7.0, INHIBITED, 50)]
    assert told(bypasses, (CAL, True, 60)) == [(GAS, None, CALIBRATED, 60)]
    assert told(bypasses, (MODE, 0, 70), (MODE, 3, 80)) == []
    assert told(bypasses, (GAS, 60.0, 90), (OTHER, 2.0, 90)) == [(GAS, None, CALIBRATED, 90), (OTHER, 2.0, GOOD, 90)]
    assert told(bypasses, (CAL, False, 100)) == [(GAS, 60.0, INHIBITED, 100)]
    assert told(bypasses, (MODE, 1, 110)) == [(GAS, 60.0, GOOD, 110)]


def test_s09_in_one_response_each_value_is_judged_by_the_switch_as_it_stood_then(bypasses: PushedBypasses) -> None:
    assert told(bypasses, (GAS, 8.0, 40), (GAS, 60.0, 60), (GAS, 9.0, 80), (CAL, True, 50), (CAL, False, 70)) == [
        (GAS, 8.0, GOOD, 40),
        (GAS, None, CALIBRATED, 50),
        (GAS, None, CALIBRATED, 60),
        (GAS, 60.0, GOOD, 70),
        (GAS, 9.0, GOOD, 80),
    ]


def test_s09_what_is_sampled_together_is_said_once(bypasses: PushedBypasses) -> None:
    assert told(bypasses, (GAS, 60.0, 50), (CAL, True, 50)) == [(GAS, None, CALIBRATED, 50)]


def test_s09_the_first_value_of_a_point_is_judged_by_switches_that_have_stood_for_long(
    bypasses: PushedBypasses,
) -> None:
    bypasses.forget()
    assert told(bypasses, (GAS, 60.0, 10), (CAL, True, 20)) == [(GAS, None, CALIBRATED, 10)]


def test_s09_a_switch_that_is_in_doubt_silences_nothing(bypasses: PushedBypasses) -> None:
    told(bypasses, (CAL, True, 50))
    found = bypasses.apply([(CAL, True, uncertain(Reason.STALE), 60)])
    assert (GAS, 7.0, GOOD, 60) in found


def test_a_lost_server_says_nothing_good_on_the_way(bypasses: PushedBypasses) -> None:
    told(bypasses, (CAL, True, 50))
    found = bypasses.apply(failed(range(4), Reason.COMM))
    assert [(quality, value) for _, value, quality, _ in found] == [(COMM, None)] * 4


def test_what_the_server_said_is_known_behind_a_bypass(bypasses: PushedBypasses) -> None:
    told(bypasses, (CAL, True, 50), (GAS, 60.0, 60))
    assert bypasses.raw(GAS, None) == 60.0
    assert bypasses.raw(OTHER, 1.0) == 1.0


async def turn(plant: OpcuaPlant, is_on: bool) -> None:
    await plant.write("cal", ua.DataValue(ua.Variant(is_on, ua.VariantType.Boolean)))


def said(collector: Collector, names: tuple[str, ...]) -> list[tuple[Any, int]]:
    return [
        (value, quality)
        for result in collector.results
        for index, value, quality in zip(result.points, result.values, result.qualities, strict=True)
        if names[index] == "gas"
    ]


async def test_s09_a_subscribed_server_with_a_calibration_switch_is_bypassed_and_stays_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tag is read back meanwhile: that it reads otherwise than was sent is no dead subscription."""
    monkeypatch.setattr(push_line, "WATCH_S", 0.05)
    monkeypatch.setattr(push_line, "TICK_S", 0.05)
    monkeypatch.setattr(push_line, "FIRST_S", 0.1)
    points = {name: each for name, each in POINTS.items() if name in ("gas", "cal")}
    points["gas"] = at("gas", type="float64", bypass=[CALIBRATION], max_silence_s=0.05)
    async with opcua_plant(services.free_port(), gas=7.0, cal=False) as plant:
        config = edge_config(device(plant.address, driver="opcua", opcua={"publish_s": 0.05}))
        async with scanning(config, {"rig": profile(points)}) as (scanner, collector):
            names = scanner.devices[0].names
            await collector.until(lambda: (7.0, GOOD) in said(collector, names))
            await turn(plant, True)
            await collector.until(lambda: said(collector, names)[-1] == (None, CALIBRATED))
            count = len(said(collector, names))
            await collector.until(lambda: len(said(collector, names)) > count + 5)
            await turn(plant, False)
            await collector.until(lambda: said(collector, names)[-1] == (7.0, GOOD))
        assert scanner.statuses["rig1"].losses == 0
