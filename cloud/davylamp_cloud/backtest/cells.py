"""What stands in the cells of a CSV: times, values and qualities, as exports of many systems write them."""

import math
import re
from datetime import datetime, tzinfo

from davylamp_wire.quality import GOOD, Level, Reason, code

SECONDS_BELOW = 1e11
"""A time that is a plain number counts seconds below this (the year 5138), milliseconds above it."""

SLASHED = re.compile(r"^(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?)?$")
"""As spreadsheets write it: 2026/1/5 3:07."""

SWITCHED = {"true": 1.0, "false": 0.0, "on": 1.0, "off": 0.0}

LEVELS = {
    "good": Level.GOOD,
    "uncertain": Level.UNCERTAIN,
    "bad": Level.BAD,
    "好": Level.GOOD,
    "可疑": Level.UNCERTAIN,
    "坏": Level.BAD,
    "192": Level.GOOD,
    "64": Level.UNCERTAIN,
    "0": Level.BAD,
}
"""Qualities by their words; the numbers are those of classic OPC, of which 0 is bad."""

NO_NUMBER = code(Level.BAD, Reason.NOT_A_NUMBER)


def time_in(cell: str, zone: tzinfo) -> int | None:
    """Return a time as UTC milliseconds; None where nobody understands it. One without an offset is in `zone`."""
    text = cell.strip()
    try:
        number = float(text)
    except ValueError:
        found = _calendar(text)
        if found is None:
            return None
        return round((found if found.tzinfo else found.replace(tzinfo=zone)).timestamp() * 1000)
    if not math.isfinite(number):
        return None
    return round(number * 1000) if abs(number) < SECONDS_BELOW else round(number)


def _calendar(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        parts = SLASHED.match(text)
    if parts is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in parts.groups()[:6])
    try:
        return datetime(year, month, day, hour, minute, second, int((parts[7] or "").ljust(6, "0")))
    except ValueError:
        return None


def value_in(cell: str) -> tuple[float, int] | None:
    """Return a value and its quality; None where the cell is empty, which says nothing of the tag.

    A word that is no number is a reading all the same, a bad one: a dead sensor is data ("Bad Input", "NaN").
    """
    text = cell.strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        switched = SWITCHED.get(text.lower())
        return (math.nan, NO_NUMBER) if switched is None else (switched, GOOD)
    return (value, GOOD) if math.isfinite(value) else (math.nan, NO_NUMBER)


def quality_in(cell: str) -> int | None:
    """Return a quality: "bad", "uncertain OVER_RANGE", "192"; empty is good. None where nobody understands it."""
    level, _, reason = cell.strip().partition(" ")
    if not level:
        return GOOD
    found = LEVELS.get(level.lower())
    because = reason.strip().upper() or "NONE"
    if found is None or because not in Reason.__members__:
        return None
    return code(found, Reason[because])
