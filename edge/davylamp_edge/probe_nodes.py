"""What a live OPC UA server says of single nodes, and how the agent would read it, for the person at the keyboard."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from asyncua import ua
from asyncua.ua.object_ids import ObjectIdNames
from asyncua.ua.status_codes import StatusCodes
from davylamp_wire.point import DataType, Point
from davylamp_wire.quality import GOOD, Level, Reason, level, reason

from davylamp_edge.datavalue import DataValueDecoder, stamp_ms
from davylamp_edge.drivers.opcua_browse import STANDARD, value_of
from davylamp_edge.drivers.opcua_look import Look, looks
from davylamp_edge.drivers.opcua_session import Session
from davylamp_edge.opcua_settings import OpcuaSettings

LONGEST = 200
"""Characters of a value that are shown."""
ACCESS = ("read", "write", "history read", "history write", "semantic change", "status write", "time stamp write")
"""What each bit of an access level allows, from the lowest (OPC 10000-3, 8.57)."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def probed_nodes(
    address: str, settings: OpcuaSettings, asked: Sequence[str], timeout_s: float
) -> tuple[list[str], bool]:
    """Return the lines of these nodes, and whether the server let all of them be read.

    Raises: DeviceUnreachable, ValueError for what is no node id.
    """
    session = Session(address, timeout_s, settings)
    try:
        await session.open()
        began_s = time.perf_counter()
        clock, found = await looks(session, asked)
        took_ms = (time.perf_counter() - began_s) * 1000
    finally:
        await session.close()
    now_ms = time.time_ns() // 1_000_000
    told = value_of(clock)
    server_ms = stamp_ms(told) if isinstance(told, datetime) else None
    lines = [line for look in found for line in shown(look, now_ms if server_ms is None else server_ms)]
    return [*lines, f"{_clock(server_ms, now_ms)}; answered in {took_ms:.1f} ms"], all(map(_readable, found))


def shown(look: Look, now_ms: int) -> Iterator[str]:
    """Yield the lines of one node. ``now_ms`` is the server's clock, which its stamps are measured against."""
    yield look.asked
    for name, text in _facts(look, now_ms):
        if text:
            yield f"  {name:<12} {text}"


def _facts(look: Look, now_ms: int) -> Iterator[tuple[str, str]]:
    status = look.reply.StatusCode or ua.StatusCode()
    yield "status", f"{status.name} (0x{status.value:08X})"
    if _unknown(look):
        yield "", "the server has no such node: davylamp-edge browse lists what it has (没有这个节点)"
        return
    value = value_of(look.reply)
    yield "value", f"{value!r}"[:LONGEST]
    yield "read as", _read_as(look, now_ms)
    yield "type", _typed(look)
    yield "name", " ".join(dict.fromkeys(part for part in (look.name, look.description) if part))
    span = f"{look.span[0]:g} to {look.span[1]:g}" if look.span else ""
    yield (
        "range, unit",
        " ".join(part for part in (span, look.unit) if part) or "not said (no EURange, EngineeringUnits)",
    )
    yield "source time", _stamp(look.reply.SourceTimestamp, now_ms)
    yield "server time", _stamp(look.reply.ServerTimestamp, now_ms)
    yield "access", f"{_access(look.access)}; for us: {_access(look.user_access)}"


def _unknown(look: Look) -> bool:
    return _status(look) in (StatusCodes.BadNodeIdUnknown, StatusCodes.BadNodeIdInvalid)


def _readable(look: Look) -> bool:
    refused = (StatusCodes.BadNotReadable, StatusCodes.BadUserAccessDenied, StatusCodes.BadAttributeIdInvalid)
    return not _unknown(look) and _status(look) not in refused


def _status(look: Look) -> int:
    return (look.reply.StatusCode or ua.StatusCode()).value


def _typed(look: Look) -> str:
    """Return the type a node says it has, the one it was sent as, and the one a profile says."""
    sent = look.reply.Value
    names = (_name(look.kind), "" if sent is None or sent.Value is None else sent.VariantType.name)
    own = ", sent as ".join(dict.fromkeys(name for name in names if name)) or "not said"
    return f"{own}: " + (f'type = "{look.type}"' if look.type else "no tag, not a plain value")


def _name(kind: ua.NodeId | None) -> str:
    """Return a data type's name in the standard, or its node id."""
    if kind is None:
        return ""
    number = kind.Identifier if kind.NamespaceIndex == STANDARD else None
    return ObjectIdNames.get(number, kind.to_string()) if isinstance(number, int) else kind.to_string()


def _read_as(look: Look, now_ms: int) -> str:
    """Return value and quality as the agent would have them."""
    if not look.type:
        return ""
    point = Point(zh="点", en="point", unit="", type=DataType(look.type), range=look.span if _spans(look) else None)
    decoded = DataValueDecoder([point]).decode([look.reply], now_ms, 0)
    quality = decoded.doubts.get(0, GOOD)
    said = "good" if quality == GOOD else f"{Level(level(quality)).name.lower()}, {Reason(reason(quality)).name}"
    return f"{decoded.values[0]!r}, {said}"


def _spans(look: Look) -> bool:
    return look.type not in (DataType.BOOL, DataType.STRING)


def _stamp(stamp: datetime | None, now_ms: int) -> str:
    at_ms = stamp_ms(stamp)
    if at_ms is None:
        return "none sent"
    when = (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")
    apart = _apart(now_ms - at_ms, "old", "ahead of the server's clock")
    return f"{when}, {apart}"


def _clock(server_ms: int | None, now_ms: int) -> str:
    if server_ms is None:
        return "the server does not tell its clock"
    return f"the server's clock is {_apart(now_ms - server_ms, 'behind ours', 'ahead of ours')}"


def _apart(ms: int, later: str, earlier: str) -> str:
    return f"{abs(ms) / 1000:.3f} s {later if ms >= 0 else earlier}"


def _access(bits: int | None) -> str:
    if bits is None:
        return "not said"
    return ", ".join(name for at, name in enumerate(ACCESS) if bits >> at & 1) or "none"
