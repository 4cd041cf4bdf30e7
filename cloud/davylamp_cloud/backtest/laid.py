"""Tried rules over a register and its engine: over every tag they mean, whenever it is born or edited.

An alarm that an edge decides is decided here instead where its limits are tried, since its edge knows nothing of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from davylamp_alarms.backtest.run import Said
from davylamp_alarms.definition import AlarmDef, Changes, GroupDef
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Refusal
from davylamp_wire.config import ConfigError, Mistake, mistaken

from davylamp_cloud.backtest.overlay import Guards, Taught, guards_under, sound_point
from davylamp_cloud.backtest.rules import FIXED, Rule, Rules
from davylamp_cloud.backtest.trainings import place_of
from davylamp_cloud.register import Register
from davylamp_cloud.registered import Tag
from davylamp_cloud.settings import Settings

BY, SECOND = "backtest", "rules"
"""Two persons, as an edit that ends a standing alarm needs."""

Sees = Callable[[str], bool]
"""Whether a hazard source is anybody's business who asks."""


def everything(hazard_source: str) -> bool:
    """See every hazard source."""
    return True


class Laid:
    """Rules that lie over a register.

    Attributes:
        before: The alarms of the tags they mean, as they were; by id.
        after: Those alarms under the rules.
    """

    def __init__(self, engine: Engine, register: Register, rules: Rules, sees: Sees = everything) -> None:
        self._engine, self._register, self._rules, self._sees = engine, register, rules, sees
        self.before: dict[str, AlarmDef] = {}
        self.after: dict[str, AlarmDef] = {}

    def lay(self, tags: Iterable[Tag], seq: int, at_ms: int) -> list[Said]:
        """Lay the rules over tags, all in one edit: of thousands each would take its milliseconds.

        Raises:
            ConfigError: A rule cannot be; the message names the tag.
        """
        mistakes: list[str] = []
        found: list[Changes] = []
        for tag in tags:
            if not self._sees(tag.settings.hazard_source) or not (rules := meant_by(self._rules, tag)):
                continue
            try:
                found += self._put(tag, rules, at_ms)
            except ConfigError as error:
                mistakes += error.mistakes
        if mistakes:
            raise ConfigError(mistakes)
        return self.change(_merged(found, at_ms), seq) if found else []

    def change(self, changes: Changes, seq: int) -> list[Said]:
        """Let the engine take an edit, as by two persons: one alone ends no standing alarm; return what it says.

        Raises:
            ConfigError: It refuses.
        """
        edit = replace(changes, by=BY, second=SECOND, comment=self._rules.origin)
        answer = self._engine.redefine(seq, edit)
        if isinstance(answer, Refusal):
            raise mistaken(f"{self._rules.origin}: {answer.en}", f"{self._rules.origin}：{answer.zh}")
        return [Said(step, changes.at_ms) for step in answer]

    def _taught(self, tag: Tag) -> Taught:
        trainings = self._rules.trainings
        tags = {one.tag_id for one in self._register.tags} if trainings else ()
        return Taught(trainings, place_of(tag.tag_id, tags))

    def _put(self, tag: Tag, rules: Sequence[Rule], at_ms: int) -> list[Changes]:
        """Put a tag's settings under rules in force in the register; return what the engine must change for it."""
        settings = settings_under(rules, tag, f"{self._rules.origin}: {tag.tag_id}", self._taught(tag))
        register = self._register
        self.before.update((alarm.id, alarm) for alarm in register.alarms_of(tag))
        self.after.update((alarm.id, alarm) for alarm in register.alarms_of(replace(tag, settings=settings)))
        if settings == tag.settings:
            return []
        changes = register.acceptance(tag, settings, at_ms)
        register.put(replace(tag, settings=settings))
        return [changes]


def _merged(found: Iterable[Changes], at_ms: int) -> Changes:
    """Return edits that follow each other as one: of an alarm the last word counts."""
    alarms: dict[str, AlarmDef | None] = {}
    groups: dict[str, GroupDef] = {}
    for one in found:
        alarms.update((alarm.id, alarm) for alarm in one.alarms)
        alarms.update((name, None) for name in one.removed)
        groups.update((group.id, group) for group in one.groups)
    return Changes(
        at_ms,
        alarms=tuple(alarm for alarm in alarms.values() if alarm is not None),
        removed=tuple(name for name, alarm in alarms.items() if alarm is None),
        groups=tuple(groups.values()),
    )


def meant_by(rules: Rules, tag: Tag) -> list[Rule]:
    """Return what is said of a tag, by its id or the plant's own name."""
    return [rule for _, rule in rules.of(*names_of(tag.tag_id, tag.plant_tag))]


def names_of(tag_id: str, plant_tag: str) -> tuple[str, ...]:
    """Return the names a pattern may mean a tag by, the usual one first."""
    return (plant_tag, tag_id) if plant_tag else (tag_id,)


def settings_under(rules: Sequence[Rule], tag: Tag, where: str, taught: Taught) -> Settings:
    """Return a tag's settings under some rules.

    Raises:
        ConfigError: A limit or a rule cannot be, or the rules say what the cloud knows itself.
    """
    known = [name for name in FIXED if any(getattr(rule, name) is not None for rule in rules)]
    if known:
        raise ConfigError(
            [
                Mistake(
                    f"{where}.{name}: is only said for a CSV, of a tag it is known; leave it out",
                    f"{where}.{name}：只有 CSV 才需写明，位号本身已有；请删去",
                )
                for name in known
            ]
        )
    settings = tag.settings
    had = Guards(settings.limits, settings.warnings)
    guards = guards_under(had, rules, where, taught)
    if guards == had:
        return settings
    said = {"zh": tag.text.zh, "en": tag.text.en, "unit": settings.unit, "kind": settings.kind, "range": settings.range}
    sound_point(said, guards, where)
    local = settings.local and guards.limits == settings.limits
    return settings.model_copy(update={"limits": guards.limits, "warnings": guards.warnings, "local": local})
