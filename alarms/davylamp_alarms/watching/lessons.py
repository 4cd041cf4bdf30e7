"""What the watches of a plan learn from a window of history, and which learn nothing, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from davylamp_alarms.warning import load
from davylamp_alarms.watching.artefact import Untaught
from davylamp_alarms.watching.learnt import JOINT, Learnt, learnt
from davylamp_alarms.watching.recorded import Recorded
from davylamp_alarms.watching.training import Plant, check, learns, trained
from davylamp_alarms.watching.watch import Watch, in_seconds, matching

BY_LIMIT = ("ewma", "cusum")
"""Rules that learn where their watch says how a limit comes from what was learnt."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """What came of it; watches that have nothing to learn are in neither."""

    learnt: tuple[Learnt, ...]
    untaught: tuple[Untaught, ...]


def learn(watches: Sequence[Watch], history: Recorded, *, thinned: bool) -> Lessons:
    """Train the watches on the rows.

    Args:
        thinned: The rows are means of stretches of readings, so rules that can are to run on such means, too.

    Raises:
        WatchError: A watch cannot be made; the message names each, and every mistake.
    """
    plant = Plant(history.tags, (), history.time_ms, history.value, history.period_s)
    found: list[Learnt] = []
    untaught: list[Untaught] = []
    check(watches, history.period_s)
    for watch in watches:
        if learns(watch):
            one = _learn(watch, plant, thinned)
            found += [one] if one else []
            untaught += _untaught(watch, plant, one)
        elif watch.rule in BY_LIMIT and "limit" not in watch.settings:
            zh = "未写从何得出限值：请写 limit = { times = 2 }"
            en = "it does not say how its limit is learnt: write limit = { times = 2 }, or as suits"
            untaught.append(Untaught(watch=watch.id, zh=zh, en=en))
    return Lessons(tuple(found), tuple(untaught))


def _learn(watch: Watch, plant: Plant, thinned: bool) -> Learnt | None:
    ready = trained(watch, plant)
    if ready is None:
        return None
    return learnt(watch, _to_run_with(watch, plant.period_s, thinned), ready, plant.tags)


def _to_run_with(watch: Watch, period_s: float, thinned: bool) -> dict[str, Any]:
    """Return the settings under which what was learnt holds."""
    settings = in_seconds(watch.settings, period_s)
    if thinned and "every_s" in load(watch.rule).settings.model_fields:
        return {"every_s": period_s, **settings}
    return settings


def _untaught(watch: Watch, plant: Plant, found: Learnt | None) -> list[Untaught]:
    """Return which of a watch's tags, or the whole watch, learnt nothing."""
    tags = [plant.tags[place] for place in matching(watch.tags, plant.tags)]
    if not tags:
        return [Untaught(watch=watch.id, zh="没有这样的位号", en="there is no such tag")]
    if len(tags) < watch.at_least:
        zh, en = f"至少需要 {watch.at_least} 个位号", f"it is for {watch.at_least} tags or more"
        return [Untaught(watch=watch.id, zh=zh, en=en)]
    if watch.at_most and len(tags) > watch.at_most:
        zh, en = (
            f"最多 {watch.at_most} 个位号，请按装置分别训练",
            f"it is for {watch.at_most} tags at most: train unit by unit",
        )
        return [Untaught(watch=watch.id, zh=zh, en=en)]
    if found is None and watch.rule in JOINT:
        zh = "有变化的位号不足两个，或完整的数据行太少"
        return [Untaught(watch=watch.id, zh=zh, en="fewer than two tags move, or too few rows are whole")]
    missing = [tag for tag in tags if found is None or tag not in found.places]
    zh, en = _why(watch, plant.period_s)
    return [Untaught(watch=watch.id, tag=tag, zh=zh, en=en) for tag in missing]


def _why(watch: Watch, period_s: float) -> tuple[str, str]:
    if watch.rule == "normal":
        days = load("normal").settings.model_validate(in_seconds(watch.settings, period_s)).least_days
        return f"不足 {days} 天的数据", f"fewer than {days} days have readings"
    return "时段内没有变化，或过半数据缺失", "it did not move in the window, or was missing in half of the rows"
