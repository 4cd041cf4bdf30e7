"""From the columns of a CSV and a person's rules to what the engine starts from: the way a profile's point goes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from davylamp_alarms.definition import AlarmDef, Register, TagDef
from davylamp_wire.config import ConfigError

from davylamp_cloud.backtest.overlay import Guards, Taught, guards_under, sound_point
from davylamp_cloud.backtest.rules import FIXED, Rule, Rules
from davylamp_cloud.backtest.trainings import Column as CsvPlace
from davylamp_cloud.settings import Settings, alarm_defs, settings_of, tag_def, templates_of

POSITION = "csv"
"""The operating position of tags whose names say none: the first part of an id does."""

SOURCE = "csv"


@dataclass(frozen=True, slots=True)
class Column:
    """A tag as a CSV names it. `period_s` is how far apart its readings usually are."""

    name: str
    period_s: float

    @property
    def tag_id(self) -> str:
        """The id the engine knows it by."""
        return self.name if "/" in self.name else f"{POSITION}/{self.name}"

    @property
    def node(self) -> str:
        """Whose link its readings depend on: there is one for each position."""
        return f"{self.tag_id.partition('/')[0]}/{SOURCE}"


def name_of(tag_id: str) -> str:
    """Return how a CSV names a tag."""
    return tag_id.removeprefix(f"{POSITION}/")


def register_of(columns: Sequence[Column], rules: Rules) -> Register:
    """Return the columns with the limits that rules give them; one without rules is a tag without alarms.

    Raises:
        ConfigError: Every limit that cannot be, or could never work.
    """
    mistakes: list[str] = []
    names = {column.name for column in columns}
    tags: list[TagDef] = []
    alarms: list[AlarmDef] = []
    for place, column in enumerate(columns):
        try:
            settings = _settings(column, rules, names)
        except ConfigError as error:
            mistakes += error.mistakes
            continue
        tags.append(tag_def(column.tag_id, column.node, settings))
        alarms += alarm_defs(column.tag_id, place, column.node, templates_of(settings))
    if mistakes:
        raise ConfigError(mistakes)
    return Register(tuple(tags), tuple(alarms))


def units_of(columns: Sequence[Column], rules: Rules) -> dict[str, str]:
    """Return what each column is measured in, by the id of its tag, where rules say so."""
    said = {column.tag_id: _fixed(_said(column, rules)) for column in columns}
    return {tag_id: str(fixed["unit"]) for tag_id, fixed in said.items() if "unit" in fixed}


def _settings(column: Column, rules: Rules, names: Collection[str]) -> Settings:
    """Return what a tag's rules make of it. It falls silent by its kind, or as slowly as the file itself reports."""
    said = _said(column, rules)
    where = f"{rules.origin}: {column.name}"
    fixed = _fixed(said)
    guards = guards_under(Guards(), said, where, Taught(rules.trainings, CsvPlace("", column.name, "", names)))
    point = sound_point({"zh": column.name, "en": column.name, "unit": "", **fixed}, guards, where)
    settings = settings_of(point, SOURCE)
    if point.max_silence_s is not None or settings.silence_s >= column.period_s:
        return settings
    return settings.model_copy(update={"silence_s": column.period_s})


def _said(column: Column, rules: Rules) -> list[Rule]:
    return [rule for _, rule in rules.of(column.name, column.tag_id)]


def _fixed(rules: Sequence[Rule]) -> Mapping[str, Any]:
    return {name: getattr(rule, name) for rule in rules for name in FIXED if getattr(rule, name) is not None}
