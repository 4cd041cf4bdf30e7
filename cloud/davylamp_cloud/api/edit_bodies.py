"""What is said of limits and answered: bodies of edits, and views of limits, previews and proposals."""

from dataclasses import dataclass
from typing import Annotated, Any

from davylamp_wire.point import Basis, Limit, LimitKind, Priority, Text
from pydantic import Field, SecretStr

from davylamp_cloud.api.alarms import Body
from davylamp_cloud.api.language import Bilingual

LONGEST_DELAY_S = 24 * 3600.0

Version = Annotated[int, Field(ge=1, le=1 << 31, description="the version of the limits the person saw")]
Said = Annotated[str, Field(min_length=3, max_length=500, description="why; it is recorded")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Delay = Annotated[float, Field(ge=0, le=LONGEST_DELAY_S, allow_inf_nan=False)]


class SourceBody(Body):
    """Where a limit comes from. Nobody verifies by an edit: that is an act of its own (SAFETY S30)."""

    standard: Annotated[str, Field(min_length=1, max_length=200)]
    clause: Annotated[str, Field(max_length=100)] = ""
    edition: Annotated[str, Field(max_length=50)] = ""
    basis: Basis


class LimitBody(Body):
    """A limit in the tag's own unit, with its source and how it is handled."""

    value: Finite
    source: SourceBody
    deadband: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    on_delay_s: Delay = 0.0
    off_delay_s: Delay = 0.0
    latch: bool = False
    priority: Priority | None = None
    action: Text | None = None
    cause: Text | None = None
    consequence: Text | None = None
    respond_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class WantedLimits(Body):
    """All limits a tag is to have, against the version that was seen. `unit`, where given, must be the tag's own."""

    version: Version
    limits: dict[LimitKind, LimitBody]
    unit: Annotated[str, Field(max_length=50)] | None = None


class EditLimits(WantedLimits):
    """The same, to be put in force."""

    comment: Said
    second_token: SecretStr | None = Field(default=None, description="another person's token, where two are needed")


class Verify(Body):
    """Say that the limit's source was read, and says so."""

    version: Version
    comment: Said


class Decide(Body):
    """Accept a proposal, or reject it."""

    version: Version
    comment: Said
    second_token: SecretStr | None = Field(default=None, description="another person's token, where two are needed")


@dataclass(frozen=True, slots=True)
class LimitsView:
    """The limits of a tag that are in force, and their version. `local` ones are decided, and changed, at the edge."""

    index: int
    tag: str
    name: Bilingual
    plant_tag: str
    hazard_source: str
    unit: str
    version: int
    accepted_by: str
    limits: dict[LimitKind, Limit]
    local: bool


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """A field, from what to what; null where there is nothing on that side."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class TouchedView:
    """What an edit does to one alarm: `decision` by docs/edits.md; `ending` are the occurrences it closes.

    `beyond`: the present value meets the new limit. `raises_after_s`: how soon that raises, null: it does not.
    """

    alarm_id: str
    kind: str
    decision: str
    edits: list[str]
    places: list[str]
    differences: list[DifferenceView]
    ending: list[str]
    beyond: bool
    raises_after_s: float | None


@dataclass(frozen=True, slots=True)
class FindingView:
    """What the linter finds odd: `severity` is error (it can never work) or warning, `where` the field."""

    severity: str
    where: str
    text: Bilingual


@dataclass(frozen=True, slots=True)
class EditPreviewView:
    """Every alarm an edit touches, whether it takes two persons, and what is odd about the limits it wants."""

    two_persons: bool
    alarms: list[TouchedView]
    findings: list[FindingView]


@dataclass(frozen=True, slots=True)
class ProposalView:
    """What a later birth wants of a tag; the live settings stay until a person decides."""

    id: str
    index: int
    tag: str
    name: Bilingual
    unit: str
    version: int
    proposed_ms: int
    differences: list[DifferenceView]
