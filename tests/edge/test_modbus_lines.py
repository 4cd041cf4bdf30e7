"""Lines whose answers carry no number: serial ports (pty pairs) and serial servers. No late answer is ever believed."""

import asyncio
import itertools
import os
import struct
import termios
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from davylamp_edge.drivers import DeviceRefused, DeviceUnreachable
from davylamp_edge.drivers.modbus import ModbusDriver, ModbusRequest
from davylamp_edge.drivers.modbus_address import Port, SerialLine, parse_address
from davylamp_edge.drivers.modbus_frames import Asked, RtuFrames, crc
from davylamp_wire.reading import Value
from support.field import Answer, device, edge_config, plc, point, profile, rogue, scanning, settings, wanted
from support.serial import rtu, rtu_reply, serial_device, start_of

TIMEOUT_S = 0.05

Line = Callable[[Answer], AbstractAsyncContextManager[str]]


def serial_server(answer: Answer) -> AbstractAsyncContextManager[str]:
    return _Prefixed(rogue(answer, length=8))


class _Prefixed:
    """A serial server's address."""

    def __init__(self, inner: AbstractAsyncContextManager[str]) -> None:
        self._inner = inner

    async def __aenter__(self) -> str:
        return f"rtu-tcp://{await self._inner.__aenter__()}"

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._inner.__aexit__(*error)


@pytest.fixture(params=[serial_device, serial_server], ids=["serial", "rtu-tcp"])
def line(request: pytest.FixtureRequest) -> Line:
    """Both kinds of line."""
    found: Line = request.param
    return found


def ask(start: int, kind: str = "uint16", unit: int = 1, timeout_s: float = TIMEOUT_S) -> ModbusRequest:
    points = {"a": point(address={"modbus": f"holding:{start}"}, type=kind)}
    (request,) = ModbusDriver.plan(settings(unit=unit, timeout_s=timeout_s), wanted(points))
    return request


async def value(driver: ModbusDriver, request: ModbusRequest) -> Value:
    """Return what a request reads, None where nothing came; connects where the line is closed."""
    if not driver.connected:
        await driver.connect()
    try:
        return request.decode(await driver.read(request), 0).values[0]
    except DeviceUnreachable:
        return None


def own_address(frame: bytes) -> bytes:
    return rtu_reply(frame, struct.pack(">H", start_of(frame)))


async def test_registers_are_read_over_both_kinds_of_line(line: Line) -> None:
    async def answer(frame: bytes) -> bytes:
        return own_address(frame)

    async with line(answer) as address:
        driver = ModbusDriver(address, TIMEOUT_S)
        assert [await value(driver, ask(start, timeout_s=5.0)) for start in (7, 300, 65535)] == [7, 300, 65535]
        await driver.close()


async def test_a_serial_server_of_another_make_is_read() -> None:
    async with plc(holding=[0, 5], units=(3,), rtu=True) as device:
        driver = ModbusDriver(device.address, 1.0)
        assert await value(driver, ask(1, unit=3, timeout_s=1.0)) == 5
        with pytest.raises(DeviceRefused, match="exception 2"):
            await driver.read(ask(900, unit=3, timeout_s=1.0))
        await driver.close()


@pytest.mark.parametrize("late_s", [0.06, 0.09])
async def test_a_late_answer_is_never_taken_for_the_next_ones(line: Line, late_s: float) -> None:
    """Every third answer comes after its timeout, in the middle of what would be the next request's turn."""
    delays = itertools.cycle([0.0, 0.0, late_s])

    async def answer(frame: bytes) -> bytes:
        await asyncio.sleep(next(delays))
        return own_address(frame)

    found = {}
    async with line(answer) as address:
        driver = ModbusDriver(address, TIMEOUT_S)
        for start in range(100, 112):
            found[start] = await value(driver, ask(start))
        await driver.close()
    assert {start: got for start, got in found.items() if got is not None and got != start} == {}
    assert any(got is not None for got in found.values())


