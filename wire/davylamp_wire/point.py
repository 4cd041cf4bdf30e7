"""A point of a device: how it is read, what it measures, where its limits come from, what warns of it.

A limit without a source cannot be written, and what nobody has verified stays visibly unverified (SAFETY S30).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from davylamp_wire.config import SLUG, Section
from davylamp_wire.finding import Finding
from davylamp_wire.quality import Level, Reason

Slug = Annotated[str, StringConstraints(pattern=SLUG)]
Priority = Literal["red", "orange", "yellow", "blue"]
Basis = Literal["source-found", "memory", "proposal"]
Kind = Literal["process", "gas", "fire", "status", "diagnostic"]
JournalClass = Literal["event", "live", "bulk"]
Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]

MAX_SILENCE_S: dict[str, float] = {"gas": 10.0, "fire": 10.0}
DEFAULT_MAX_SILENCE_S = 60.0


class LimitKind(StrEnum):
    """The limits a point can have: ISA-18.2's four, and the two levels of a gas detector (GB/T 50493)."""

    LL = "LL"
    L = "L"
    H = "H"
    HH = "HH"
    L1 = "L1"
    L2 = "L2"

    @property
    def rising(self) -> bool:
        """True where the dangerous side is high."""
        return self not in (LimitKind.L, LimitKind.LL)


class DataType(StrEnum):
    """How a point lies in the device. Sparkplug's datatypes follow from it."""

    BOOL = "bool"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BCD16 = "bcd16"
    """Four decimal digits, four bits each: 0 to 9999."""
    BCD32 = "bcd32"
    """Eight decimal digits."""
    STRING = "string"


