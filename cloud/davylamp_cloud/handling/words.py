"""What there is to say about handling an alarm, and whose words they are."""

from dataclasses import dataclass
from enum import StrEnum

from davylamp_wire.point import Text


class Origin(StrEnum):
    """Whose words a handling is made of."""

    PROFILE = "profile"
    """The limit's own, from the device's profile or the site."""

    BUILT_IN = "built-in"
    """Davylamp's, for what no limit speaks of: faults, silence, the system itself."""

    MISSING = "missing"
    """The limit came without a first action: general words stand in until a person writes some (SAFETY S30)."""


@dataclass(frozen=True, slots=True)
class Handling:
    """What a person must know to act. `respond_s` counts from the raise until the action must have worked.

    ISA-18.2 and EEMUA 191 ask for a time to respond per alarm and give no figure per kind: every one of ours is a
    proposal that a site's own rationalization replaces.
    """

    cause: Text
    consequence: Text
    action: Text
    respond_s: float
    origin: Origin = Origin.BUILT_IN


Pair = tuple[str, str]


def handled(*, cause: Pair, consequence: Pair, action: Pair, respond_s: float) -> Handling:
    """Return a handling from pairs of Chinese and English."""
    return Handling(_text(cause), _text(consequence), _text(action), respond_s)


def _text(pair: Pair) -> Text:
    return Text(zh=pair[0], en=pair[1])
