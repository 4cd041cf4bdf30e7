"""How far a value can be trusted, and why not.

Every value travels with a quality: a level and one reason. Bad data never clears an alarm and never invents one
(SAFETY S4); doubt makes a value uncertain, never silent (SAFETY S9). In columns a quality is one uint16 *code*:
``level << 8 | reason``, so ``codes == GOOD`` and ``codes >> 8`` are whole-array operations.
"""

from enum import IntEnum


class Level(IntEnum):
    """OPC UA's three severities of a StatusCode (OPC 10000-4, 7.39)."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Reason(IntEnum):
    """Why a value is not good. Numbers are on the wire and on disk: never renumber, only add."""

    NONE = 0
    COMM = 1
    DEVICE_EXCEPTION = 2
    LOOP_LOW = 3
    LOOP_HIGH = 4
    OVER_RANGE = 5
    UNDER_RANGE = 6
    CLOCK = 7
    INHIBIT = 8
    CALIBRATION = 9
    MAINTENANCE = 10
    NO_VALUE = 11
    NOT_A_NUMBER = 12
    DEVICE_FAULT = 13
    STALE = 14
    OTHER_UNIT = 15


GOOD = 0

SPARKPLUG_BAD = 0
SPARKPLUG_GOOD = 192
SPARKPLUG_STALE = 500


def code(level: Level, reason: Reason = Reason.NONE) -> int:
    """Return the uint16 code of a level and its reason."""
    return level << 8 | reason


def bad(reason: Reason) -> int:
    """Return the code of a bad value."""
    return code(Level.BAD, reason)


def uncertain(reason: Reason) -> int:
    """Return the code of a doubtful value: it may raise an alarm, it never clears one."""
    return code(Level.UNCERTAIN, reason)


def level(quality: int) -> Level:
    """Return how far a code can be trusted."""
    return Level(quality >> 8)


def reason(quality: int) -> Reason:
    """Return why a code is not good."""
    return Reason(quality & 0xFF)


def to_sparkplug(quality: int) -> int:
    """Return the Sparkplug ``Quality`` property of a code.

    Sparkplug 3.0 (6.4.14) knows 0, 192 and 500 only. A doubtful value is BAD to a foreign host, because doubt must
    not pass for good; our own host reads the exact code from the property beside it (docs/wire.md).
    """
    if quality == GOOD:
        return SPARKPLUG_GOOD
    return SPARKPLUG_STALE if reason(quality) is Reason.STALE else SPARKPLUG_BAD


def from_sparkplug(quality: int) -> int:
    """Return the code of a foreign edge's ``Quality`` property; what the standard does not know is bad."""
    if quality == SPARKPLUG_GOOD:
        return GOOD
    return bad(Reason.STALE if quality == SPARKPLUG_STALE else Reason.DEVICE_FAULT)
