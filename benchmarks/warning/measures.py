"""Which scores are told of each set, and what they are to beat (../shared/facts/data.md)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.report import Figure, at_least, at_most


@dataclass(frozen=True, slots=True)
class Measure:
    """One score of a set.

    Args:
        path: Where the scorer puts it, `/` between keys.
        beat: The target: at least that, or (`lower`) at most; None: told because another counts only beside it.
        published: What others reached.
    """

    set: str
    name: str
    path: str
    unit: str
    beat: float | None = None
    lower: bool = False
    published: str = ""

    def of(self, scores: dict[str, Any]) -> float | None:
        """Return the score; None where there was nothing to score: no such set, no normal run, no event found."""
        found: Any = scores.get(self.set)
        for key in self.path.split("/"):
            found = found.get(key) if isinstance(found, dict) else None
        return None if found is None or math.isnan(found) else float(found)

    def figure(self, value: float, suffix: str = "") -> Figure:
        """Return the score as a figure, with its target where it is of all files."""
        name = f"{self.set}: {self.name}{suffix}"
        if self.beat is None or suffix:
            return Figure(name, value, self.unit)
        return (at_most if self.lower else at_least)(name, value, self.unit, self.beat)


LEVEL = "level_1.4"

MEASURES = (
    Measure("skab", "F1", "F1", "", 0.81, published="0.81 (Conv-AE), 0.75 (PCA T²+Q)"),
    Measure("skab", "rows in false alarm", "FAR_pct", "%", 18, True, "18.5 (Conv-AE), 35 (PCA T²+Q)"),
    Measure("skab", "NAB score", "NAB_standard", "", 26, published="22.9 (Conv-AE), 26.7 (PCA T²+Q)"),
    Measure("nab", "NAB score", "NAB_standard", "", 78, published="78.2 (ARTime), 73.5 (Numenta)"),
    Measure("nab", "false alarms", "false_alarms_per_day", "per day", 0.1, True),
    Measure("tep", "rows of faults in alarm", "FDR_mean_pct", "%", 87, published="76.7 (dynamic PCA)"),
    Measure("tep", "rows of d00_te in alarm", "FAR_d00_te_pct", "%", 1.6, True, "2"),
    Measure("tep", "rows before faults in alarm", "FAR_prefault_mean_pct", "%"),
    Measure("tep", "median delay", "median_delay_6_in_row_min", "min", 36, True, "68 (dynamic PCA)"),
    Measure("tep", "lead before 2895 kPa", "mean_lead_before_2895kPa_min", "min", 765),
    Measure("methane", "warned 3 min ahead", f"{LEVEL}/warned_3min_before_pct", "%", 60),
    Measure("methane", "F1", f"{LEVEL}/F1", "", 0.6),
    Measure("methane", "false alarms", f"{LEVEL}/false_alarms_per_day", "per day", 5, True),
    Measure("threew", "F1, benchmark windows", "F1_micro_3W_benchmark", "", 0.73, published="0.727 (isolation forest)"),
    Measure("threew", "found, no false alarm before", "detected_and_no_false_alarm_before_pct", "%", 45),
    Measure("threew", "normal time in alarm", "normal_files/time_in_false_alarm_pct", "%", 10, True),
    Measure("nist_smoke", "earlier than photoelectric", "earlier_than_photo_pct", "%", 75),
    Measure("nist_smoke", "earlier than ionisation", "earlier_than_ion_pct", "%", 28),
    Measure("tunnel", "first alarm", "median_first_alarm_s", "s", 7, True),
    Measure("tunnel", "in alarm at ignition", "alarm_at_t0_pct", "%", 0, True),
)

NAIVE = {
    "skab": "t2_3row",
    "nab": "t2_cal",
    "tep": "t2_3row",
    "methane": "methane_slope_6_6",
    "threew": "sigma5",
    "nist_smoke": "fire_heat57_or_8.3Cmin",
    "tunnel": "tunnel_T_rise20",
}
"""The best of baselines.py by set."""


def beside(measure: Measure, naive: dict[str, Any]) -> Iterator[str]:
    """Yield what others reached."""
    if measure.published:
        yield f"published {measure.published}"
    value = measure.of(naive)
    if value is not None:
        yield f"naive {value:.3g}"
