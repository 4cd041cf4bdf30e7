"""What a beacon has to show: alarms that are decided here, and reds that the cloud alone decides (decision 0029)."""

from davylamp_edge.beacon_settings import LEVELS, BeaconSettings
from davylamp_edge.standing import EngineWord, LocalAlarms


def lit(settings: BeaconSettings, alarms: LocalAlarms | None, word: EngineWord) -> dict[str, int]:
    """Return what stands and is to be shown, with its priority.

    What is decided here is not shown a second time by the cloud's name: a new name would break a silence.
    """
    least = LEVELS.index(settings.least)
    local = {} if alarms is None else alarms.standing()
    found = {name: priority for name, priority in local.items() if priority > least}
    if settings.cloud == "red":
        others = {alarm: name for alarm, name in word.reds.items() if alarms is None or not alarms.decides(alarm)}
        found |= {f"cloud {alarm}:{name}": len(LEVELS) for alarm, name in others.items()}
    return found
