"""What a backtest answers: two outcomes beside each other, and what a reader must know of the readings."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from davylamp_alarms.backtest.compare import in_alarm_ms
from davylamp_alarms.backtest.envelope import Envelope
from davylamp_alarms.backtest.outcome import Figures, Outcome
from davylamp_alarms.backtest.trial import Trial
from davylamp_alarms.definition import AlarmDef
from davylamp_wire.point import Text


class Source(StrEnum):
    """Where readings are from: a file, the cloud's log with all that happened, or its history, which has less."""

    CSV = "csv"
    LOG = "log"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Courses:
    """The course of some tags, for pictures; row by row of the envelope."""

    tag_ids: tuple[str, ...]
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer.

    Args:
        origin: The file or folder the readings are from.
        names: How people call each tag, by its id.
        units: What each is measured in.
        before: The alarms there were, by id.
        after: The alarms the tried rules make, by id.
        notes: What makes the answer less than it seems.
        courses: Of the tags the rules are about, where pictures are wanted.
    """

    origin: str
    source: Source
    trial: Trial
    readings: int
    names: Mapping[str, str]
    units: Mapping[str, str]
    before: Mapping[str, AlarmDef]
    after: Mapping[str, AlarmDef]
    notes: tuple[Text, ...] = ()
    courses: Courses | None = None

    def name(self, alarm: str) -> str:
        """Return an alarm as people call it: the name of its tag, and the kind."""
        tag, _, kind = alarm.partition("#")
        return f"{self.names.get(tag, tag)} {kind}"


@dataclass(frozen=True, slots=True)
class Change:
    """One alarm before and after: how often it came, and how long it stood in all."""

    alarm: str
    times: tuple[int, int]
    stood_ms: tuple[int, int]

    @property
    def moved(self) -> bool:
        """Whether anything is different."""
        return self.times[0] != self.times[1] or self.stood_ms[0] != self.stood_ms[1]


def changes(answer: Answer) -> list[Change]:
    """Return every alarm that came, before or after, those first whose time changed most."""
    before, after = answer.trial.before, answer.trial.after
    times, stood = (_times(before), _times(after)), (in_alarm_ms(before.spans), in_alarm_ms(after.spans))
    found = [
        Change(
            alarm,
            (times[0].get(alarm, 0), times[1].get(alarm, 0)),
            (stood[0].get(alarm, 0), stood[1].get(alarm, 0)),
        )
        for alarm in times[0].keys() | times[1].keys()
    ]
    return sorted(found, key=lambda one: (-abs(one.stood_ms[1] - one.stood_ms[0]), one.alarm))


def _times(outcome: Outcome) -> dict[str, int]:
    found: dict[str, int] = {}
    for span in outcome.spans:
        found[span.alarm] = found.get(span.alarm, 0) + 1
    return found


def positions(answer: Answer) -> list[tuple[str, Figures | None, Figures | None]]:
    """Return the figures of each operating position before and after; None where nothing sounded."""
    before = {one.position: one for one in answer.trial.before.figures}
    after = {one.position: one for one in answer.trial.after.figures}
    return [(name, before.get(name), after.get(name)) for name in sorted(before.keys() | after.keys())]
