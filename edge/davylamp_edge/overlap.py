"""Which points read the same place: most often a row was copied, or a device, and its address or unit forgotten.

A tank that shows its neighbour's level looks well, whatever it holds.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from davylamp_wire.point import DataType

from davylamp_edge.drivers import Wanted
from davylamp_edge.install import Installed, by_line
from davylamp_edge.notes import SHOWN
from davylamp_edge.plan import parse_place, span_of


class _Claim(NamedTuple):
    """What a point reads: addresses from `start` to before `end` of one table of one unit, or a node."""

    table: str
    start: int
    end: int
    who: str


def read_twice(devices: Sequence[Installed]) -> Iterator[str]:
    """Yield a warning for the first points that read what another one reads; parts of a register may well be shared."""
    for sharing in by_line(devices):
        found = list(_overlaps([claim for device in sharing for claim in _claims(device)]))
        for one, other in found[:SHOWN]:
            yield f"    warning: {one.who} and {other.who} both read {other.table}; one of the two addresses, or"
            yield "        a unit, may be a slip (两点读同一地址，可能有一处地址或站号写错)"
        if len(found) > SHOWN:
            yield f"    warning: and {len(found) - SHOWN} more likewise (其余同类)"


def _claims(device: Installed) -> Iterator[_Claim]:
    for want in device.wanted():
        if want.address:
            yield from _registers(device, want) if device.config.driver == "modbus" else [_node(device, want)]


def _registers(device: Installed, want: Wanted) -> Iterator[_Claim]:
    place = parse_place(want.address)
    if place.bits is None and (place.area.bits or want.point.type is not DataType.BOOL):
        span = span_of(want.index, place, want.point)
        table = f"{place.area} of unit {device.config.unit}"
        yield _Claim(table, span.start, span.end, f"{device.name}/{want.name} ({want.address})")


def _node(device: Installed, want: Wanted) -> _Claim:
    return _Claim(want.address, 0, 1, f"{device.name}/{want.name}")


def _overlaps(claims: Sequence[_Claim]) -> Iterator[tuple[_Claim, _Claim]]:
    last: _Claim | None = None
    for claim in sorted(claims):
        if last is not None and last.table == claim.table and claim.start < last.end:
            yield last, claim
        if last is None or last.table != claim.table or claim.end > last.end:
            last = claim
