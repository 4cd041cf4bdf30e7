"""A calibration or inhibit state that the PLC shows becomes the quality of the points it is about (SAFETY S9)."""

import struct
from typing import Any

import pytest
from davylamp_edge.bypass import Bypasses
from davylamp_edge.reply import Decoded
from davylamp_edge.summary import summarise
from davylamp_wire.point import Point
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from support.field import Collector, asked, device, edge_config, exception_to, point, profile, reply_to, rogue, scanning

CALIBRATION = {"by": "cal", "level": "bad", "reason": "CALIBRATION"}
INHIBIT = {"by": "mode", "when": [2, 3], "level": "uncertain", "reason": "INHIBIT"}


def gas(*bypass: dict[str, Any], **said: Any) -> Point:
    return point(type="uint16", bypass=bypass, address={"modbus": "holding:0"}, scan_s=0.02, **said)


POINTS = {
    "gas": gas(CALIBRATION, INHIBIT),
    "cal": point(type="bool", address={"modbus": "coil:0"}, scan_s=0.02),
    "mode": point(type="uint8", address={"modbus": "holding:500.low"}, scan_s=0.02),
}


@pytest.mark.parametrize(
    ("cal", "mode", "quality"),
    [
        (False, 0, GOOD),
        (False, 2, uncertain(Reason.INHIBIT)),
        (False, 3, uncertain(Reason.INHIBIT)),
        (True, 0, bad(Reason.CALIBRATION)),
        (True, 3, bad(Reason.CALIBRATION)),
        (None, None, GOOD),
    ],
)
def test_s09_the_worst_state_that_holds_is_the_points_quality(cal: Any, mode: Any, quality: int) -> None:
    guard = Bypasses(list(POINTS), list(POINTS.values())).guard([0, 1, 2])
    assert guard is not None
    decoded = Decoded([7, cal, mode], {})
    guard.apply(decoded)
    assert decoded.doubts.get(0, GOOD) == quality
    assert decoded.values[0] == (None if quality >> 8 == 2 else 7)


def test_s09_a_bypass_never_makes_a_quality_better_nor_renames_a_doubt_of_its_own_level() -> None:
    guard = Bypasses(list(POINTS), list(POINTS.values())).guard([0, 1, 2])
    assert guard is not None
    for doubt in (uncertain(Reason.OVER_RANGE), bad(Reason.LOOP_LOW)):
        decoded = Decoded([7, False, 2], {0: doubt})
        guard.apply(decoded)
        assert decoded.doubts[0] == doubt


async def test_s09_a_switch_in_another_block_bypasses_in_the_same_scan_and_a_lost_switch_silences_nothing() -> None:
    cal, refuses = 0, False

    async def answer(frame: bytes) -> bytes:
        if frame[7] == 1:
            return exception_to(frame, 4) if refuses else reply_to(frame, bytes([cal]))
        return reply_to(frame, struct.pack(f">{asked(frame)[1]}H", *[0] * asked(frame)[1]))

    async with rogue(answer) as address:
        config = edge_config(device(address), report="every")
        async with scanning(config, {"rig": profile(POINTS)}) as (scanner, collector):
            await collector.until(lambda: _said(collector, scanner.devices[0].names))
            cal = 1
            await collector.until(lambda: _said(collector, scanner.devices[0].names)[-1] == bad(Reason.CALIBRATION))
            refuses = True
            await collector.until(lambda: _said(collector, scanner.devices[0].names)[-1] == GOOD)
    assert set(_said(collector, scanner.devices[0].names)) == {GOOD, bad(Reason.CALIBRATION)}


def _said(collector: Collector, names: tuple[str, ...]) -> list[int]:
    """Return every quality the gas point was reported with."""
    return [
        quality
        for result in collector.results
        for index, quality in zip(result.points, result.qualities, strict=True)
        if names[index] == "gas"
    ]


def test_check_warns_of_a_bypass_whose_state_has_no_address() -> None:
    points = {**POINTS, "cal": point(type="bool", address={"opcua": "nsu=urn:x;s=cal"})}
    lines = list(summarise(edge_config(device("127.0.0.1:502")), {"rig": profile(points)}))
    assert "    warning: devices.rig1.points.gas.bypass: cal has no address here, so that it is never bypassed" in lines


@pytest.mark.parametrize(
    ("by", "says"),
    [
        ("nobody", "points.gas.bypass.0.by: there is no point 'nobody'"),
        ("gas", "a point cannot bypass itself"),
        ("level", "level is float32; a state is a bool or a whole number"),
    ],
)
def test_a_bypass_needs_a_point_that_says_it(by: str, says: str) -> None:
    with pytest.raises(ValueError, match="bypass") as raised:
        profile({"gas": gas({**CALIBRATION, "by": by}), "level": point()})
    assert says in str(raised.value)
