"""The beacon on a real socket: a relay module shows what stands, and what it does not show is a fault one can see."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from davylamp_edge.beacon.apart import polled_as
from davylamp_edge.beacon.beacon import Beacon
from davylamp_edge.beacon.coils import CLOSED, OPEN, WRITE_COIL, CoilFrames, NotOurCoil
from davylamp_edge.beacon.states import BLINK_S, TEST_S, Event, State
from davylamp_edge.drivers.modbus_address import parse_address
from davylamp_edge.drivers.modbus_frames import READS, Asked, Frames, NotARead, RtuFrames, TcpFrames, crc
from davylamp_edge.standing import EngineWord
from davylamp_simulators.beacon import HORN, LAMP, SILENCE, TEST, WATCHDOG, RelayModule
from davylamp_simulators.framing import RtuFraming
from davylamp_simulators.line import Line
from davylamp_simulators.scenario import LineMode, LineState
from structlog.testing import capture_logs
from support.field import device, edge_config, plc, point, profile, rogue, scanning
from support.holds import holds
from support.relay_module import relay_module, settings_of, shown, shows
from support.serial import rtu, serial_device


@dataclass
class Alarms:
    """Local alarms of which the test says what stands."""

    now: dict[str, int] = field(default_factory=dict)
    moved_s: float | None = None

    def standing(self) -> dict[str, int]:
        return dict(self.now)

    def decides(self, alarm: str) -> bool:
        return alarm.startswith("mine")

    def stepped_s(self) -> float | None:
        return self.moved_s


@dataclass
class Bench:
    """A beacon whose clock the test moves, and the module it writes to."""

    module: RelayModule
    beacon: Beacon
    alarms: Alarms
    word: EngineWord
    now_s: float = 1000.0

    async def turn(self, after_s: float = 0.0, *, lives: bool = True) -> dict[str, bool]:
        """Let time pass and the beacon look; return what the module shows."""
        self.now_s += after_s
        if lives:
            self.word.heard(0, self.now_s)
            self.alarms.moved_s = self.now_s
        await self.beacon.turn()
        return shown(self.module)

    async def turns(self, seconds: float, *, lives: bool = True) -> list[dict[str, bool]]:
        """Look ten times a second for so long."""
        return [await self.turn(0.1, lives=lives) for _ in range(round(10 * seconds))]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.module.port}"


ALL_BUTTONS = {"test": TEST, "silence": SILENCE}


@asynccontextmanager
async def bench(line: Line | None = None, rtu: bool = False, **said: Any) -> AsyncIterator[Bench]:
    async with relay_module(watchdog_s=None, line=line, framing=RtuFraming() if rtu else None) as module:
        alarms, word = Alarms(), EngineWord()
        address = f"{'rtu-tcp://' if rtu else ''}127.0.0.1:{module.port}"
        settings = settings_of(address, **{"timeout_s": 0.2, "buttons": ALL_BUTTONS, **said})
        beacon = Beacon(settings, alarms, word, clock=lambda: made.now_s, jitter=lambda: 0.5)
        made = Bench(module, beacon, alarms, word)
        try:
            yield made
        finally:
            beacon.become(None)
            await beacon.turn()


ON = {"lamp": True, "horn": True, "watchdog": True}
LAMP_ONLY = {"lamp": True, "horn": False, "watchdog": True}
CALM = {"lamp": False, "horn": False, "watchdog": True}


@pytest.mark.parametrize("rtu", [False, True], ids=["tcp", "rtu-tcp"])
async def test_s28_an_alarm_a_silence_a_new_occurrence_and_the_end_of_both(rtu: bool) -> None:
    async with bench(rtu=rtu) as at:
        assert await at.turn() == CALM
        at.alarms.now = {"a": 3}
        assert await at.turn(0.1) == ON
        assert at.beacon.press(Event.SILENCE)
        assert await at.turn(0.1) == LAMP_ONLY
        at.alarms.now = {"a": 3, "b": 2}
        assert await at.turn(0.1) == ON
        at.alarms.now = {"b": 2}
        assert await at.turn(0.1) == ON
        at.alarms.now = {}
        assert await at.turn(0.1) == CALM


async def test_s28_a_button_that_was_held_before_the_first_look_silences_nothing_until_it_is_pressed() -> None:
    async with bench() as at:
        at.module.press(SILENCE)
        at.alarms.now = {"a": 3}
        assert (await at.turns(1.0))[-1] == ON
        at.module.press(SILENCE, held=False)
        assert (await at.turns(0.5))[-1] == ON
        at.module.press(SILENCE)
        assert (await at.turns(0.5))[-1] == LAMP_ONLY


async def test_s28_the_buttons_beside_it_silence_and_test() -> None:
    async with bench() as at:
        at.alarms.now = {"a": 3}
        await at.turns(0.5)
        at.module.press(SILENCE)
        assert (await at.turns(0.5))[-1] == LAMP_ONLY
        at.alarms.now = {"b": 3}
        assert (await at.turns(1.0))[-1] == ON, "a button that is held, or stuck, silences nothing new"
        at.module.press(SILENCE, held=False)
        at.alarms.now = {}
        await at.turns(0.5)
        at.module.press(TEST)
        tested = await at.turns(TEST_S + 1)
        assert {"lamp": True, "horn": True, "watchdog": False} in tested
        assert tested[-1] == CALM


async def test_s13_s28_the_contact_opens_and_the_lamp_flashes_once_an_engine_is_silent_for_30_s() -> None:
    async with bench() as at:
        await at.turn()
        assert await at.turn(29.9, lives=False) == CALM
        assert (await at.turn(0.1, lives=False))["watchdog"] is False
        silent = await at.turns(BLINK_S, lives=False)
        assert sum(each["lamp"] for each in silent) == 10
        assert at.beacon.status().silent == ("cloud", "local")  # type: ignore[union-attr]  # a beacon is configured
        assert await at.turn() == CALM


@pytest.mark.parametrize(("engine", "closed"), [("cloud", True), ("local", False), ("both", False)])
async def test_the_contact_answers_for_the_engines_the_config_names(engine: str, closed: bool) -> None:
    async with bench(engine=engine) as at:
        at.word.heard(0, at.now_s)
        assert (await at.turn(lives=False))["watchdog"] is closed


async def test_an_edge_that_decides_nothing_is_a_silent_engine_where_its_own_must_be_heard() -> None:
    now_s = [0.0]
    async with relay_module() as module:
        settings = settings_of(f"127.0.0.1:{module.port}", engine="local")
        beacon = Beacon(settings, None, EngineWord(), clock=lambda: now_s[0])
        await beacon.turn()
        now_s[0] = 30.0
        await beacon.turn()
        assert beacon.status().state is State.FAULT  # type: ignore[union-attr]  # a beacon is configured
        beacon.become(None)
        await beacon.turn()


async def test_s28_the_contact_is_open_until_the_engine_is_heard_of_for_the_first_time() -> None:
    async with bench() as at:
        assert (await at.turn(lives=False)) == CALM | {"watchdog": False}
        assert at.beacon.status().state is State.OFF  # type: ignore[union-attr]  # a beacon is configured
        assert await at.turn(0.1) == CALM


async def test_a_word_of_an_engine_that_moved_long_ago_is_no_proof_that_it_lives() -> None:
    word = EngineWord()
    word.heard(40_000, 100.0)
    assert word.moved_s == 60.0
    word.heard(1_000, 100.0)
    word.heard(50_000, 110.0)
    assert word.moved_s == 99.0


async def test_s13_no_word_lets_an_engine_live_into_the_future() -> None:
    word = EngineWord()
    word.heard(-3_600_000, 100.0)
    assert word.moved_s == 100.0


async def test_every_coil_is_written_when_it_changes_and_each_second() -> None:
    async with bench() as at:
        await at.turns(10.5)
        calm = len(at.module.writes)
        assert calm in (30, 33), "three coils a second"
        at.alarms.now = {"a": 3}
        await at.turn(0.1)
        assert [each.coil for each in at.module.writes[calm:]] == [LAMP, HORN], "what changes goes at once"
        assert at.beacon.status().writes == len(at.module.writes)  # type: ignore[union-attr]  # a beacon is configured


async def test_a_module_that_is_gone_is_a_fault_and_shows_what_stands_as_soon_as_it_is_back() -> None:
    line = Line()
    async with bench(line) as at:
        await at.turn()
        line.move(LineState(mode=LineMode.DOWN), 0.0)
        await asyncio.sleep(0.05)
        at.alarms.now = {"a": 4}
        with capture_logs() as logs:
            await at.turns(5)
        status = at.beacon.status()
        assert status is not None
        assert (status.well, status.losses, status.state) == (False, 1, State.SOUNDING)
        assert status.reason
        assert len([each for each in logs if each["log_level"] == "error"]) == 1, "edges, not levels"
        line.move(LineState(), 0.0)
        at.module.coils = [False] * 8
        assert (await at.turns(10))[-1] == ON
        assert at.beacon.status().well is True  # type: ignore[union-attr]  # a beacon is configured


async def test_a_module_that_falls_silent_is_a_fault() -> None:
    line = Line()
    async with bench(line) as at:
        await at.turn()
        line.move(LineState(mode=LineMode.DEAD), 0.0)
        await at.turn(2.0)
        status = at.beacon.status()
        assert status is not None
        assert status.well is False
        assert "no answer within 0.2 s" in status.reason


async def test_a_relay_that_does_not_move_is_a_fault() -> None:
    async with bench() as at:
        at.module.stuck = LAMP
        at.alarms.now = {"a": 4}
        await at.turns(1)
        status = at.beacon.status()
        assert status is not None
        assert status.well is False
        assert "coil 0 was written closed and reads open" in status.reason
        assert at.module.coils[HORN], "the others show it all the same"
        at.beacon.press(Event.SILENCE)
        await at.turn(0.1)
        assert not at.module.coils[HORN], "and go on doing so at once"
        at.module.stuck = None
        await at.turns(1.1)
        assert at.beacon.status().well is True  # type: ignore[union-attr]  # a beacon is configured
        assert status.losses == 1


async def test_a_coil_the_module_does_not_have_is_a_fault_that_names_it() -> None:
    async with bench(coils={"lamp": 0, "horn": 1, "watchdog": 20}) as at:
        await at.turn()
        status = at.beacon.status()
        assert status is not None
        assert status.reason == (
            "function 5 of address 20 was refused: exception 2 (illegal address);"
            " function 1 of address 20 was refused: exception 2 (illegal address)"
        )
        at.alarms.now = {"a": 3}
        await at.turns(0.5)
        assert at.module.coils[:2] == [True, True], "lamp and horn work all the same"
        assert at.beacon.status().well is False  # type: ignore[union-attr]  # a beacon is configured


async def test_s28_an_orderly_stop_opens_the_contact_and_lets_no_horn_sound_on() -> None:
    async with relay_module(watchdog_s=None) as module:
        alarms, word, stop = Alarms({"a": 3}), EngineWord(), asyncio.Event()
        word.heard(0, asyncio.get_running_loop().time())
        beacon = Beacon(settings_of(f"127.0.0.1:{module.port}", engine="cloud"), alarms, word)
        running = asyncio.create_task(beacon.run(stop))
        await shows(module, **ON)
        stop.set()
        await running
        assert shown(module) == {"lamp": True, "horn": False, "watchdog": False}


async def test_another_config_takes_another_module_and_leaves_the_first_at_rest() -> None:
    async with bench() as at, relay_module(watchdog_s=None) as other:
        at.alarms.now = {"a": 3}
        await at.turn()
        at.beacon.press(Event.SILENCE)
        at.beacon.become(settings_of(f"127.0.0.1:{other.port}"))
        assert await at.turn() == {"lamp": True, "horn": False, "watchdog": False}
        assert shown(other) == LAMP_ONLY, "what was silenced stays so"


async def test_where_lamp_and_horn_share_a_coil_nothing_is_silenced() -> None:
    async with bench(coils={"lamp": LAMP, "watchdog": WATCHDOG}, buttons={}) as at:
        at.alarms.now = {"a": 3}
        assert (await at.turn())["lamp"]
        assert not at.beacon.press(Event.SILENCE)
        assert (await at.turn(0.1))["lamp"]


async def test_the_beacons_own_mistake_is_said_and_tried_again() -> None:
    class Broken(Alarms):
        def standing(self) -> dict[str, int]:
            if self.now.get("broken"):
                raise ZeroDivisionError
            return dict(self.now)

    async with relay_module(watchdog_s=None) as module:
        stop, word, alarms = asyncio.Event(), EngineWord(), Broken({"a": 1})
        word.heard(0, asyncio.get_running_loop().time())
        beacon = Beacon(settings_of(f"127.0.0.1:{module.port}", engine="cloud"), alarms, word)
        with capture_logs() as logs:
            running = asyncio.create_task(beacon.run(stop))
            await shows(module, **ON)
            alarms.now["broken"] = 1
            await shows(module, lamp=True, horn=False, watchdog=False)
            steps = beacon.steps
            await shows(module, watchdog=False)
            await holds(lambda: beacon.steps >= steps + 3)
            failed = beacon.status()
            assert failed is not None
            assert (failed.well, failed.reason) == (False, "an error of the agent's own, which its log has")
            del alarms.now["broken"]
            await shows(module, **ON)
        stop.set()
        await running
        assert [each["event"] for each in logs if each["log_level"] == "error"] == ["the beacon failed, trying on"]


async def test_whatever_a_module_answers_is_a_fault_and_never_an_error_of_ours() -> None:
    answers = itertools.cycle(
        [
            b"",
            None,
            b"\x85",
            b"\x85\x02",
            b"\x05",
            b"\x05\x00\x00\xff\x00",
            b"\x01\x00",
            b"\x01\x09" + bytes(9),
            bytes(200),
        ]
    )

    async def answer(frame: bytes) -> bytes | None:
        pdu = next(answers)
        return pdu if not pdu else frame[:4] + (len(pdu) + 1).to_bytes(2) + frame[6:7] + pdu

    async with rogue(answer) as address:
        now_s = [0.0]
        beacon = Beacon(settings_of(address, timeout_s=0.05), Alarms({"a": 3}), EngineWord(), clock=lambda: now_s[0])
        for _ in range(40):
            now_s[0] += 10
            await beacon.turn()
            status = beacon.status()
            assert status is not None
            assert (status.well, bool(status.reason), status.state) == (False, True, State.SOUNDING)
        beacon.become(None)
        await beacon.turn()


# Who may write


@pytest.mark.parametrize("frames", [TcpFrames(), RtuFrames()], ids=["tcp", "rtu"])
def test_s28_the_frames_of_every_device_refuse_each_function_that_is_no_read(frames: Frames) -> None:
    for function in range(256):
        asked = Asked(1, 1, function, 2)
        if function in READS:
            assert frames.request(asked, 0, 1)
        else:
            with pytest.raises(NotARead, match=f"function {function} "):
                frames.request(asked, 0, 1)


SETTINGS = settings_of("127.0.0.1:502", unit=3)


@pytest.mark.parametrize("inner", [TcpFrames(), RtuFrames()], ids=["tcp", "rtu"])
def test_s28_the_beacons_frames_write_its_own_coils_and_nothing_else(inner: Frames) -> None:
    frames = CoilFrames(inner, SETTINGS)
    units, functions, addresses = (1, 3, 0, 255), (WRITE_COIL, 6, 15, 16, 22, 23), (0, 1, 2, 3, 8, 65535)
    written = set()
    for unit, function, address, value in itertools.product(units, functions, addresses, (CLOSED, OPEN, 1, 2)):
        with contextlib.suppress(NotOurCoil):
            frames.request(Asked(1, unit, function, 1), address, value)
            written.add((unit, function, address, value))
    assert written == {(3, WRITE_COIL, coil, value) for coil in (0, 1, 2) for value in (CLOSED, OPEN)}


async def test_s28_a_plc_under_another_name_is_looked_through_and_never_written() -> None:
    """`check` compares what is written; the name is looked up before a connection is made."""
    async with relay_module() as plc_of_the_plant:
        address = f"127.0.0.1:{plc_of_the_plant.port}"
        beacon = Beacon(
            settings_of(f"localhost:{plc_of_the_plant.port}"),
            None,
            EngineWord(),
            polled=[address, "nobody.invalid:502"],
        )
        await beacon.turn()
        status = beacon.status()
        assert status is not None
        assert f"is where {address} is polled, and nothing is written to a plant" in status.reason
        assert plc_of_the_plant.writes == []
        beacon.become(None)
        await beacon.turn()


async def test_s28_other_devices_in_the_config_open_no_contact_and_a_module_that_became_one_is_let_go() -> None:
    async with bench() as at:
        at.alarms.now = {"a": 3}
        await at.turn()
        count = len(at.module.writes)
        settings = settings_of(at.address, timeout_s=0.2, buttons=ALL_BUTTONS)
        at.beacon.become(settings, {"192.0.2.1:502"})
        assert await at.turn(0.1) == ON
        assert [each.closed for each in at.module.writes[count:]] == [True] * 3
        count = len(at.module.writes)
        at.beacon.become(settings, {at.address})
        await at.turns(3)
        assert len(at.module.writes) == count
        assert at.beacon.status().well is False  # type: ignore[union-attr]  # a beacon is configured


async def test_a_module_on_a_serial_line_shows_what_stands() -> None:
    module = RelayModule(watchdog_s=None)

    async def answer(frame: bytes) -> bytes:
        return rtu(frame[:1] + module.answer(frame[1:-2])[0])

    async with serial_device(answer) as address:
        alarms = Alarms({"a": 3})
        beacon = Beacon(settings_of(address, buttons=ALL_BUTTONS), alarms, EngineWord())
        await beacon.turn()
        assert shown(module) == {"lamp": True, "horn": True, "watchdog": False}
        assert beacon.status().well is True  # type: ignore[union-attr]  # a beacon is configured
        beacon.become(None)
        await beacon.turn()


async def test_s28_a_serial_port_behind_a_link_is_looked_through(tmp_path: Path) -> None:
    (tmp_path / "port").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "port")
    ours, plants = (f"serial://{tmp_path}/{name}?baud=9600&parity=none" for name in ("by-id", "port"))
    assert await polled_as(parse_address(ours), ["192.0.2.1:502", plants]) == plants
    assert await polled_as(parse_address(ours), [f"{plants.replace('port?', 'other?')}", "192.0.2.1:502"]) is None


def test_a_write_is_framed_as_the_specification_has_it() -> None:
    """The example of Modbus Application Protocol 1.1b3, 6.5: coil 173 on."""
    settings = settings_of("127.0.0.1:502", coils={"lamp": 0xAC, "watchdog": 1})
    asked = Asked(0x0102, 1, WRITE_COIL, 1)
    assert CoilFrames(TcpFrames(), settings).request(asked, 0xAC, CLOSED) == bytes.fromhex(
        "0102 0000 0006 01 05 00AC FF00"
    )
    rtu = CoilFrames(RtuFrames(), settings).request(asked, 0xAC, CLOSED)
    assert rtu[:6] == bytes.fromhex("01 05 00AC FF00")
    assert int.from_bytes(rtu[6:], "little") == crc(rtu[:6])


LEVEL = {"rig": profile({"a": point(type="uint16", address={"modbus": "holding:0"}, scan_s=0.02)})}


async def test_s28_beside_a_beacon_the_plant_gets_reads_and_the_module_its_own_coils() -> None:
    asked: list[int] = []

    async def note(function: int, *_: Any) -> None:
        asked.append(function)

    async with (
        bench() as at,
        plc(holding=[1] * 8, action=note) as plant,
        scanning(edge_config(device(plant.address), report="every"), LEVEL) as (_, collector),
    ):
        at.alarms.now = {"a": 3}
        await at.turns(1)
        await collector.until(lambda: len(asked) >= 5)
    assert set(asked) <= READS
    assert {each.coil for each in at.module.writes} == {LAMP, HORN, WATCHDOG}


async def test_s28_a_red_of_the_cloud_lights_it_until_the_cloud_says_that_it_is_over() -> None:
    async with bench() as at:
        at.word.reds = {"store/gas#L2": "o-1", "mine#L2": "o-9"}
        assert await at.turn() == ON
        assert at.beacon.press(Event.SILENCE)
        assert await at.turn(0.1) == LAMP_ONLY
        assert await at.turn(100.0, lives=False) == {**LAMP_ONLY, "watchdog": False}, "the cloud's silence says nothing"
        at.word.reds = {"store/gas#L2": "o-2"}
        assert await at.turn(0.1) == ON, "another occurrence"
        at.word.reds = {"mine#L2": "o-9"}
        assert await at.turn(0.1) == CALM, "what is decided here is known by its own name"


async def test_a_beacon_can_be_kept_to_what_is_decided_here_from_a_level_on() -> None:
    async with bench(cloud="none", least="orange") as at:
        at.word.reds = {"store/gas#L2": "o-1"}
        at.alarms.now = {"a": 2}
        assert await at.turn() == CALM
        at.alarms.now = {"a": 2, "b": 3}
        assert await at.turn(0.1) == ON
