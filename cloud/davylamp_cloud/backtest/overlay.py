"""What rules make of what guards a tag: its limits and statistical rules, with those that are tried laid over them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from davylamp_alarms.wanted import judge_settings
from davylamp_wire.config import ConfigError, Mistake, Section, mistaken, mistakes_of, parse
from davylamp_wire.finding import below
from davylamp_wire.lint import unworkable
from davylamp_wire.lint_warnings import unwarning
from davylamp_wire.point import EarlyWarning, Limit, LimitKind, Point, Text, limit_problems
from davylamp_wire.trained import LEARNT, Place, Training
from pydantic import ValidationError

from davylamp_cloud.backtest.rules import Rule
from davylamp_cloud.backtest.trainings import untaught, with_training

TRIED: Mapping[str, str] = {"standard": "backtest", "basis": "proposal"}
"""The source of what is only tried. What goes into force needs its own (SAFETY S30)."""

ACTION = {"zh": "回测", "en": "backtest"}
"""Of a statistical rule that is only tried: nobody hears it."""

Table = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Guards:
    """The limits and the statistical rules of a tag."""

    limits: Mapping[LimitKind, Limit] = field(default_factory=dict)
    warnings: Mapping[str, EarlyWarning] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taught:
    """What trainings say at a place."""

    trainings: Mapping[str, Training]
    place: Place

    def by(self, rule: str, warning: EarlyWarning, where: str) -> EarlyWarning:
        """Return a rule with what the training it names says of its tag.

        Raises:
            ConfigError: They do not fit each other, or the rule learns nothing.
        """
        if rule not in LEARNT:
            known = ", ".join(LEARNT)
            raise mistaken(
                f"{where}.warnings.{rule}.model: this rule learns nothing, {known} do; leave it out",
                f"{where}.warnings.{rule}.model：该规则不需要训练，只有 {known} 需要；请删去",
            )
        return with_training(rule, warning, self.place, self.trainings[warning.model], where)


def guards_under(guards: Guards, rules: Sequence[Rule], where: str, taught: Taught) -> Guards:
    """Return what guards a tag with some rules laid over it.

    Raises:
        ConfigError: What is not there is taken away, a new limit has no value, or a training does not fit; `where`
            names the tag.
    """
    limits: Table = {str(kind): limit.model_dump() for kind, limit in guards.limits.items()}
    warnings: Table = {name: warning.model_dump() for name, warning in guards.warnings.items()}
    mistakes = [line for rule in rules for line in _laid(rule, limits, warnings, where)]
    mistakes += [_valueless(f"{where}.limits.{kind}.value") for kind, limit in limits.items() if "value" not in limit]
    if mistakes:
        raise ConfigError(mistakes)
    parsed = {name: parse(EarlyWarning, said, f"{where}.warnings.{name}") for name, said in warnings.items()}
    return Guards(
        {LimitKind(kind): parse(Limit, limit, f"{where}.limits.{kind}") for kind, limit in limits.items()},
        {name: taught.by(name, one, where) if one.model else one for name, one in parsed.items()},
    )


def sound_point(said: Mapping[str, Any], guards: Guards, where: str) -> Point:
    """Return the point that tried guards belong to, judged as a profile's is.

    Raises:
        ConfigError: A limit or a rule cannot be, or could never work.
    """
    if mistakes := list(below(where, limit_problems(guards.limits, said.get("range")))):
        raise ConfigError(mistakes)
    point = parse(Point, {**said, "limits": guards.limits, "warnings": guards.warnings}, where)
    mistakes = list(below(where, (*unworkable(point), *unwarning(point))))
    for name, warning in guards.warnings.items():
        mistakes += _unsettled(name, warning, f"{where}.warnings.{name}.settings")
    if mistakes:
        raise ConfigError(mistakes)
    return point


def _unsettled(name: str, warning: EarlyWarning, where: str) -> list[str]:
    """Return what is wrong with the settings of a statistical rule; nothing of one that does not exist."""
    try:
        judge_settings(name, warning.settings, warning.inputs)
    except ValidationError as error:
        return mistakes_of(error, where)
    except ValueError as error:
        return [f"{where}: {error}"]
    except LookupError:
        pass
    return []


def _valueless(where: str) -> str:
    return Mistake(
        f"{where}: is missing; the tag has no such limit yet", f"{where}：缺少；该位号还没有这一限值，请写上"
    )


def _laid(rule: Rule, limits: Table, warnings: Table, where: str) -> Iterator[str]:
    """Lay a rule over limits and statistical rules; yield one line per mistake."""
    for name in rule.without:
        table = limits if name in LimitKind.__members__ else warnings
        if table.pop(name, None) is None:
            what = Text(zh="限值", en="limit") if table is limits else Text(zh="统计规则", en="statistical rule")
            yield Mistake(
                f"{where}.without: there is no {what.en} {name}; leave it out",
                f"{where}.without：没有{what.zh} {name}；请删去",
            )
    for kind, limit in rule.limits.items():
        limits[kind] = _over(limits.get(kind, {"source": TRIED}), limit, ("value",))
    for name, warning in rule.warnings.items():
        known = warnings.get(name, {"source": TRIED, "action": ACTION})
        before = known.get("settings", {})
        settings = {**(untaught(name, before) if warning.model else before), **(warning.settings or {})}
        kept = {key: value for key, value in known.items() if key != "inputs"} if warning.model else known
        warnings[name] = {**_over(kept, warning, ("settings", "towards", "model")), "settings": settings}


def _over(known: Mapping[str, Any], tried: Section, vouched: Iterable[str]) -> dict[str, Any]:
    """Return what is known with what is tried of it. A source vouches for some keys: where one moves, it is gone."""
    said = tried.model_dump(exclude_unset=True, exclude_none=True)
    moved = any(name in said and said[name] != known.get(name) for name in vouched)
    return {**known, **({"source": TRIED} if moved else {}), **said}
