"""What the register holds: tags, proposals for them, and what a birth brings."""

from dataclasses import dataclass, field
from typing import Any

from davylamp_alarms.definition import Changes
from davylamp_wire.point import Text

from davylamp_cloud.settings import Settings

BY_BIRTH = "birth"


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag as people see it, with the settings in force. `own` is false for a foreign edge, which cannot resend."""

    idx: int
    tag_id: str
    node: str
    device: str
    point: str
    text: Text
    device_text: Text
    settings: Settings
    plant_tag: str = ""
    datatype: str = ""
    profile: str = ""
    profile_version: int = 0
    states: tuple[tuple[str, Text], ...] = ()
    own: bool = True
    birth: int = 0
    born_seq: int = 0
    version: int = 1
    accepted_by: str = BY_BIRTH


@dataclass(frozen=True, slots=True)
class Proposal:
    """Settings a later birth wants for a tag; live ones stay until a person accepts them."""

    id: str
    tag: int
    seq: int
    settings: Settings
    differences: list[tuple[str, Any, Any]]
    at_ms: int


@dataclass(slots=True)
class Introduced:
    """What a birth changes in the register: `changes` is for the engine, the rest for the store.

    What is `adopted` is put in force by whoever evaluates, if the engine lets it.
    """

    at_ms: int
    birth: int = 0
    changes: Changes | None = None
    new: list[Tag] = field(default_factory=list)
    described: list[Tag] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    adopted: list[tuple[int, Settings]] = field(default_factory=list)
    """Tags whose edge decides by other limits already, and the settings that say so."""
    other_units: list[tuple[int, int]] = field(default_factory=list)
    """Births and the tags they have in another unit than theirs."""
