"""What a warning says beside its value: "reaches HH 4.5 m in 12 min (8–21)", from its evidence. Pure."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from davylamp_alarms.early import settings_of
from davylamp_alarms.warning.words import sentence
from davylamp_wire.profile import EarlyWarning, Text


def forecast(
    evidence: Mapping[str, Any], warning: EarlyWarning | None, unit: str, names: Sequence[Text]
) -> Text | None:
    """Return a warning's words; None where its evidence says nothing.

    Args:
        warning: The rule as it is in force.
        names: What people call the inputs of a rule over several tags.
    """
    rule = str(evidence.get("rule"))
    said = {name: _figure(value) for name, value in evidence.get("found", {}).items()}
    said |= {name: evidence[name] for name in ("towards",) if name in evidence}
    try:
        settings = settings_of(rule, warning.settings, warning.inputs) if warning else SimpleNamespace()
        zh, _ = sentence(rule, settings, said, unit, [name.zh for name in names])
        _, en = sentence(rule, settings, said, unit, [name.en for name in names])
    except (LookupError, TypeError, ValueError, AttributeError):
        return None  # other settings than it was raised by: the evidence itself is still told
    return Text(zh=zh, en=en)


def _figure(value: Any) -> Any:
    """Return a figure of the evidence as the rule had it; what JSON could not say is NaN."""
    if isinstance(value, list):
        return np.array([_figure(part) for part in value], np.float64)
    return float("nan") if value is None else value
