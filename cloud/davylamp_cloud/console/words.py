"""The words the page's script needs, in the reader's language, and the spans a trend can show."""

from davylamp_cloud.api.language import mark
from davylamp_cloud.backtest.jobs import JobState
from davylamp_cloud.console.render import Reader

WORDS = {
    "streamSilent": mark("NO CONNECTION TO DAVYLAMP"),
    "streamSilentDo": mark(
        "No alarm shows or sounds here: watch the control system and patrol, call for help. Silent for"
    ),
    "engineSilent": mark("THE ALARM ENGINE IS SILENT"),
    "engineSilentDo": mark("No alarm is evaluated: watch the control system and patrol, call for help. Silent for"),
    "signedOut": mark("SIGNED OUT: NO ALARMS ARE SHOWN"),
    "signedOutDo": mark("Reload this page and sign in again. Silent for"),
    "connected": mark("Engine live"),
    "connecting": mark("Connecting"),
    "soundOff": mark("Sound is OFF: click to arm"),
    "soundOn": mark("Sound on"),
    "seconds": mark("{n} s"),
    "minutes": mark("{n} min"),
    "hours": mark("{n} h"),
    "days": mark("{n} d"),
    "left": mark("{n} left"),
    "overdue": mark("overdue by {n}"),
    "limit": mark("limit"),
    "mean": mark("mean"),
    "lowHigh": mark("lowest to highest"),
    "notGood": mark("value not good"),
    "hole": mark("readings lost"),
    "noReadings": mark("No readings in this time."),
    "trendFailed": mark("The trend cannot be loaded now; alarms go on."),
    "newest": mark("newest"),
    "failed": mark("The server did not answer. Nothing was done; try again."),
    "moved": mark("The list moved just as you pressed. Look again, then press."),
    "unverified": mark("unverified"),
    "inForce": mark("It is in force now. A backtest still compares with what was in force at the time."),
}

BACKTEST_STATES = {
    JobState.RUNNING: mark("running"),
    JobState.DONE: mark("done"),
    JobState.FAILED: mark("failed"),
    JobState.CANCELLED: mark("cancelled"),
}


def page_words(reader: Reader) -> dict[str, str]:
    """Return the script's words."""
    return {name: reader.translate(message) for name, message in WORDS.items()}


def spans(reader: Reader) -> list[tuple[int, str]]:
    """Return minutes and label of each span a trend can show."""
    return [
        (30, reader.translate(mark("30 min"))),
        (240, reader.translate(mark("4 h"))),
        (1440, reader.translate(mark("24 h"))),
        (10080, reader.translate(mark("7 days"))),
    ]
