"""Device profiles: the points and detector groups of a kind of device.

A profile is data: one TOML file ``<family>/<device>.toml``, discovered and never registered.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from davylamp_wire.arrays import expanded
from davylamp_wire.config import ConfigError, Section, parse, read_toml
from davylamp_wire.finding import Finding, below
from davylamp_wire.lint import unworkable
from davylamp_wire.lint_warnings import inputs_missing, unwarning
from davylamp_wire.point import DataType, Limit, LimitKind, Loop, Point, Priority, Slug, Source, Text


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
