"""What readers of the API and the console see: alarms, tags, edges, put together from register, state and live values.

Pure values; nothing here reads a disk or a clock.
"""

from dataclasses import dataclass, field
from typing import Any

from davylamp_alarms.definition import BLIND_KINDS, FALLING, LIMIT_KINDS, Kind

from davylamp_cloud.api.language import Bilingual
from davylamp_cloud.handling import Origin

CALLING = frozenset("BDE")
"""Letters that ask for an acknowledgement."""

SUPPRESSED = frozenset("GHI")
"""Letters that do not sound: shelved, suppressed by design, out of service."""

PRIORITY_ORDER = ("red", "orange", "yellow", "blue")


@dataclass(frozen=True, slots=True)
class Level:
    """A priority, never bare: several Chinese colour schemes exist and they disagree (SAFETY S21)."""

    level: str
    scheme: str = "monitoring"


@dataclass(frozen=True, slots=True)
class Brief:
    """What an alarm's place in the list depends on: enough to count, to sort and to leave out."""

    occurrence: str
    alarm_id: str
    hazard_source: str
    kind: str
    priority: Level
    letter: str
    active: bool
    suppressions: tuple[str, ...]
    since_ms: int

    @property
    def level(self) -> str:
        return self.priority.level

    @property
    def blind(self) -> bool:
        """True where the alarm says that something is not seen, rather than that something was seen (SAFETY S12)."""
        return Kind(self.kind) in BLIND_KINDS

    @property
    def calls(self) -> bool:
        """True while the alarm asks for a person."""
        return self.letter in CALLING

    @property
    def hidden(self) -> bool:
        """True while somebody's act or the process keeps it from sounding."""
        return self.letter in SUPPRESSED

    @property
    def order(self) -> tuple[bool, int, bool, int]:
        """Most urgent first: who calls, by priority, the measured before the unseen, then the oldest.

        The oldest, because a flood must not hide its first cause, and because rows then stay where they are while new
        ones come: nobody presses a button that has just moved.
        """
        return (not self.calls, PRIORITY_ORDER.index(self.level), self.blind, self.since_ms)


@dataclass(frozen=True, slots=True)
class AlarmView(Brief):
    """A standing alarm, or one that waits for an acknowledgement or a reset. Times are UTC milliseconds.

    `first_out` says that it came first in its upset; where `tie_ms` is not 0, others did within that time (SAFETY S25).
    `text` is the whole sentence of SAFETY S24, `action` its first thing to do, `since_ms` when the occurrence began at
    the source. `handling` says whose words cause, consequence, action and `respond_s` are: the profile's, built in, or
    built in because the limit came without (missing). `respond_by_ms` is None for what was late: its time began to run
    before anybody could hear it. `limit_source` is where the limit or the rule comes from, and `verified`
    whether a person has read it there (SAFETY S30). `why_tag` is the tag of which to ask why: its own, or of a group of
    detectors one of them; empty where there is none. `forecast` and `evidence` are what the rule of a statistical
    warning finds now, in words and figures (docs/webhooks.md): as of `forecast_ms`, by the tag's clock; `reach_ms` is
    when its tag reaches the limit by that, None where nothing says so or that time has passed.
    """

    version: int
    tag: str
    tag_index: int | None
    tag_name: Bilingual
    device_name: Bilingual
    plant_tag: str
    acknowledged: bool
    acknowledged_by: str
    latched: bool
    quality: int
    value: float | None
    limit: float | None
    unit: str
    late: bool
    late_until_ms: int | None
    shelved_until_ms: int | None
    hidden_until_ms: int | None
    first_out: bool
    tie_ms: int
    action: Bilingual
    text: Bilingual
    verified: bool
    cause: Bilingual
    consequence: Bilingual
    respond_s: float
    respond_by_ms: int | None
    handling: Origin
    limit_source: str = ""
    why_tag: str = ""
    forecast: Bilingual | None = None
    evidence: dict[str, Any] | None = None
    forecast_ms: int | None = None
    reach_ms: int | None = None

    @property
    def unhandled(self) -> bool:
        """True where nobody has written for this limit what to do; general words stand in (SAFETY S30)."""
        return self.handling is Origin.MISSING

    @property
    def short_kind(self) -> str:
        """The kind where a limit has a short name of its own: HH, L2."""
        return self.kind if Kind(self.kind) in LIMIT_KINDS else ""

    @property
    def sign(self) -> str:
        """On which side of the limit the danger lies."""
        return "≤" if Kind(self.kind) in FALLING else "≥"

    @property
    def resettable(self) -> bool:
        """True where only a person's reset can end it: latched, and the process is back."""
        return self.latched and not self.active and not self.hidden


@dataclass(frozen=True, slots=True)
class LimitView:
    """A limit of a tag and where it comes from."""

    kind: str
    value: float
    deadband: float
    priority: str
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class TagView:
    """A tag with its current value. `age_ms` counts since its last arrival here; None where nothing came yet.

    `limits` are None in a list of tags, where nobody has looked for them; one tag asked for by itself has them.
    """

    index: int
    tag: str
    name: Bilingual
    device_name: Bilingual
    plant_tag: str
    unit: str
    kind: str
    hazard_source: str
    value: float | None
    text: str | None
    quality: int
    time_ms: int | None
    arrival_ms: int | None
    age_ms: int | None
    range: tuple[float, float] | None = None
    limits: tuple[LimitView, ...] | None = None
    states: dict[str, Bilingual] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device of an edge: does it answer, and how many of its tags are good."""

    device: str
    name: Bilingual
    profile: str
    hazard_source: str
    answers: bool | None
    tags: int
    good: int


@dataclass(frozen=True, slots=True)
class EdgeView:
    """An edge node: its link, its confirmation, and its devices.

    `confirmed` is false for a foreign edge, which cannot resend; `confirmed_ms` is when records of it last became
    durable here; `backlog` is true while it delivers what it kept during a cut.
    """

    node: str
    online: bool
    since_ms: int | None
    reason: str
    confirmed: bool
    confirmed_ms: int | None
    backlog: bool
    last_ms: int | None
    clock_offset_ms: int | None
    holes: int
    lost_readings: int
    devices: tuple[DeviceView, ...] = ()
