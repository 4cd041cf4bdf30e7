"""The rules a person wants to try: a TOML file whose tables are tag ids or patterns of them.

```toml
["LT-11*"]                     # an id, or a pattern: * any characters, ? one
kind = "process"               # what a profile's point says: kind, unit, gas, range, max_silence_s
range = [0.0, 20.0]
limits.H = { value = 16.0, deadband = 0.2, on_delay_s = 5 }
without = ["HH"]               # limits that go
```

Of a limit that is there already, only the keys that are given change. Where several patterns mean a tag, they hold in
the order of the file, the last one last.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from davylamp_wire.config import ConfigError, Section, parse, read_toml
from davylamp_wire.finding import below
from davylamp_wire.lint import unworkable
from davylamp_wire.profile import Limit, LimitKind, Point, Priority, Source, Text
from pydantic import Field

TRIED: Mapping[str, str] = {"standard": "backtest", "basis": "proposal"}
"""The source of a limit that is only tried. One that goes into force needs its own (SAFETY S30)."""

FIXED = ("kind", "unit", "gas", "range", "max_silence_s")
"""What a tag keeps for life: only a CSV, which knows nothing of its tags, is told."""


class TriedLimit(Section):
    """A profile's limit, of which nothing needs to be said but what is different."""

    value: float | None = None
    deadband: float | None = Field(default=None, ge=0)
    on_delay_s: float | None = Field(default=None, ge=0)
    off_delay_s: float | None = Field(default=None, ge=0)
    latch: bool | None = None
    priority: Priority | None = None
    action: Text | None = None
    source: Source | None = None
    cause: Text | None = None
    consequence: Text | None = None
    respond_s: float | None = Field(default=None, gt=0)


class Rule(Section):
    """What is said of the tags that one pattern means."""

    kind: Literal["process", "gas", "fire", "status", "diagnostic"] | None = None
    unit: str | None = None
    gas: str | None = None
    range: tuple[float, float] | None = None
    max_silence_s: float | None = Field(default=None, gt=0)
    limits: dict[LimitKind, TriedLimit] = Field(default_factory=dict)
    without: tuple[LimitKind, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """A rules file. `origin` names it in messages."""

    origin: str
    by_pattern: Mapping[str, Rule]

    def of(self, *names: str) -> list[tuple[str, Rule]]:
        """Return what is said of a tag by any of its names, in order, each with its pattern."""
        return [
            (pattern, rule) for pattern, rule in self.by_pattern.items() if any(fnmatchcase(n, pattern) for n in names)
        ]


NO_RULES = Rules("", {})


def rules_of(table: Mapping[str, Any], origin: str) -> Rules:
    """Return rules from a table as a file or a request holds it; every mistake in one `ConfigError`."""
    mistakes: list[str] = []
    found: dict[str, Rule] = {}
    for pattern, said in table.items():
        where = f'{origin}: "{pattern}"'
        if not isinstance(said, dict):
            mistakes.append(f'{where}: is no table; write ["{pattern}"] over the keys of the tag')
            continue
        try:
            found[pattern] = parse(Rule, said, where)
        except ConfigError as error:
            mistakes += error.mistakes
    if not found and not mistakes:
        mistakes.append(f'{origin}: says nothing; write ["tag or pattern"] and under it limits.H = {{ value = 80.0 }}')
    if mistakes:
        raise ConfigError(mistakes)
    return Rules(origin, found)


def load_rules(path: Path) -> Rules:
    """Return a rules file; every mistake in one `ConfigError`, with file and key."""
    return rules_of(read_toml(path), str(path))


def unmatched(rules: Rules, tags: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield one line per pattern that means no tag; `tags` holds the names of each, the usual one first."""
    names = [name for tag in tags for name in tag]
    usual = [tag[0] for tag in tags]
    for pattern in rules.by_pattern:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, usual, 3, 0.5) or usual[:3]
            yield f'{rules.origin}: "{pattern}": means no tag; there are {len(tags)}, such as {", ".join(near)}'


def limits_with(limits: Mapping[LimitKind, Limit], rules: Iterable[Rule], where: str) -> dict[LimitKind, Limit]:
    """Return a tag's limits with those of some rules laid over them.

    Raises:
        ConfigError: A limit is taken away that is not there, or a new one has no value; `where` names the tag.
    """
    found: dict[LimitKind, dict[str, Any]] = {kind: limit.model_dump() for kind, limit in limits.items()}
    mistakes = []
    for rule in rules:
        for kind in rule.without:
            if found.pop(kind, None) is None:
                mistakes.append(f"{where}.without: there is no limit {kind}")
        for kind, tried in rule.limits.items():
            found[kind] = _over(found.get(kind, {"source": TRIED}), tried)
    mistakes += [f"{where}.limits.{kind}.value: is missing" for kind, limit in found.items() if "value" not in limit]
    if mistakes:
        raise ConfigError(mistakes)
    return {kind: parse(Limit, limit, f"{where}.limits.{kind}") for kind, limit in found.items()}


def _over(limit: Mapping[str, Any], tried: TriedLimit) -> dict[str, Any]:
    """Return a limit with what is tried of it. Its source vouches for its value: with another value it is gone."""
    said = tried.model_dump(exclude_unset=True, exclude_none=True)
    moved = "value" in said and said["value"] != limit.get("value")
    return {**limit, **({"source": TRIED} if moved else {}), **said}


def sound_point(said: Mapping[str, Any], limits: Mapping[LimitKind, Limit], where: str) -> Point:
    """Return the point that tried limits belong to, judged as a profile's is.

    Raises:
        ConfigError: A limit cannot be, or could never work.
    """
    point = parse(Point, {**said, "limits": limits}, where)
    if mistakes := list(below(where, unworkable(point))):
        raise ConfigError(mistakes)
    return point
