"""Advice on alarms that chatter or flash by: what was seen, what might help. It does nothing by itself (SAFETY S15)."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from davylamp_alarms.definition import WARNING_KINDS
from davylamp_alarms.performance.flood import Flood
from davylamp_alarms.performance.heard import ACTS, Heard

CHATTER_MS, CHATTER_COUNT = 60_000, 3
"""Three activations of one alarm in a rolling minute are chatter (operational definition of secondary sources on
ISA-18.2; the standard is qualitative: unverified)."""

FLEETING_MS, FLEETING_COUNT = 10_000, 3
"""An alarm that comes and goes within ten seconds while nobody acts is fleeting; three in a day are worth a word
(proposal)."""

DAY_MS = 86_400_000
QUIET_MS = DAY_MS
"""Advice is closed when its alarm was calm for so long."""

AGAIN_MS = 60_000
"""While it goes on, an advice is brought up to date this often at most."""

MARGIN = 1.5
"""What is suggested exceeds what was seen by this much (proposal)."""


class Kind(StrEnum):
    """What an advice is about."""

    CHATTER = "chatter"
    FLEETING = "fleeting"
    FLOOD = "flood"


@dataclass(slots=True)
class Advice:
    """What was seen of one alarm (or of a flood's worst ones), and what may help.

    Args:
        count: Activations that belong to it so far.
        suggestion: What to change and to what: ``deadband`` in the tag's unit, ``on_delay_s``, ``off_delay_s``.
        closed: Why it is closed; empty while it is open.
        flood: The flood it is about.
    """

    id: str
    kind: Kind
    alarm_id: str
    hazard_source: str
    began_ms: int
    last_ms: int
    count: int
    suggestion: dict[str, float]
    closed: str = ""
    flood: str = ""

    def row(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {name: getattr(self, name) for name in ADVICE} | {"kind": str(self.kind)}


ADVICE = tuple(Advice.__dataclass_fields__)


@dataclass(slots=True)
class Seen:
    """What is remembered of one alarm; all times are the host's."""

    raises_ms: tuple[int, ...] = ()
    raised_ms: int = 0
    ended_ms: int = 0
    acted: bool = False
    flashes_ms: tuple[int, ...] = ()
    longest_ms: int = 0
    low: float | None = None
    high: float | None = None
    gap_ms: int = 0


@dataclass(slots=True)
class Adviser:
    """Watches every alarm for chatter and for flashes."""

    seen: dict[str, Seen] = field(default_factory=dict)
    open: dict[str, Advice] = field(default_factory=dict)
    told_ms: dict[str, int] = field(default_factory=dict)
    number: int = 0

    def hear(self, heard: Heard) -> list[Advice]:
        """Take a transition; return the advice that is new or says more."""
        step = heard.step
        seen = self.seen.get(step.alarm_id)
        if heard.live_raise:
            if seen is None:
                self.seen[step.alarm_id] = Seen((heard.at_ms,), heard.at_ms, low=step.value, high=step.value)
                return []
            _swung(seen, step.value)
            return self._raised(heard, seen)
        if seen is None:
            return []
        if heard.live_end:
            _swung(seen, step.value)
            return self._ended(heard, seen)
        seen.acted = seen.acted or step.event in ACTS
        return []

    def after_flood(self, flood: Flood) -> list[Advice]:
        """Advise on a flood's worst alarms: they are where to begin. An open one goes on with this flood."""
        return [self._flooded(flood, alarm, count) for alarm, count in flood.worst()]

    def _flooded(self, flood: Flood, alarm: str, count: int) -> Advice:
        key = f"{alarm} {Kind.FLOOD}"
        before = self.open.get(key)
        if before is None:
            self.number += 1
            identity, began_ms = f"advice-{self.number}", flood.began_ms
        else:
            identity, began_ms, count = before.id, before.began_ms, before.count + count
        self.open[key] = Advice(
            identity, Kind.FLOOD, alarm, "", began_ms, flood.ended_ms, count, {}, flood=flood.id
        )  # fmt: skip
        return self.open[key]

    def tick(self, now_ms: int) -> list[Advice]:
        """Close what has been calm for a day, and forget alarms nothing was heard of since."""
        calm = [name for name, advice in self.open.items() if advice.last_ms <= now_ms - QUIET_MS]
        told = [self._close(name, "calm for a day") for name in calm]
        old = [name for name, seen in self.seen.items() if max(seen.raised_ms, seen.ended_ms) <= now_ms - QUIET_MS]
        for name in old:
            del self.seen[name]
        return told

    def dismiss(self, identity: str, why: str) -> Advice | None:
        """Close an open advice because a person says so; None where there is none of this id."""
        key = next((key for key, advice in self.open.items() if advice.id == identity), None)
        return None if key is None else self._close(key, why)

    def _raised(self, heard: Heard, seen: Seen) -> list[Advice]:
        at_ms = heard.at_ms
        if seen.ended_ms:
            seen.gap_ms = max(seen.gap_ms, min(at_ms - seen.ended_ms, CHATTER_MS))
        seen.raised_ms, seen.acted = at_ms, False
        seen.raises_ms = _latest(seen.raises_ms, at_ms, CHATTER_MS, CHATTER_COUNT)
        if len(seen.raises_ms) < CHATTER_COUNT:
            return []
        return self._advise(heard, Kind.CHATTER, seen.raises_ms[0], CHATTER_COUNT, _against_chatter(heard, seen))

    def _ended(self, heard: Heard, seen: Seen) -> list[Advice]:
        seen.ended_ms = heard.at_ms
        lasted_ms = heard.at_ms - seen.raised_ms
        if seen.acted or lasted_ms > FLEETING_MS:
            return []
        seen.longest_ms = max(seen.longest_ms, lasted_ms)
        seen.flashes_ms = _latest(seen.flashes_ms, heard.at_ms, DAY_MS, FLEETING_COUNT)
        if len(seen.flashes_ms) < FLEETING_COUNT:
            return []
        suggestion = {"on_delay_s": _seconds(seen.longest_ms)}
        return self._advise(heard, Kind.FLEETING, seen.flashes_ms[0], FLEETING_COUNT, suggestion)

    def _advise(
        self, heard: Heard, kind: Kind, began_ms: int, count: int, suggestion: dict[str, float]
    ) -> list[Advice]:
        """Open an advice, or count on in the open one; it is told again once a minute at most."""
        key, at_ms = f"{heard.step.alarm_id} {kind}", heard.at_ms
        before = self.open.get(key)
        if before is None:
            self.number += 1
            self.open[key] = Advice(
                f"advice-{self.number}", kind, heard.step.alarm_id, heard.step.hazard_source, began_ms, at_ms, count,
                suggestion,
            )  # fmt: skip
        else:
            before.last_ms, before.count, before.suggestion = at_ms, before.count + 1, suggestion
            if at_ms - self.told_ms[key] < AGAIN_MS:
                return []
        self.told_ms[key] = at_ms
        return [self.open[key]]

    def _close(self, key: str, why: str) -> Advice:
        found = self.open.pop(key)
        self.told_ms.pop(key, None)
        found.closed = why
        return found


def _swung(seen: Seen, value: float | None) -> None:
    """Remember how far the value went."""
    if value is None:
        return
    seen.low = value if seen.low is None or value < seen.low else seen.low
    seen.high = value if seen.high is None or value > seen.high else seen.high


def _latest(times_ms: tuple[int, ...], at_ms: int, within_ms: int, count: int) -> tuple[int, ...]:
    """Return the newest moments of a window that ends now, now being the newest; later ones are of another clock."""
    if not times_ms:
        return (at_ms,)
    after_ms = at_ms - within_ms
    return (*[time for time in times_ms if after_ms < time <= at_ms], at_ms)[-count:]


def _against_chatter(heard: Heard, seen: Seen) -> dict[str, float]:
    """Return a deadband wider than what the value swung over, and an off-delay longer than its pauses.

    A warning has no deadband in its tag's unit.
    """
    found = {"off_delay_s": _seconds(seen.gap_ms)} if seen.gap_ms else {}
    if heard.step.kind in WARNING_KINDS:
        return found
    if seen.low is not None and seen.high is not None and seen.high > seen.low:
        found["deadband"] = float(f"{(seen.high - seen.low) * MARGIN:.3g}")
    return found


def _seconds(time_ms: int) -> float:
    return float(max(1, -(-round(time_ms * MARGIN) // 1000)))
