"""What the screens call things, in both languages."""

from davylamp_alarms.definition import Kind
from davylamp_wire.point import Text
from davylamp_wire.quality import Level, Reason, level, reason

from davylamp_cloud import telling
from davylamp_cloud.api.language import Bilingual, Language, both, mark

PRIORITIES = {
    "red": mark("Red"),
    "orange": mark("Orange"),
    "yellow": mark("Yellow"),
    "blue": mark("Blue"),
}

STATES = {
    "A": mark("Normal"),
    "B": mark("Unacknowledged"),
    "C": mark("Acknowledged"),
    "D": mark("Returned, unacknowledged"),
    "E": mark("Latched, unacknowledged"),
    "F": mark("Latched, acknowledged"),
    "G": mark("Shelved"),
    "H": mark("Suppressed by design"),
    "I": mark("Out of service"),
}

LEVELS = {Level.GOOD: mark("good"), Level.UNCERTAIN: mark("uncertain"), Level.BAD: mark("bad")}

REASONS = {
    Reason.NONE: mark("no reason given"),
    Reason.COMM: mark("device does not answer"),
    Reason.DEVICE_EXCEPTION: mark("device refuses"),
    Reason.LOOP_LOW: mark("loop current low"),
    Reason.LOOP_HIGH: mark("loop current high"),
    Reason.OVER_RANGE: mark("over range"),
    Reason.UNDER_RANGE: mark("under range"),
    Reason.CLOCK: mark("clock doubtful"),
    Reason.INHIBIT: mark("inhibited"),
    Reason.CALIBRATION: mark("calibration"),
    Reason.MAINTENANCE: mark("maintenance"),
    Reason.NO_VALUE: mark("no value yet"),
    Reason.NOT_A_NUMBER: mark("not a number"),
    Reason.DEVICE_FAULT: mark("device fault"),
    Reason.STALE: mark("stale"),
    Reason.OTHER_UNIT: mark("its device says another unit than its limits"),
}


def quality_words(quality: int) -> Bilingual:
    """Return a quality code in words; empty where the value is good."""
    if quality == 0:
        return Bilingual("", "")
    return both(mark("{level}: {reason}"), level=both(LEVELS[level(quality)]), reason=both(REASONS[reason(quality)]))


def quality_text(quality: int, language: str) -> str:
    """Return a quality code in words of one language, that of a good value too."""
    words = quality_words(quality) if quality else both(LEVELS[Level.GOOD])
    return words.in_(Language(language))


def of(text: Text) -> Bilingual:
    """Return a profile's or the telling's text as the API's."""
    return Bilingual(text.zh, text.en)


def kind_name(kind: str) -> Bilingual:
    """Return what a kind of alarm is called, as notices call it."""
    return of(telling.KINDS[Kind(kind)])


def number(value: float | None) -> str:
    """Return a value as people read it: six digits, no exponent where avoidable; a dash where there is none."""
    if value is None or value != value:
        return "—"
    return f"{value:.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
