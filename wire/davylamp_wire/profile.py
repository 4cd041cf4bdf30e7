"""Device profiles: what a kind of device measures, how it is read, and where its limits come from.

A profile is data: one TOML file ``<family>/<device>.toml``, discovered and never registered. A limit without a
source cannot be written, and what nobody has verified stays visibly unverified (SAFETY S30).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from davylamp_wire.arrays import expanded
from davylamp_wire.config import SLUG, ConfigError, Section, parse, read_toml
from davylamp_wire.finding import Finding, below
from davylamp_wire.lint import unworkable
from davylamp_wire.lint_warnings import inputs_missing, unwarning
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


class DetectorGroup(Section):
    """Detectors of a device that are counted together: they confirm each other, or too many are blind (S12, S18).

    Each still alarms alone. `need` of them at the limit are a vote, `blind_at` of them faulty, silent or out of service
    are an alarm of their own; 0 leaves out either.
    """

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
    members: tuple[Slug, ...] = Field(min_length=1)
    limit: LimitKind
    need: int = Field(default=0, ge=0)
    blind_at: int = Field(default=0, ge=0)
    priority: Priority = "red"
    source: Source


def group_problems(groups: Mapping[str, DetectorGroup], points: Mapping[str, Point]) -> Iterator[str]:
    """Yield one line per mistake in a device's groups: members without the limit, numbers beyond the members."""
    for name, group in groups.items():
        key, size = f"groups.{name}", len(group.members)
        if name in points:
            yield f"{key}: is the name of a point too; give the group another"
        if len(set(group.members)) < size:
            yield f"{key}.members: one is named twice"
        for member in group.members:
            if member not in points:
                yield f"{key}.members: there is no point {member!r}"
            elif group.limit not in points[member].limits:
                yield f"{key}.limit: point {member!r} has no limit {group.limit}"
        if not group.need and not group.blind_at:
            yield f"{key}: neither votes nor goes blind; give need, blind_at or both"
        if group.need == 1:
            yield f"{key}.need: one detector alarms alone already; a vote takes at least 2"
        for field in ("need", "blind_at"):
            if getattr(group, field) > size:
                yield f"{key}.{field}: {getattr(group, field)} is more than its {size} members"


def bypass_problems(points: Mapping[str, Point]) -> Iterator[str]:
    """Yield one line per bypass whose state cannot be seen: there must be a point that says it in whole numbers."""
    for name, point in points.items():
        for at, bypass in enumerate(point.bypass):
            key = f"points.{name}.bypass.{at}.by"
            if bypass.by not in points:
                yield f"{key}: there is no point {bypass.by!r}"
            elif bypass.by == name:
                yield f"{key}: a point cannot bypass itself; the state is a point of its own"
            elif points[bypass.by].type in (DataType.STRING, DataType.FLOAT32, DataType.FLOAT64):
                yield f"{key}: {bypass.by} is {points[bypass.by].type}; a state is a bool or a whole number"


