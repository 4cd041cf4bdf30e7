"""The demo's figures, by the definitions of DESIGN.md (Numbers to reach)."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from davylamp_simulators.ledger import Comparison
from davylamp_simulators.regulator import Received, transition_of


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run came to. The first nine are promised; the others say what the first do not count.

    `latency_ms_*` is None where no alarm was raised and told. `peak_rss_mb` is per process. `warning_lead_s` is from a
    statistical warning to the limit alarm of the same tag, None where there were not both.
    """

    readings_served: int
    readings_stored: int
    readings_lost: int
    alarms_raised: int
    notices_delivered: int
    notices_duplicate: int
    latency_ms_p50: float | None
    latency_ms_p99: float | None
    peak_rss_mb: dict[str, float]
    readings_abandoned: int = 0
    readings_stored_twice_or_unserved: int = 0
    l2_delivered: int = 0
    acknowledged: int = 0
    seconds: float = 0.0
    warning_lead_s: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return them as JSON has them."""
        return asdict(self)


def percentile(values: Iterable[float], share: float) -> float | None:
    """Return the smallest value that at least this share of all do not exceed; None of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def latency_ms(raise_: Received) -> int:
    """Return how long a raise took: receipt, less the later of reply and due time."""
    return raise_.at_ms - max(int(raise_.data["time_ms"]), int(raise_.data.get("due_ms") or 0))


def latencies_ms(received: Iterable[Received]) -> list[int]:
    """Return the latency of each raise that came live."""
    return [
        latency_ms(one)
        for one in received
        if one.body.get("type") == "alarm.raised" and not one.again and not one.data.get("late")
    ]


def figures_of(
    comparison: Comparison,
    raised: int,
    received: Sequence[Received],
    peaks_mb: dict[str, float],
    seconds: float,
) -> Figures:
    """Return the figures of a run from what was held against the ledger and what the regulator believed."""
    names: dict[str, set[str]] = {}
    for one in received:
        names.setdefault(transition_of(one.body), set()).add(one.id)
    took = latencies_ms(received)
    return Figures(
        readings_served=_served(comparison),
        readings_stored=comparison.matched + len(comparison.extra),
        readings_lost=len(comparison.lost),
        alarms_raised=raised,
        notices_delivered=len({one.id for one in received}),
        notices_duplicate=sum(len(ids) - 1 for ids in names.values()),
        latency_ms_p50=percentile(took, 0.50),
        latency_ms_p99=percentile(took, 0.99),
        peak_rss_mb=peaks_mb,
        readings_abandoned=len(comparison.abandoned),
        readings_stored_twice_or_unserved=len(comparison.extra),
        l2_delivered=sum(1 for one in received if is_l2(one) and not one.again),
        acknowledged=len({one.data["occurrence"] for one in received if one.body.get("type") == "alarm.acknowledged"}),
        seconds=round(seconds, 1),
        warning_lead_s=warning_lead_s(received),
    )


LIMITS = frozenset({"LL", "L", "H", "HH", "L1", "L2"})


def warning_lead_s(received: Iterable[Received]) -> float | None:
    """Return by how much warnings came before the first limit alarm of their tag, as the regulator received them.

    The shortest of all tags that had both; negative where the limit was first.
    """
    warned: dict[str, int] = {}
    reached: dict[str, int] = {}
    for one in received:
        if one.body.get("type") != "alarm.raised" or one.again:
            continue
        first = reached if one.data.get("kind") in LIMITS else warned if "evidence" in one.data else None
        tag = one.data.get("tag")
        if tag and first is not None:
            first[tag] = min(one.at_ms, first.get(tag, one.at_ms))
    return min((round((reached[tag] - warned[tag]) / 1000, 1) for tag in warned.keys() & reached.keys()), default=None)


def _served(comparison: Comparison) -> int:
    return comparison.matched + len(comparison.lost) + len(comparison.in_flight) + len(comparison.abandoned)


def is_l2(one: Received) -> bool:
    """Return whether a notice raises a gas alarm of the second level."""
    return one.body.get("type") == "alarm.raised" and one.data.get("kind") == "L2"
