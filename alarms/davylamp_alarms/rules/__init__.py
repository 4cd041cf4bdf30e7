"""Rule kinds: one file with vectorised functions each, named in one registry and imported on first use."""

from functools import cache
from importlib import import_module

from davylamp_alarms.definition import Kind
from davylamp_alarms.rules.rule import Rule, Samples

RULES: dict[Kind, str] = {
    Kind.HH: "davylamp_alarms.rules.limit:ABOVE",
    Kind.H: "davylamp_alarms.rules.limit:ABOVE",
    Kind.L1: "davylamp_alarms.rules.limit:ABOVE",
    Kind.L2: "davylamp_alarms.rules.limit:ABOVE",
    Kind.MASK: "davylamp_alarms.rules.limit:ABOVE",
    Kind.L: "davylamp_alarms.rules.limit:BELOW",
    Kind.LL: "davylamp_alarms.rules.limit:BELOW",
    Kind.COMM: "davylamp_alarms.rules.limit:BELOW",
    Kind.OVER_RANGE: "davylamp_alarms.rules.fault:OVER_RANGE",
    Kind.FAULT: "davylamp_alarms.rules.fault:FAULT",
    Kind.STALE: "davylamp_alarms.rules.stale:STALE",
}
"""Kinds that look at a tag's readings. LINK and SYSTEM have no tag (lone.py)."""


@cache
def load(path: str) -> Rule:
    """Return the rule a dotted path names."""
    module, _, name = path.partition(":")
    rule = getattr(import_module(module), name)
    if not isinstance(rule, Rule):
        raise TypeError(f"{path} is no Rule")
    return rule


__all__ = ["RULES", "Rule", "Samples", "load"]
