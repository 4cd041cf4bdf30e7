"""The ledger: exactly which values a simulated device served, and when; and how a history is held against it.

A file of JSON lines. The first says what it is: ``{"ledger": 1}``. ``{"block": 3, "device": "d", "points": ["a", …]}``
names a block once; every served reply is then ``[3, asked_ms, served_ms, [value, …]]``, values in the block's order
and null where the device had no measurement. Times are UTC milliseconds on the machine's own clock. A reply stands
here only when it was written to an open connection.
"""

import json
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from davylamp_wire.quality import Reason, reason

from davylamp_simulators.registers import Told

IN_FLIGHT_MS = 100
"""Replies served this long before an edge's SIGKILL may be in its memory only (DESIGN.md, Numbers to reach)."""
SLACK_MS = 2
"""An edge may run its clock from a monotonic one; a reading stamped this much before it was served is still it."""
TIMEOUT_MS = 1000
"""The edge's default patience for a reply."""
RELATIVE_TOLERANCE = 1e-9
"""Two codecs may multiply and add in another order; nothing served differs by so little from its neighbour."""
EDGE_MADE = frozenset({Reason.COMM, Reason.DEVICE_EXCEPTION, Reason.STALE})
"""Reasons of readings the edge makes itself because the device said nothing."""


class Ledger:
    """Writes the ledger of one simulator process."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("w", encoding="utf-8", buffering=1 << 16)
        self._blocks: dict[tuple[str, tuple[str, ...]], int] = {}
        self.served = 0
        self._write({"ledger": 1})

    def record(self, device: str, points: tuple[str, ...], asked_ms: int, served_ms: int, told: Sequence[Told]) -> None:
        """Note one reply of a device."""
        if not points:
            return
        number = self._blocks.get((device, points))
        if number is None:
            number = self._blocks[device, points] = len(self._blocks)
            self._write({"block": number, "device": device, "points": points})
        self._write([number, asked_ms, served_ms, told])
        self.served += len(points)

    def _write(self, line: Any) -> None:
        self._file.write(
            json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=list) + "\n"
        )

    def flush(self) -> None:
        """Bring everything so far to the file."""
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Served:
    """One value as it was served."""

    asked_ms: int
    served_ms: int
    value: Told


@dataclass(frozen=True, slots=True)
class Stored:
    """One reading as history has it."""

    time_ms: int
    value: Told
    quality: int = 0


def read_ledger(path: Path) -> dict[tuple[str, str], list[Served]]:
    """Return a ledger by (device, point), each in the order of serving. Raises: ValueError for a broken file.

    A last line cut short by a killed simulator is left out.
    """
    found: dict[tuple[str, str], list[Served]] = defaultdict(list)
    blocks: dict[int, list[tuple[str, str]]] = {}
    lines = path.read_text(encoding="utf-8").split("\n")
    if json.loads(lines[0]) != {"ledger": 1}:
        raise ValueError(f"{path} is no ledger")
    for text in lines[1:-1]:
        line = json.loads(text)
        if isinstance(line, dict):
            blocks[line["block"]] = [(line["device"], point) for point in line["points"]]
            continue
        number, asked_ms, served_ms, told = line
        for key, value in zip(blocks[number], told, strict=True):
            found[key].append(Served(asked_ms, served_ms, value))
    return dict(found)


@dataclass(frozen=True, slots=True)
class Run:
    """What is known about a run beside its ledger: edges' SIGKILLs, and how long an edge waits for a reply."""

    kills_ms: Sequence[int] = ()
    timeout_ms: int = TIMEOUT_MS


@dataclass(slots=True)
class Comparison:
    """A history held against a ledger. Only `lost` and `extra` are faults."""

    matched: int = 0
    lost: list[Served] = field(default_factory=list)
    in_flight: list[Served] = field(default_factory=list)
    abandoned: list[Served] = field(default_factory=list)
    extra: list[Stored] = field(default_factory=list)
    edge_made: int = 0

    def add(self, other: "Comparison") -> None:
        """Count another tag's comparison in."""
        self.matched += other.matched
        self.edge_made += other.edge_made
        self.lost += other.lost
        self.in_flight += other.in_flight
        self.abandoned += other.abandoned
        self.extra += other.extra


def compare(served: Sequence[Served], stored: Iterable[Stored], run: Run = Run()) -> Comparison:
    """Hold one tag's history against its ledger, with one pointer in each.

    Both must be in order of time. A stored reading belongs to the served value it equals and which was served last
    before it, no longer before than the edge waits. What the edge made itself (comm loss) is set aside.
    """
    result = Comparison()
    at = 0
    for reading in stored:
        if reason(reading.quality) in EDGE_MADE:
            result.edge_made += 1
            continue
        found = _find(served, at, reading, run.timeout_ms)
        if found is None:
            result.extra.append(reading)
            continue
        for missed in served[at:found]:
            _file_missed(result, missed, run)
        result.matched += 1
        at = found + 1
    for missed in served[at:]:
        _file_missed(result, missed, run)
    return result


def _find(served: Sequence[Served], at: int, reading: Stored, timeout_ms: int) -> int | None:
    """Return the index of the value a reading is: the last one served before it that equals it."""
    end = bisect_right(served, reading.time_ms + SLACK_MS, lo=at, key=lambda one: one.served_ms)
    for index in range(end - 1, at - 1, -1):
        one = served[index]
        if one.served_ms < reading.time_ms - timeout_ms:
            return None
        if same(one.value, reading.value):
            return index
    return None


def same(a: Told, b: Told) -> bool:
    """Return whether two values are one; a bool is 0 or 1, and NaN is no measurement."""
    a, b = _plain(a), _plain(b)
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-12)
    return a == b


def _plain(value: Told) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    number = float(value)
    return None if math.isnan(number) else number


def _file_missed(result: Comparison, missed: Served, run: Run) -> None:
    if any(missed.served_ms <= kill_ms <= missed.served_ms + IN_FLIGHT_MS for kill_ms in run.kills_ms):
        result.in_flight.append(missed)
    elif missed.served_ms - missed.asked_ms >= run.timeout_ms:
        result.abandoned.append(missed)
    else:
        result.lost.append(missed)


def compare_all(
    served: Mapping[tuple[str, str], Sequence[Served]],
    stored: Mapping[tuple[str, str], Sequence[Stored]],
    run: Run = Run(),
) -> Comparison:
    """Hold a whole history against a whole ledger, both by (device, point)."""
    total = Comparison()
    for key in sorted(served.keys() | stored.keys()):
        total.add(compare(served.get(key, ()), stored.get(key, ()), run))
    return total
