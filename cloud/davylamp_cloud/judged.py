"""What the linter says of a registered tag: its point as its edge described it, under the settings in force.

An error can never work as a limit. A warning works and should be looked at: a level later than the standard allows, a
gas no level is known for, no limit at all, a statistical rule that finds nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from davylamp_wire.ceilings import above_ceiling, unjudged
from davylamp_wire.finding import Finding
from davylamp_wire.lint import unlimited, unworkable
from davylamp_wire.lint_warnings import unlearnt, unwarning
from davylamp_wire.point import Point, limit_problems

from davylamp_cloud.introduction import described
from davylamp_cloud.log import Log
from davylamp_cloud.register import NODE_DEVICE
from davylamp_cloud.settings import Settings

Points = dict[tuple[str, str], dict[str, Point]]
"""Of each (node, device), its points by name."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is odd about a tag's limits."""

    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def judged(point: Point) -> Judged:
    """Return what the linter says of a point."""
    rules = tuple(unwarning(point))
    thinned = (one for one in rules if one.key == "deadband")  # refused by SAFETY S8
    errors = (*limit_problems(point.limits, point.range), *unworkable(point), *thinned)
    return Judged(errors, (*(one for one in rules if one.key != "deadband"), *unlearnt(point), *_doubtful(point)))


def _doubtful(point: Point) -> Iterator[Finding]:
    yield from above_ceiling(point)
    if unjudged(point):
        yield Finding(
            "gas",
            f"{point.gas or 'no gas'} in {point.unit or 'no unit'} has no known ceiling; name the gas in the profile",
            f"{point.gas or '未写气体'}、单位 {point.unit or '未写'} 无上限可核对；请在设备模板中写明 gas",
        )
    if unlimited(point):
        yield Finding("limits", "are none: nobody is told whatever it measures", "没有任何限值：无论测到多少都不报警")


def described_points(log: Log, node: str | None = None, device: str | None = None) -> Points:
    """Return the points of all devices, or of one, as its newest birth describes them.

    A log may have been lost and begun anew, and a description may be unreadable: then there are none.
    """
    born = None if device is None else "" if device == NODE_DEVICE else device
    found = log.latest_descriptions(node, born).items()
    return {(node, device or NODE_DEVICE): _points(text) for (node, device), text in found}


def _points(description: str) -> dict[str, Point]:
    try:
        return described(description).points if description else {}
    except ValueError:
        return {}


def as_set(point: Point | None, settings: Settings) -> Point:
    """Return a point with the settings in force; where no birth describes it, what the settings say of it."""
    if point is None:
        point = Point(zh="–", en="–", unit=settings.unit)
    said = {name: getattr(settings, name) for name in ("kind", "unit", "range", "limits", "warnings")}
    return point.model_copy(update=said)
