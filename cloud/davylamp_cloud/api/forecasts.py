"""What warnings find now. It is asked of the engine whenever somebody looks: the words of a raise grow old."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from davylamp_alarms.definition import Kind
from davylamp_alarms.engine import Engine
from davylamp_alarms.finding import Finding
from davylamp_wire.point import Text

from davylamp_cloud.api.language import Bilingual
from davylamp_cloud.api.words import of
from davylamp_cloud.cloud import Cloud
from davylamp_cloud.forecast import forecast, made_ms, too_late
from davylamp_cloud.outcomes import NotStarted
from davylamp_cloud.settings import Settings, warning_of


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a warning finds, in words and figures, and when that was.

    Args:
        said: The words of the raise, which the alarm's sentence holds.
        made_ms: Source time of the newest sample in it.
        reach_ms: Source time at which the limit is reached; None where none is named, or it has passed.
    """

    words: Bilingual | None = None
    evidence: dict[str, Any] | None = None
    said: Bilingual | None = None
    made_ms: int | None = None
    reach_ms: int | None = None

    def renewed(self, text: Bilingual) -> Bilingual:
        """Return a sentence with the present words in the place of those of the raise."""
        if self.words is None or self.said is None:
            return text
        return Bilingual(text.zh.replace(self.said.zh, self.words.zh), text.en.replace(self.said.en, self.words.en))


def findings(cloud: Cloud, alarms: Iterable[str]) -> dict[str, Finding]:
    """Return what the rules of some warnings find now; the engine is held for one at a time."""
    found: dict[str, Finding] = {}
    for alarm in alarms:
        try:
            one = cloud.monitor.look(partial(Engine.finding, alarm=alarm))
        except NotStarted:
            return found
        if one is not None:
            found[alarm] = one
    return found


def inputs_of(found: Iterable[Finding]) -> set[str]:
    """Return the tags that rules over several look at."""
    return {tag for one in found for tag in json.loads(one.evidence).get("inputs", ())}


def present(
    found: Finding,
    told: Mapping[str, Any],
    kind: Kind,
    settings: Settings,
    name_of: Callable[[str], Text],
    now_ms: int,
) -> Forecast:
    """Return what a warning finds now.

    Args:
        told: The notice of its newest transition.
        name_of: Says what people call an input.
    """
    evidence = {**json.loads(found.evidence), "unit": settings.unit}
    age_s = max(now_ms - found.host_ms, 0) / 1000
    names = [name_of(tag) for tag in evidence.get("inputs", ())]
    words = forecast(evidence, warning_of(settings, kind), settings.unit, names, age_s)
    said = of(words) if words else None
    return Forecast(said, evidence, _said(told), found.time_ms, _reach_ms(evidence, found.time_ms, age_s))


def of_the_raise(told: Mapping[str, Any], raised_ms: int, now_ms: int) -> Forecast:
    """Return what a warning found when it was raised, where its rule says nothing now; what has passed, as passed."""
    evidence = told.get("evidence")
    if evidence is None:
        return Forecast()
    at_ms, said = made_ms(evidence, raised_ms), _said(told)
    age_s = max(now_ms - at_ms, 0) / 1000
    passed = too_late(evidence, evidence.get("unit", ""), age_s)
    return Forecast(of(passed) if passed else said, evidence, said, at_ms, _reach_ms(evidence, at_ms, age_s))


def _said(told: Mapping[str, Any]) -> Bilingual | None:
    return Bilingual(**told["forecast"]) if "forecast" in told else None


def _reach_ms(evidence: Mapping[str, Any], at_ms: int, age_s: float) -> int | None:
    in_s = evidence.get("at_limit_in_s")
    return round(at_ms + 1000 * in_s) if in_s and age_s < in_s else None