async def test_a_unit_that_is_always_late_is_lost_and_gives_nobody_a_wrong_value(line: Line) -> None:
    async def answer(frame: bytes) -> bytes:
        if frame[0] == 2:
            await asyncio.sleep(0.08)
        return rtu_reply(frame, struct.pack(">H", 1000 * frame[0] + start_of(frame)))

    points = {f"r{at}": point(address={"modbus": f"holding:{at}"}, type="uint16", scan_s=0.02) for at in (3, 400)}
    async with line(answer) as address:
        units = [device(address, name=f"u{unit}", unit=unit, timeout_s=TIMEOUT_S) for unit in (1, 2, 3)]
        config = edge_config(*units, report="every")
        async with scanning(config, {"rig": profile(points)}, jitter=lambda: -0.4) as (scanner, collector):
            await collector.until(lambda: all(scanner.statuses[name].scans > 20 for name in ("u1", "u3")))
    for unit, installed in enumerate(scanner.devices, start=1):
        said = {
            (name, value) for name, value, _ in collector.rows(installed) if name != "comm_ok" and value is not None
        }
        right = {(f"r{at}", 1000 * unit + at) for at in (3, 400)}
        assert said <= right
        assert said or unit == 2


async def test_a_serial_server_that_passes_late_answers_to_a_new_connection_fools_nobody() -> None:
    """The newest connection gets whatever the serial side says, as such boxes do."""
    writers: list[asyncio.StreamWriter] = []
    pending: set[asyncio.Task[None]] = set()
    delays = itertools.chain([0.08], itertools.repeat(0.0))

    async def say(reply: bytes, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        writers[-1].write(reply)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while True:
                frame = await reader.readexactly(8)
                pending.add(asyncio.create_task(say(own_address(frame), next(delays))))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    driver = ModbusDriver(f"rtu-tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", TIMEOUT_S)
    found = [await value(driver, ask(1000)), await value(driver, ask(2000, timeout_s=5.0))]
    await driver.close()
    await asyncio.gather(*pending)
    server.close()
    await server.wait_closed()
    assert found == [None, 2000]


async def test_a_serial_server_that_stays_silent_is_hung_up_on_so_that_nothing_later_comes_from_it() -> None:
    async def answer(frame: bytes) -> None:
        return None

    async with serial_server(answer) as address:
        driver = ModbusDriver(address, TIMEOUT_S)
        assert await value(driver, ask(1)) is None
        await driver.settle()
        assert not driver.connected


async def test_a_serial_line_stays_open_through_a_silent_device() -> None:
    async def answer(frame: bytes) -> bytes | None:
        return own_address(frame) if frame[0] == 1 else None

    async with serial_device(answer) as address:
        driver = ModbusDriver(address, TIMEOUT_S)
        assert await value(driver, ask(1, unit=2)) is None
        await driver.settle()
        assert driver.connected
        assert await value(driver, ask(9, timeout_s=5.0)) == 9
        await driver.close()


async def test_an_answer_with_another_count_is_refused_and_the_right_one_behind_it_is_thrown_away(line: Line) -> None:
    async def answer(frame: bytes) -> bytes:
        if start_of(frame) == 1:
            return rtu_reply(frame, b"\0\1\0\2") + own_address(frame)
        return own_address(frame)

    async with line(answer) as address:
        driver = ModbusDriver(address, TIMEOUT_S)
        await driver.connect()
        with pytest.raises(DeviceRefused, match="asked for 1 at holding:1 of unit 1, got function 3 with 4 bytes"):
            await driver.read(ask(1, timeout_s=5.0))
        assert await value(driver, ask(2, timeout_s=5.0)) == 2
        await driver.close()


@pytest.mark.parametrize(
    "noise",
    [b"\xff", b"\0\0", rtu(b"\x07\x03\x02\0\x63"), rtu(b"\x01\x04\x02\0\x63"), b"\x01\x03\x02\0\x63\0\0"],
    ids=["a glitch", "zeros", "another unit", "another function", "a wrong CRC"],
)
async def test_what_is_not_the_answer_is_passed_over(line: Line, noise: bytes) -> None:
    async def answer(frame: bytes) -> bytes:
        return noise + own_address(frame)

    async with line(answer) as address:
        driver = ModbusDriver(address, TIMEOUT_S)
        assert await value(driver, ask(4, timeout_s=5.0)) == 4
        await driver.close()


async def test_an_exception_is_a_refusal_on_these_lines_too(line: Line) -> None:
    async def answer(frame: bytes) -> bytes:
        return rtu(bytes([frame[0], frame[1] | 0x80, 2]))

    async with line(answer) as address:
        driver = ModbusDriver(address, TIMEOUT_S)
        await driver.connect()
        with pytest.raises(DeviceRefused, match=r"exception 2 \(illegal address\)"):
            await driver.read(ask(1, timeout_s=5.0))
        await driver.close()


async def test_an_answer_in_pieces_is_put_together(line: Line) -> None:
    frames = RtuFrames()
    asked = Asked(0, 1, 3, 4)
    whole = rtu(b"\x01\x03\x04\xde\xad\xbe\xef")
    for cut in range(len(whole)):
        buffer = bytearray(whole[:cut])
        assert frames.answer(buffer, asked) is None
        buffer += whole[cut:]
        assert frames.answer(buffer, asked) == whole[1:-2]
        assert buffer == b""


@pytest.mark.parametrize(
    ("data", "expected"), [(b"123456789", 0x4B37), (b"\x01\x03\x00\x00\x00\x0a", 0xCDC5), (b"", 0xFFFF)]
)
def test_the_crc_is_that_of_modbus(data: bytes, expected: int) -> None:
    """Check value of CRC-16/MODBUS; the request for ten registers from 0 ends in c5 cd on the wire."""
    assert crc(data) == expected


async def test_a_serial_port_is_set_as_its_address_says() -> None:
    async def answer(frame: bytes) -> None:
        return None

    async with serial_device(answer, "baud=9600&parity=none&stop=2") as address:
        driver = ModbusDriver(address, TIMEOUT_S)
        await driver.connect()
        descriptor = os.open(address.removeprefix("serial://").partition("?")[0], os.O_RDWR | os.O_NOCTTY)
        attributes = termios.tcgetattr(descriptor)
        os.close(descriptor)
        await driver.close()
    assert attributes[4:6] == [termios.B9600, termios.B9600]
    assert attributes[2] & termios.CSTOPB
    assert attributes[3] == 0


@pytest.mark.parametrize(
    ("path", "why"), [("/dev/none", "No such file"), ("/dev/null", "is it a serial port"), ("/dev/ptmx2/x", "No such")]
)
async def test_a_port_that_cannot_be_opened_says_why(path: str, why: str) -> None:
    with pytest.raises(DeviceUnreachable, match=why):
        await ModbusDriver(f"serial://{path}?baud=9600&parity=even", TIMEOUT_S).connect()


async def test_a_serial_port_that_is_pulled_out_is_a_line_that_is_lost() -> None:
    async def answer(frame: bytes) -> bytes:
        return own_address(frame)

    async with serial_device(answer) as address:
        driver = ModbusDriver(address, TIMEOUT_S)
        assert await value(driver, ask(1, timeout_s=5.0)) == 1
    async with asyncio.timeout(5.0):
        while driver.connected:  # noqa: ASYNC110 - the driver is polled, it has no event for it
            await asyncio.sleep(0)
    with pytest.raises(DeviceUnreachable):
        await driver.read(ask(1))
    await driver.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.5:1502", Port("10.0.0.5", 1502, rtu=False)),
        ("plc1.plant", Port("plc1.plant", 502, rtu=False)),
        ("[fe80::1]:502", Port("fe80::1", 502, rtu=False)),
        ("tcp://10.0.0.5", Port("10.0.0.5", 502, rtu=False)),
        ("rtu-tcp://10.0.0.5:4001", Port("10.0.0.5", 4001, rtu=True)),
        ("serial:///dev/ttyUSB0?baud=9600&parity=even", SerialLine("/dev/ttyUSB0", 9600, "even", 1)),
        ("serial:///dev/ttyS1?baud=19200&parity=none&stop=2", SerialLine("/dev/ttyS1", 19200, "none", 2)),
    ],
)
def test_an_address_says_how_a_device_is_reached(text: str, address: Port | SerialLine) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.0.0.5:x", "is no address of a Modbus device; write host:502"),
        ("10.0.0.5:502/1", "is no address of a Modbus device"),
        ("http://10.0.0.5", "Modbus does not go over 'http'"),
        ("rtu-tcp://10.0.0.5", "has no usual port; give its own"),
        ("serial://dev/ttyUSB0?baud=9600&parity=even", "with three slashes"),
        ("serial:///dev/ttyUSB0", "does not say the line's baud; add baud= one of 1200"),
        ("serial:///dev/ttyUSB0?baud=9600", "does not say the line's parity; add parity= one of none, even, odd"),
        ("serial:///dev/ttyUSB0?baud=9601&parity=even", "baud=9601 is not known; it is one of 1200"),
        ("serial:///dev/ttyUSB0?baud=9600&parity=even&bits=7", "'bits' is no setting of a serial line"),
    ],
)
def test_an_address_that_is_none_says_how_it_should_look(text: str, says: str) -> None:
    wrong = ModbusDriver.wrong_address(text)
    assert wrong is not None
    assert says in wrong