class Profile(Section):
    """A kind of device. `name` is its file's stem, `family` its folder."""

    name: Slug
    family: Slug
    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
    version: int = Field(default=1, ge=1)
    groups: dict[Slug, DetectorGroup] = Field(default_factory=dict)
    points: dict[Slug, Point] = Field(min_length=1)

    @field_validator("points", mode="before")
    @classmethod
    def _arrays(cls, given: object) -> object:
        return expanded(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _sound(self) -> Self:
        problems = [*group_problems(self.groups, self.points), *bypass_problems(self.points)]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def unhandled(limits: Mapping[LimitKind, Limit]) -> Iterator[Finding]:
    """Yield every limit without a first action: nobody may be woken without being told what to do."""
    for kind, limit in limits.items():
        if limit.action is None:
            form = '{zh = "…", en = "…"}'
            yield Finding(
                f"limits.{kind}.action",
                f"is missing; write the first thing to do, {form}",
                f"缺少；请写首要处置，{form}",
            )


def unshown(states: Mapping[str, Text], key: str) -> Iterator[str]:
    """Yield one line per state that no value is ever written as, so that its words would never be seen."""
    for written in states:
        try:
            shown = f"{float(written):g}"
        except ValueError:
            shown = ""
        if written != shown:
            yield f"{key}.states.{written}: no value reads so; write a number as it is shown, 1 or -2"


def unmapped(loop: Loop | None, key: str) -> Iterator[str]:
    """Yield one line per part of a loop's map that no current is ever in (SAFETY S9)."""
    if loop is None:
        return
    if loop.zero_ma == loop.span_ma:
        yield f"{key}.loop: zero_ma and span_ma are both {loop.zero_ma:g}; a range lies between the two"
    for at, band in enumerate(loop.bands):
        if band.from_ma > band.to_ma:
            span = f"{band.from_ma:g}..{band.to_ma:g} mA"
            yield f"{key}.loop.bands.{at}: {span} holds no current; put the lower end first"


COMM_OK = "comm_ok"
"""Every device has this point, made by the edge itself: 1 while the device answers, 0 while it does not."""


def comm_ok_point() -> Point:
    """Return the point every installed device has beside its profile's own."""
    return Point(zh="通信正常", en="device answers", unit="", kind="status", type=DataType.BOOL, journal_class="event")


def shipped_profiles() -> Path:
    """Return the folder of built-in profiles: beside this file in a wheel, at the top of a checkout."""
    here = Path(__file__).parent
    checkout = here.parent.parent / "device_profiles"
    return checkout if checkout.is_dir() else here / "device_profiles"


def load_profile(path: Path) -> Profile:
    """Return the profile in a file; every mistake in one `ConfigError`, with file and key.

    A limit without a first action is a mistake (SAFETY S24); the other texts are asked for by ``davylamp-edge check``.
    """
    table: dict[str, Any] = read_toml(path)
    root_models(table.get("points"), path.parent)
    profile = parse(Profile, {"name": path.stem, "family": path.parent.name, **table}, path)
    mistakes = [line for name, point in profile.points.items() for line in _unsaid(point, f"points.{name}")]
    mistakes += inputs_missing(profile.points)
    if mistakes:
        raise ConfigError(f"{path}: {line}" for line in mistakes)
    return profile


def root_models(points: object, folder: Path) -> None:
    """Let the trainings that rules of raw points name be found from a folder, wherever the process was started."""
    for point in points.values() if isinstance(points, dict) else ():
        warnings = point.get("warnings") if isinstance(point, dict) else None
        for warning in warnings.values() if isinstance(warnings, dict) else ():
            if isinstance(warning, dict) and isinstance(warning.get("model"), str):
                warning["model"] = str(folder / warning["model"])


def _unsaid(point: Point, key: str) -> Iterator[str]:
    yield from below(key, unhandled(point.limits))
    yield from below(key, unworkable(point))
    yield from below(key, unwarning(point))
    yield from unshown(point.states, key)
    yield from unmapped(point.loop, key)


def load_profiles(*folders: Path) -> dict[str, Profile]:
    """Return all profiles by name; a later folder's profile replaces an earlier one of the same name.

    Two of one name within one folder are a mistake: which of them is meant would depend on the family's name.
    """
    found: dict[str, Profile] = {}
    mistakes: list[str] = []
    for folder in folders:
        names: dict[str, Path] = {}
        for path in sorted(folder.glob("*/*.toml")):
            try:
                profile = load_profile(path)
            except ConfigError as error:
                mistakes.extend(error.mistakes)
            else:
                other = names.setdefault(profile.name, path)
                if other is not path:
                    mistakes.append(f"{path}: {profile.name} is {other} already; give one of them another name")
                found[profile.name] = profile
    if mistakes:
        raise ConfigError(mistakes)
    return found
