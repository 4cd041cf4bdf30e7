"""What the linter says of limits while a person edits them: errors refuse, warnings are shown before saving."""

from collections.abc import Iterator, Mapping, Sequence

from davylamp_wire.finding import Finding
from davylamp_wire.point import Limit, LimitKind, Point

from davylamp_cloud.api.catalogue import Entry
from davylamp_cloud.api.edit_bodies import FindingView
from davylamp_cloud.api.language import Bilingual
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.judged import as_set, described_points, judged
from davylamp_cloud.settings import Settings

Limits = Mapping[LimitKind, Limit]


def point_in_force(parts: Parts, entry: Entry, live: Settings) -> Point:
    """Return a tag's point as its edge described it last, with the settings in force."""
    said = described_points(parts.cloud.log, entry.node, entry.device)
    point = said.get((entry.node, entry.device), {}).get(entry.point)
    return as_set(point, live)


def added_errors(now: Point, wanted: Limits) -> Iterator[Finding]:
    """Yield the errors that other limits bring; those in force already stand in nobody's way."""
    standing = judged(now).errors
    return (one for one in judged(with_limits(now, wanted)).errors if one not in standing)


def shown(now: Point, wanted: Limits) -> list[FindingView]:
    """Return everything odd about a point with other limits, errors first."""
    found = judged(with_limits(now, wanted))
    return [_view("error", one) for one in found.errors] + [_view("warning", one) for one in found.warnings]


def with_limits(now: Point, wanted: Limits) -> Point:
    return now.model_copy(update={"limits": dict(wanted)})


def told_together(found: Sequence[Finding]) -> Bilingual:
    """Return findings as one sentence's part."""
    return Bilingual("；".join(f"{one.key} {one.zh}" for one in found), "; ".join(map(str, found)))


def _view(severity: str, one: Finding) -> FindingView:
    return FindingView(severity, one.key, Bilingual(one.zh, one.en))
