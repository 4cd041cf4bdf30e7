"""The cloud's own evaluator with tried rules over its register: records of the log in, what would have been said out.

Rules lie over every tag they mean: those there are, those that are born, and those a person edits meanwhile. An alarm
that an edge decides is decided here instead where its limits are tried, since its edge knows nothing of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from davylamp_alarms.backtest.envelope import Envelope
from davylamp_alarms.backtest.run import Said
from davylamp_alarms.definition import AlarmDef, Changes, GroupDef
from davylamp_alarms.transition import Refusal
from davylamp_wire.config import ConfigError

from davylamp_cloud.backtest.overlay import Guards, guards_under, sound_point
from davylamp_cloud.backtest.rules import FIXED, Rule, Rules
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.log import Record, RecordKind
from davylamp_cloud.register import Tag
from davylamp_cloud.settings import Settings

CHANGING = frozenset({RecordKind.BIRTH, RecordKind.CHANGE})
"""Records after which tags may be others, or have other limits."""

BY, SECOND = "backtest", "rules"
"""Two persons, as an edit that ends a standing alarm needs."""


Sees = Callable[[str], bool]
"""Whether a hazard source is anybody's business who asks."""


def everything(hazard_source: str) -> bool:
    """See every hazard source."""
    return True


class Tried:
    """An evaluator under rules.

    Attributes:
        begun: What was said when the rules were laid over what stood.
        before: The alarms of the tags they mean, as they were; by id.
        after: Those alarms under the rules.
        envelope: Takes the readings, where somebody wants their course.
    """

    def __init__(self, evaluator: Evaluator, rules: Rules, seq: int, at_ms: int, sees: Sees = everything) -> None:
        """Lay the rules over the register.

        Raises:
            ConfigError: A rule cannot be; the message names the tag.
        """
        self._evaluator, self._rules, self._sees = evaluator, rules, sees
        self.readings = 0
        self.envelope: Envelope | None = None
        self.before: dict[str, AlarmDef] = {}
        self.after: dict[str, AlarmDef] = {}
        self.begun = self._lay(evaluator.register.tags, seq, at_ms)

    def take(self, records: Sequence[Record]) -> Iterator[Said]:
        """Yield what records lead to."""
        for part in _cut(records):
            work = self._evaluator.take(part)
            for readings in work.readings:
                self.readings += len(readings.batch)
                if self.envelope is not None and len(readings.batch):
                    self.envelope.take(readings.batch)
            yield from (Said(step.transition, step.at_ms) for step in work.steps)
            if work.register_changed:
                edited = {decision.after.idx for decision in work.decisions}
                edited |= {tag.idx for _, found in work.introduced for tag in found.new}
                tags = self._evaluator.register.tags
                yield from self._lay((tags[idx] for idx in sorted(edited)), work.seq, work.at_ms)

    def _lay(self, tags: Iterable[Tag], seq: int, at_ms: int) -> list[Said]:
        """Lay the rules over tags, all in one edit: of thousands each would take its milliseconds."""
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
        if not found:
            return []
        answer = self._evaluator.engine.redefine(seq, _merged(found, at_ms, self._rules.origin))
        if isinstance(answer, Refusal):
            raise ConfigError([f"{self._rules.origin}: {answer.en} / {answer.zh}"])
        return [Said(step, at_ms) for step in answer]

    def _put(self, tag: Tag, rules: Sequence[Rule], at_ms: int) -> list[Changes]:
        """Put a tag's settings under rules in force in the register; return what the engine must change for it."""
        settings = settings_under(rules, tag, f"{self._rules.origin}: {tag.tag_id}")
        register = self._evaluator.register
        self.before.update((alarm.id, alarm) for alarm in register.alarms_of(tag))
        self.after.update((alarm.id, alarm) for alarm in register.alarms_of(replace(tag, settings=settings)))
        if settings == tag.settings:
            return []
        changes = register.acceptance(tag, settings, at_ms)
        register.put(replace(tag, settings=settings))
        return [changes]


def _merged(found: Iterable[Changes], at_ms: int, comment: str) -> Changes:
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
        by=BY,
        second=SECOND,
        comment=comment,
    )


def meant_by(rules: Rules, tag: Tag) -> list[Rule]:
    """Return what is said of a tag, by its id or the plant's own name."""
    return [rule for _, rule in rules.of(*names_of(tag.tag_id, tag.plant_tag))]


def names_of(tag_id: str, plant_tag: str) -> tuple[str, ...]:
    """Return the names a pattern may mean a tag by, the usual one first."""
    return (plant_tag, tag_id) if plant_tag else (tag_id,)


def settings_under(rules: Sequence[Rule], tag: Tag, where: str) -> Settings:
    """Return a tag's settings under some rules.

    Raises:
        ConfigError: A limit or a rule cannot be, or the rules say what the cloud knows itself.
    """
    known = [name for name in FIXED if any(getattr(rule, name) is not None for rule in rules)]
    if known:
        raise ConfigError(
            [f"{where}.{name}: is only said for a CSV, of a tag it is known; leave it out" for name in known]
        )
    settings = tag.settings
    had = Guards(settings.limits, settings.warnings)
    guards = guards_under(had, rules, where)
    if guards == had:
        return settings
    said = {"zh": tag.text.zh, "en": tag.text.en, "unit": settings.unit, "kind": settings.kind, "range": settings.range}
    sound_point(said, guards, where)
    local = settings.local and guards.limits == settings.limits
    return settings.model_copy(update={"limits": guards.limits, "warnings": guards.warnings, "local": local})


def _cut(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Yield records in parts that end where tags may have changed."""
    start = 0
    for place, record in enumerate(records, 1):
        if record.kind in CHANGING or place == len(records):
            yield records[start:place]
            start = place
