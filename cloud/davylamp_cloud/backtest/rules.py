"""The rules a person wants to try: a TOML file whose tables are tag ids or patterns of them.

```toml
["LT-11*"]                     # an id, or a pattern: * any characters, ? one
kind = "process"               # what a profile's point says: kind, unit, gas, range, max_silence_s
range = [0.0, 20.0]
limits.H = { value = 16.0, deadband = 0.2, on_delay_s = 5 }
warnings.rate.settings = { window_s = 60, limit = 2.0 }
warnings.ewma.model = "tank-1.json"   # a training, beside this file
without = ["HH", "trend"]      # limits and statistical rules that go
```

Of what is there already, only the keys that are given change. Where several patterns mean a tag, they hold in
the order of the file, the last one last.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from davylamp_wire.config import ConfigError, Mistake, Section, in_chinese, parse, read_toml
from davylamp_wire.point import LimitKind, Priority, Source, Text
from davylamp_wire.trained import Training
from pydantic import Field

from davylamp_cloud.backtest.trainings import Reads, beside, inputs_of, none_at_all

FIXED = ("kind", "unit", "gas", "range", "max_silence_s")
"""What a tag keeps for life: only a CSV, which knows nothing of its tags, is told."""


class TriedAlarm(Section):
    """What a profile says of a limit and of a statistical rule alike."""

    on_delay_s: float | None = Field(default=None, ge=0)
    off_delay_s: float | None = Field(default=None, ge=0)
    priority: Priority | None = None
    action: Text | None = None
    source: Source | None = None
    cause: Text | None = None
    consequence: Text | None = None
    respond_s: float | None = Field(default=None, gt=0)


class TriedLimit(TriedAlarm):
    """A profile's limit, of which nothing needs to be said but what is different."""

    value: float | None = None
    deadband: float | None = Field(default=None, ge=0)
    latch: bool | None = None


class TriedWarning(TriedAlarm):
    """A profile's statistical rule, of which nothing needs to be said but what is different; `model` is a training."""

    model: str | None = Field(default=None, min_length=1, max_length=300)
    settings: dict[str, float | str] | None = None
    inputs: tuple[str, ...] | None = None
    towards: tuple[LimitKind, ...] | None = None


class Rule(Section):
    """What is said of the tags that one pattern means."""

    kind: Literal["process", "gas", "fire", "status", "diagnostic"] | None = None
    unit: str | None = None
    gas: str | None = None
    range: tuple[float, float] | None = None
    max_silence_s: float | None = Field(default=None, gt=0)
    limits: dict[LimitKind, TriedLimit] = Field(default_factory=dict)
    warnings: dict[str, TriedWarning] = Field(default_factory=dict)
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """A rules file. `origin` names it in messages; `trainings` are those it names, read."""

    origin: str
    by_pattern: Mapping[str, Rule]
    trainings: Mapping[str, Training] = field(default_factory=dict)

    @property
    def inputs(self) -> frozenset[str]:
        """The tags that statistical rules look at beside their own."""
        said = [(name, one) for rule in self.by_pattern.values() for name, one in rule.warnings.items()]
        named = {name for _, one in said for name in one.inputs or ()}
        return frozenset(named.union(*(inputs_of(name, self.trainings[one.model]) for name, one in said if one.model)))

    def of(self, *names: str) -> list[tuple[str, Rule]]:
        """Return what is said of a tag by any of its names, in order, each with its pattern."""
        return [
            (pattern, rule) for pattern, rule in self.by_pattern.items() if any(fnmatchcase(n, pattern) for n in names)
        ]


NO_RULES = Rules("", {})


def rules_of(table: Mapping[str, Any], origin: str, read: Reads = none_at_all) -> Rules:
    """Return rules from a table as a file or a request holds it; every mistake in one `ConfigError`.

    Args:
        read: Reads the trainings that they name.
    """
    mistakes: list[str] = []
    found: dict[str, Rule] = {}
    for pattern, said in table.items():
        where = f'{origin}: "{pattern}"'
        if not isinstance(said, dict):
            way = f'["{pattern}"]'
            mistakes.append(
                Mistake(
                    f"{where}: is no table; write {way} over the keys of the tag",
                    f"{where}：应为表；请在各键之上写 {way}",
                )
            )
            continue
        try:
            found[pattern] = parse(Rule, said, where)
        except ConfigError as error:
            mistakes += error.mistakes
    if not found and not mistakes:
        mistakes.append(
            Mistake(
                f'{origin}: says nothing; write ["tag or pattern"] and under it limits.H = {{ value = 80.0 }}',
                f'{origin}：没有内容；请写 ["位号或通配"]，下面写 limits.H = {{ value = 80.0 }}',
            )
        )
    trainings, unread = _trainings(found, origin, read)
    if mistakes or unread:
        raise ConfigError([*mistakes, *unread])
    return Rules(origin, found, trainings)


def _trainings(rules: Mapping[str, Rule], origin: str, read: Reads) -> tuple[dict[str, Training], list[str]]:
    """Return the trainings that rules name, and one line for each that cannot be read."""
    found: dict[str, Training] = {}
    mistakes: list[str] = []
    named = [
        (f'"{pattern}".warnings.{name}.model', one.model)
        for pattern, rule in rules.items()
        for name, one in rule.warnings.items()
        if one.model
    ]
    for key, model in named:
        try:
            found[model] = found.get(model) or read(model)
        except ConfigError as error:
            mistakes += [
                Mistake(f"{origin}: {key}: {line}", f"{origin}：{key}：{in_chinese(line)}") for line in error.mistakes
            ]
    return found, mistakes


def load_rules(path: Path) -> Rules:
    """Return a rules file; every mistake in one `ConfigError`, with file and key."""
    return rules_of(read_toml(path), str(path), beside(path.parent))


def unmatched(rules: Rules, tags: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield one line per pattern that means no tag; `tags` holds the names of each, the usual one first."""
    names = [name for tag in tags for name in tag]
    usual = [tag[0] for tag in tags]
    for pattern in rules.by_pattern:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, usual, 3, 0.5) or usual[:3]
            such = f", such as {', '.join(near)}" if near else ""
            yield Mistake(
                f'{rules.origin}: "{pattern}": means no tag; there are {len(tags)}{such}',
                f'{rules.origin}："{pattern}"：没有对应的位号；共有 {len(tags)} 个'
                + (f"，例如 {'、'.join(near)}" if near else ""),
            )
