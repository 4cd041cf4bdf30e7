"""Statistical rules: one file each with a vectorised step, named in one registry and imported on first use.

What they find is a warning of its own: it never masks, delays or replaces a limit alarm.
"""

from functools import cache
from importlib import import_module
from typing import Any

from davylamp_alarms.warning.bank import Bank, Suite
from davylamp_alarms.warning.rule import Samples, StatisticalRule, Verdict

RULES: dict[str, str] = {
    "rate": "davylamp_alarms.warning.rate:RATE",
    "frozen": "davylamp_alarms.warning.frozen:FROZEN",
    "quiet": "davylamp_alarms.warning.quiet:QUIET",
    "deviation": "davylamp_alarms.warning.deviation:DEVIATION",
    "ewma": "davylamp_alarms.warning.ewma:EWMA",
    "cusum": "davylamp_alarms.warning.cusum:CUSUM",
    "trend": "davylamp_alarms.warning.trend:TREND",
    "normal": "davylamp_alarms.warning.normal:NORMAL",
    "unit": "davylamp_alarms.warning.unit:UNIT",
    "rollup": "davylamp_alarms.warning.rollup:ROLLUP",
    "command": "davylamp_alarms.warning.command:COMMAND",
    "expression": "davylamp_alarms.warning.expression:EXPRESSION",
}
"""Rule by the name it has in configurations."""


@cache
def load(name: str) -> StatisticalRule[Any, Any]:
    """Return the rule of a name.

    Raises:
        LookupError: There is none; the message says which there are.
    """
    if name not in RULES:
        raise LookupError(f"there is no rule {name!r}; there are {', '.join(sorted(RULES))}")
    module, _, attribute = RULES[name].partition(":")
    rule = getattr(import_module(module), attribute)
    if not isinstance(rule, StatisticalRule):
        raise TypeError(f"{RULES[name]} is no StatisticalRule")
    return rule


def bank(name: str, settings: dict[str, Any], rows: int) -> Bank:
    """Return `rows` rows of a rule with the same settings, as a configuration spells them.

    Raises:
        LookupError: There is no such rule.
        pydantic.ValidationError: A setting is unknown, missing or out of range; the message names it.
    """
    rule = load(name)
    return Bank(rule, rule.settings.model_validate(settings), rows)


__all__ = ["RULES", "Bank", "Samples", "StatisticalRule", "Suite", "Verdict", "bank", "load"]
