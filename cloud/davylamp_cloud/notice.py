"""A transition as it is stored and sent: the engine's fields, the tag's names, and a sentence to read. Pure."""

import json
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from davylamp_alarms.definition import BLIND_KINDS, GROUP_KINDS, Kind
from davylamp_alarms.transition import Transition
from davylamp_wire.point import Text
from davylamp_wire.profile import DetectorGroup

from davylamp_cloud.config import SiteConfig, clock_of
from davylamp_cloud.forecast import forecast, made_ms
from davylamp_cloud.handling import Handling, general
from davylamp_cloud.register import Register
from davylamp_cloud.registered import Tag
from davylamp_cloud.settings import Settings, warning_of
from davylamp_cloud.telling import Sentence, Subject, tell

SCHEME = "monitoring"
"""Automatic notices never use a government's colours (SAFETY S21)."""

CLOUD = Text(zh="监测云端", en="monitoring cloud")


def handling_data(handling: Handling) -> dict[str, Any]:
    """Return how an alarm is handled, as notices and transitions carry it."""
    return {
        "cause": _both(handling.cause),
        "consequence": _both(handling.consequence),
        "action": _both(handling.action),
        "respond_s": handling.respond_s,
        "handling": handling.origin.value,
    }


def _both(text: Text | Sentence) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _evidence(step: Transition, subject: Subject) -> dict[str, Any]:
    """Return what a warning found when it was raised, with its unit, its words and the time they are of."""
    if not step.evidence:
        return {}
    evidence = json.loads(step.evidence)
    said = {"evidence": {**evidence, "unit": subject.unit}, "forecast_ms": made_ms(evidence, step.raised_ms)}
    return {**said, "forecast": _both(subject.forecast)} if subject.forecast else said


class Notices:
    """Finds the words for a transition in the register and the sites' clocks."""

    def __init__(self, register: Register, sites: Sequence[SiteConfig]) -> None:
        self._register = register
        self._zones: Mapping[str, tzinfo] = {group: ZoneInfo(s.timezone) for s in sites for group in s.groups}
        self._default = clock_of(sites)

    def data(self, step: Transition) -> dict[str, Any]:
        """Return a transition as the data of its notice; a tag is named by its id and by the plant's own name."""
        subject = self.subject(step)
        text = tell(step, subject, self._zones.get(step.alarm_id.split("/", 1)[0], self._default))
        return {
            **step.as_dict(),
            **_evidence(step, subject),
            "id": step.id,
            "scheme": SCHEME,
            "level": step.priority.word,
            "plant_tag": subject.plant_tag,
            "tag_name": _both(subject.tag),
            "unit": subject.unit,
            "text": _both(text),
            **handling_data(subject.handling or general(step.kind)),
        }

    def text_of(self, settings: Settings) -> str:
        """Return settings as canonical JSON."""
        return self._register.text_of(settings)

    def tag_index(self, step: Transition) -> int:
        """Return the index of a transition's tag; -1 for links and the system."""
        tag = self._register.find(step.tag)
        return -1 if tag is None else tag.idx

    def subject(self, step: Transition) -> Subject:
        """Return what a transition's alarm is about."""
        if step.kind is Kind.LINK:
            return self._link(step)
        if step.kind in GROUP_KINDS and (found := self._register.group(step.alarm_id)):
            return _group(step, *found)
        tag = self._register.find(step.tag)
        if tag is None:
            name = step.alarm_id.rsplit("@", 1)[-1]
            handling = general(step.kind, name=name)
            return Subject(step.hazard_source, CLOUD, Text(zh=name, en=name), handling=handling)
        lost, guarded = self._blind(step, tag) if step.kind in BLIND_KINDS else (0, 0)
        return Subject(
            hazard_source=step.hazard_source,
            device=tag.device_text,
            tag=tag.text,
            plant_tag=tag.plant_tag,
            unit=tag.settings.unit,
            handling=self._register.handling_of(tag.settings, step.kind),
            lost=lost,
            guarded=guarded,
            forecast=self._forecast(step, tag),
        )

    def _forecast(self, step: Transition, tag: Tag) -> Text | None:
        """Return the words of what a warning found."""
        if not step.evidence:
            return None
        evidence = json.loads(step.evidence)
        names = [self._name(tag_id) for tag_id in evidence.get("inputs", ())]
        return forecast(evidence, warning_of(tag.settings, step.kind), tag.settings.unit, names)

    def _name(self, tag_id: str) -> Text:
        """Return what people call a tag."""
        found = self._register.find(tag_id)
        return Text(zh=tag_id, en=tag_id) if found is None else found.text

    def _blind(self, step: Transition, tag: Tag) -> tuple[int, int]:
        """Return how many points are not seen through a tag, of how many its hazard source has."""
        source = step.hazard_source
        lost = self._register.guarded(source, tag.node, tag.device) if step.kind is Kind.COMM else 1
        return lost, self._register.guarded(source)

    def _link(self, step: Transition) -> Subject:
        node = step.alarm_id.split("#", 1)[0]
        lost, guarded = self._register.guarded(step.hazard_source, node), self._register.guarded(step.hazard_source)
        words = Text(zh=f"边缘网关 {node}", en=f"edge {node}")
        return Subject(step.hazard_source, Text(zh="采集链路", en="acquisition"), words, lost=lost, guarded=guarded)


def _group(step: Transition, comm: Tag, group: DetectorGroup) -> Subject:
    """Return what an alarm of a group of detectors is about; it counts its members."""
    words, counted = Text(zh=group.zh, en=group.en), int(step.value or 0)
    size, limit = len(set(group.members)), Kind(group.limit)
    return Subject(step.hazard_source, comm.device_text, words, lost=counted, guarded=size, voted=limit)
