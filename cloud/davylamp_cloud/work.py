"""What a slice of the log led to, in plain values: what the monitor stores and tells, and a replay compares."""

from dataclasses import dataclass, field
from typing import Any

from davylamp_alarms.transition import Refusal, Transition

from davylamp_cloud.acts import Act
from davylamp_cloud.listening import Heard
from davylamp_cloud.readings import Slice
from davylamp_cloud.registered import Introduced, Tag
from davylamp_cloud.settings import Settings
from davylamp_cloud.step import Step


@dataclass(frozen=True, slots=True)
class LinkChange:
    """An edge node came or went."""

    seq: int
    node: str
    up: bool
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision on a tag's settings. `after` is the tag as it is now, `before` as it was."""

    seq: int
    at_ms: int
    by: str
    comment: str
    proposal: str | None
    accepted: bool
    before: Tag
    after: Tag
    op: str = "accept"


@dataclass(frozen=True, slots=True)
class Refused:
    """A command that was not done. An edit also says what was in force and what was wanted instead (SAFETY S29)."""

    seq: int
    at_ms: int
    by: str
    op: str
    subject: str
    refusal: Refusal
    comment: str = ""
    before: Settings | None = None
    wanted: Settings | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of a notice."""

    seq: int
    said: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record of the log that cannot be read any more, and why."""

    seq: int
    at_ms: int
    reason: str


@dataclass(slots=True)
class Work:
    """What a slice of the log led to. `answers` are the commands in it, with their transitions."""

    seq: int
    at_ms: int
    steps: list[Step] = field(default_factory=list)
    answers: dict[int, list[Transition]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    introduced: list[tuple[int, Introduced]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    links: list[LinkChange] = field(default_factory=list)
    removed: list[LinkChange] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    set_aside: list[Unreadable] = field(default_factory=list)
    hidden_until_ms: dict[int, int] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    heard: Heard = field(default_factory=Heard)
    readings: list[Slice] = field(default_factory=list)
    clock_ms: int = 0
    unknown: int = 0

    @property
    def worth_storing(self) -> bool:
        """True where anything but the cursor has changed."""
        acts = (
            self.acts
            or self.refused
            or self.decisions
            or self.links
            or self.removed
            or self.deliveries
            or self.unreadable
        )
        return bool(self.steps or acts or self.heard.rows or self.set_aside or self.register_changed)

    @property
    def register_changed(self) -> bool:
        """True where tags, their words or their limits are not what they were."""
        brought = (found.new or found.described or found.proposals or found.other_units for _, found in self.introduced)
        return bool(self.decisions) or any(brought)