class Text(Section):
    """A text a person reads, in both languages."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Source(Section):
    """Where a figure comes from. `verified_by` stays empty until a person has read the official text (SAFETY S30)."""

    standard: str = Field(min_length=1)
    clause: str = ""
    edition: str = ""
    basis: Basis
    verified_by: str = ""
    verified_on: date | None = None

    @property
    def verified(self) -> bool:
        return bool(self.verified_by)


HANDLING = ("action", "cause", "consequence", "respond_s")
"""What a limit says to the person who hears it: first thing to do, why, what follows, and how soon (SAFETY S24)."""


class Handled(Section):
    """What is said of an alarm to the person who hears it; `HANDLING` names the fields."""

    @property
    def unsaid(self) -> tuple[str, ...]:
        """Return which parts of the handling are missing."""
        return tuple(name for name in HANDLING if getattr(self, name) is None)


class Limit(Handled):
    """A limit in the point's own unit, with how it is entered and left, its source, and how it is handled.

    The texts may be missing in what comes over the wire, since another's birth is never refused for want of words
    (SAFETY S30); a profile's own limits must at least name a first action (`unhandled`). `respond_s` is how long a
    person has from the raise until the action must have worked.
    """

    value: float
    deadband: float = Field(default=0.0, ge=0)
    on_delay_s: float = Field(default=0.0, ge=0)
    off_delay_s: float = Field(default=0.0, ge=0)
    latch: bool = False
    priority: Priority | None = None
    action: Text | None = None
    source: Source
    cause: Text | None = None
    consequence: Text | None = None
    respond_s: float | None = Field(default=None, gt=0)


class EarlyWarning(Handled):
    """A statistical rule that watches a point, by the rule's own settings: it warns before a limit does.

    Its settings, its source and its texts are the point's; what it finds never masks, delays or replaces a limit alarm.
    `inputs` are the points of a rule over several: of the same device, or the full id of any tag. `towards` are the
    point's own limits that a trend is held against. `model` is the file of a training, beside the file that names it:
    its edge puts what it says of the point among the settings (trained.py), and no birth and no store names the file.
    """

    model: str = Field(default="", exclude=True)
    settings: dict[str, float | str] = Field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    towards: tuple[LimitKind, ...] = ()
    on_delay_s: float = Field(default=0.0, ge=0)
    off_delay_s: float = Field(default=0.0, ge=0)
    priority: Priority | None = None
    action: Text | None = None
    source: Source
    cause: Text | None = None
    consequence: Text | None = None
    respond_s: float | None = Field(default=None, gt=0)


class LoopBand(Section):
    """A span of loop current that means something other than a value (SAFETY S9)."""

    from_ma: float
    to_ma: float
    level: Literal["uncertain", "bad"]
    reason: Literal[
        "LOOP_LOW", "LOOP_HIGH", "OVER_RANGE", "UNDER_RANGE", "INHIBIT", "CALIBRATION", "MAINTENANCE", "DEVICE_FAULT"
    ]

    @property
    def code(self) -> int:
        return Level[self.level.upper()] << 8 | Reason[self.reason]


class Loop(Section):
    """A 4-20 mA input: current at the range's two ends, and the maker's bands."""

    zero_ma: float = 4.0
    span_ma: float = 20.0
    bands: tuple[LoopBand, ...] = ()


class Bypass(Section):
    """A state in which a point does not measure its process, as the PLC shows it in a point of its own (SAFETY S9).

    While `by` has one of the values in `when`, the point is at most of this level, for this reason. Bad neither raises
    nor clears; uncertain still raises.
    """

    by: Slug
    when: tuple[int, ...] = Field(default=(1,), min_length=1)
    level: Literal["uncertain", "bad"]
    reason: Literal["INHIBIT", "CALIBRATION", "MAINTENANCE"]

    @property
    def code(self) -> int:
        return Level[self.level.upper()] << 8 | Reason[self.reason]


class Point(Section):
    """An entry of a device profile."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
    unit: str
    kind: Kind = "process"
    gas: str = ""
    type: DataType = DataType.FLOAT32
    range: tuple[float, float] | None = None
    scan_s: float = Field(default=1.0, gt=0)
    address: dict[Slug, str] = Field(default_factory=dict)
    order: Order = "ABCD"
    scale: float = 1.0
    offset: float = 0.0
    length: int = Field(default=1, ge=1, le=125)
    loop: Loop | None = None
    bypass: tuple[Bypass, ...] = ()
    limits: dict[LimitKind, Limit] = Field(default_factory=dict)
    warnings: dict[Slug, EarlyWarning] = Field(default_factory=dict)
    deadband: float | None = Field(default=None, gt=0)
    max_silence_s: float | None = Field(default=None, gt=0)
    journal_class: JournalClass = "live"
    required: bool = False
    states: dict[str, Text] = Field(default_factory=dict)
    local: bool = False
    plant_tag: str = ""

    @property
    def silence_s(self) -> float:
        """Longest time between two reports of this point; a gas or fire point never rests longer than 10 s."""
        return self.max_silence_s or MAX_SILENCE_S.get(self.kind, DEFAULT_MAX_SILENCE_S)

    @property
    def sees_over_range(self) -> bool:
        """Whether leaving its range is an alarm: so it is for a detector (SAFETY S9)."""
        return self.kind in MAX_SILENCE_S and self.range is not None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        problems = list(_problems_of(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _problems_of(point: Point) -> Iterable[str]:
    if point.range and point.range[0] >= point.range[1]:
        yield f"range {point.range[0]}..{point.range[1]} is empty; put the lower end first"
    if point.loop and not point.range:
        yield "loop needs range: the values at zero_ma and span_ma"
    if point.deadband and point.kind in ("gas", "fire"):
        yield f"deadband is refused on {point.kind} points: limits must see every change (SAFETY S8)"
    if point.kind in MAX_SILENCE_S and point.silence_s > MAX_SILENCE_S[point.kind]:
        yield f"max_silence_s may not exceed {MAX_SILENCE_S[point.kind]:g} on {point.kind} points (SAFETY S8)"
    if point.local and not (point.limits or point.sees_over_range):
        yield "local: there is no limit that the edge could decide; give the point limits, or leave local out"
    yield from _limit_problems(point)


def _limit_problems(point: Point) -> Iterable[str]:
    if point.limits and point.type is DataType.STRING:
        yield "limits need a number, this point is a string"
    yield from map(str, limit_problems(point.limits, point.range))


def limit_problems(limits: Mapping[LimitKind, Limit], span: tuple[float, float] | None) -> Iterator[Finding]:
    """Yield every limit outside the instrument's range, or on the wrong side of its neighbour."""
    if span:
        low, high = span
        for kind, limit in limits.items():
            if not low <= limit.value <= high:
                yield Finding(
                    f"limits.{kind}",
                    f"{limit.value:g} lies outside the range {low:g}..{high:g}",
                    f"{limit.value:g} 超出量程 {low:g}..{high:g}",
                )
    for kinds in (("LL", "L", "H", "HH"), ("L1", "L2")):
        present = [(kind, limits[LimitKind(kind)].value) for kind in kinds if LimitKind(kind) in limits]
        for (lower, a), (upper, b) in pairwise(present):
            if a > b:
                yield Finding(
                    f"limits.{lower}",
                    f"{a:g} lies above limits.{upper} ({b:g}); order them LL < L < H < HH, L1 < L2",
                    f"{a:g} 高于 limits.{upper}（{b:g}）；应依次为 LL < L < H < HH, L1 < L2",
                )


COMM_OK = "comm_ok"
"""Every device has this point, made by the edge itself: 1 while the device answers, 0 while it does not."""


def comm_ok_point() -> Point:
    """Return the point every installed device has beside its profile's own."""
    return Point(zh="通信正常", en="device answers", unit="", kind="status", type=DataType.BOOL, journal_class="event")
