"""What a rule found when it raised: a small JSON object that notices carry and screens draw.

``limit`` (``towards`` is its kind) and times to it where there are such, ``line`` through the window as two points
``[time_ms, value]``, ``contributions`` as shares of the tags in what was found, and under ``found`` all figures by the
rule's own names.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from davylamp_alarms.warning import Bank

Row = Mapping[str, Any]


def evidence_text(
    rule: str, bank: Bank, row: int, tag: str, inputs: Sequence[str], limits: Mapping[str, float], ahead_ms: int = 0
) -> str:
    """Return what a row shows now, as canonical JSON; what is not known is null.

    Args:
        inputs: Ids of the tags of a rule over several.
        limits: The tag's own limits, by kind.
        ahead_ms: By how much the rule's clock is ahead of its tag's.
    """
    found = {name: _plain(column[..., 0]) for name, column in bank.evidence(np.array([row])).items()}
    said = {
        "rule": rule,
        "tag": tag,
        "limit": found.get("limit"),
        "towards": next((kind for kind, limit in limits.items() if limit == found.get("limit")), None),
        **_forecast(found, ahead_ms),
        "contributions": _contributions(found, inputs),
        "inputs": list(inputs),
        "found": found,
    }
    kept = {name: value for name, value in said.items() if value not in (None, [])}
    return json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _forecast(found: Row, ahead_ms: int) -> dict[str, Any]:
    """Return a trend's slope, its times to the limit in seconds, and the line it has fitted."""
    if found.get("slope") is None or found.get("fitted") is None:
        return {}
    slope, now_ms, from_ms = found["slope"], int(found["at_ms"]), int(found["from_ms"])
    began = found["fitted"] + slope * (from_ms - now_ms) / 1000
    return {
        "slope_per_min": slope * 60,
        "at_limit_in_s": found["in_s"],
        "earliest_s": found["early_s"],
        "latest_s": found["late_s"],
        "line": [[from_ms - ahead_ms, began], [now_ms - ahead_ms, found["fitted"]]],
    }


def _contributions(found: Row, inputs: Sequence[str]) -> list[tuple[str, float]]:
    """Return the share of each tag in what was found, the largest first."""
    parts = _parts(found)
    total = sum(parts)
    if not total or len(parts) != len(inputs):
        return []
    shares = [(tag, part / total) for tag, part in zip(inputs, parts, strict=True)]
    return sorted(shares, key=lambda share: (-share[1], share[0]))


def _parts(found: Row) -> list[float]:
    """Return what each input adds: to the statistic of a unit that is further over its limit, or by being apart."""
    if "t2_of" in found:
        over = [(found[name] or 0.0) / (found[f"{name}_limit"] or math.inf) for name in ("t2", "q")]
        name = "q_of" if over[1] > over[0] else "t2_of"
        return [max(part or 0.0, 0.0) for part in found[name]]
    return [abs(part or 0.0) for part in found.get("apart", ())]


def _plain(value: Any) -> Any:
    """Return numbers as JSON has them; what it cannot say is null."""
    if isinstance(value, np.ndarray) and value.ndim:
        return [_plain(part) for part in value]
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number
