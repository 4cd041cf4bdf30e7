"""What a warning says beside its value: "reaches HH 4.5 m in 12 min (8–21)", from its evidence. Pure."""

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from davylamp_alarms.wanted import settings_of
from davylamp_alarms.warning.words import overdue, sentence
from davylamp_wire.point import EarlyWarning, Text

AHEAD = ("in_s", "early_s", "late_s")
"""Figures of evidence that count from its newest sample on."""


def forecast(
    evidence: Mapping[str, Any],
    warning: EarlyWarning | None,
    unit: str,
    names: Sequence[Text],
    age_s: float = 0.0,
) -> Text | None:
    """Return a warning's words; None where its evidence says nothing.

    Args:
        warning: The rule as it is in force.
        names: What people call the inputs of a rule over several tags.
        age_s: How long ago its newest sample was: times are told from now on, and one that has passed as passed.
    """
    if passed := too_late(evidence, unit, age_s):
        return passed
    rule = str(evidence.get("rule"))
    said = {name: _figure(value) for name, value in evidence.get("found", {}).items()}
    said |= {name: max(said[name] - age_s, 0.0) for name in AHEAD if said.get(name, math.nan) >= 0}
    said |= {name: evidence[name] for name in ("towards",) if name in evidence}
    try:
        settings = settings_of(rule, warning.settings, warning.inputs) if warning else SimpleNamespace()
        zh, _ = sentence(rule, settings, said, unit, [name.zh for name in names])
        _, en = sentence(rule, settings, said, unit, [name.en for name in names])
    except (LookupError, TypeError, ValueError, AttributeError):
        return None  # other settings than it was raised by: the evidence itself is still told
    return Text(zh=zh, en=en)


def too_late(evidence: Mapping[str, Any], unit: str, age_s: float) -> Text | None:
    """Return that the limit was to be reached by now; None where it was not."""
    in_s, limit = evidence.get("at_limit_in_s"), evidence.get("limit")
    if not in_s or limit is None or age_s < in_s:
        return None
    zh, en = overdue(str(evidence.get("towards", "")), float(limit), unit, age_s - in_s)
    return Text(zh=zh, en=en)


def made_ms(evidence: Mapping[str, Any], raised_ms: int) -> int:
    """Return the source time of the newest sample in a warning's evidence: of one without a line, of the raise."""
    line = evidence.get("line")
    return int(line[1][0]) if line else raised_ms


def _figure(value: Any) -> Any:
    """Return a figure of the evidence as the rule had it; what JSON could not say is NaN."""
    if isinstance(value, list):
        return np.array([_figure(part) for part in value], np.float64)
    return float("nan") if value is None else value
