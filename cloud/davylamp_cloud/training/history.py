"""Stored history as rows to learn from: which tags are meant, their readings, and the alarms that stood meanwhile."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from fnmatch import fnmatchcase

from davylamp_alarms.watching.window import Grid
from davylamp_wire.config import ConfigError
from sqlalchemy import select

from davylamp_cloud.backtest.csv_file import Progress
from davylamp_cloud.config import CloudConfig
from davylamp_cloud.historian import HistorianUnavailable, LogNames
from davylamp_cloud.historian.past import Past, Stretch, open_past
from davylamp_cloud.looking import looking
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import Row, State
from davylamp_cloud.training.parts import Tag, rows_of_stretches
from davylamp_cloud.training.stood import stood
from davylamp_cloud.training.window import Window, check_size, some_of

SECOND_MS = 1000

LEARNT_FROM = ("process", "gas", "fire")
"""Kinds of points that are meant where nobody names a tag in full: what measures something."""

NO_NUMBERS = ("string", "bool")


def window(config: CloudConfig, patterns: Sequence[str], grid: Grid, told: Progress) -> Window:
    """Return a window of a cloud's history; nothing is changed, and the cloud may run meanwhile.

    Raises:
        ConfigError: No cloud ran here, no tag is meant, the window is too large, or the history does not answer.
    """
    with looking(config.data_dir) as (log, state):
        tags = tags_meant(state, patterns)
        check_size(grid, len(tags))
        try:
            with closing(open_past(config.historian, config.data_dir, LogNames(log))) as past:
                found = rows_of_stretches(grid, tags, _stretches(past, tags, grid, told))
        except HistorianUnavailable as error:
            raise ConfigError([f"historian: {error}; try again when it answers"]) from None
        # Asked last: an alarm that was raised while readings were read is one of the window's.
        return replace(found, stood=stood(state, [tag.tag_id for tag in tags], grid.from_ms, grid.to_ms))


def tags_meant(state: State, patterns: Sequence[str]) -> list[Tag]:
    """Return the tags that measure something, and of those that do not the ones named without a wildcard.

    A device's pattern would mean its `comm_ok`, too, from which nobody wants to learn.

    Args:
        patterns: Of ids or the plant's own names; none: all that measure something.

    Raises:
        ConfigError: A pattern means no tag.
    """
    rows = state.rows(select(schema.TAGS).order_by(schema.TAGS.c.idx))
    found = {one: [row for row in rows if _means(one, row)] for one in patterns or ("*",)}
    if unknown := [one for one, its in found.items() if not its and patterns]:
        some = some_of([str(row["tag_id"]) for row in rows if _measures(row)])
        raise ConfigError(
            [f"--tags: {one!r} means no tag that measures something; there are {some}" for one in unknown]
        )
    indexes = {row["idx"] for its in found.values() for row in its}
    meant = [row for row in rows if row["idx"] in indexes]
    if not meant:
        raise ConfigError(["--tags: this cloud knows no tag that measures something; name some"])
    return [Tag(int(row["idx"]), str(row["tag_id"]), float(row["silence_s"])) for row in meant]


def _means(pattern: str, row: Row) -> bool:
    names = (str(row["tag_id"]), str(row["plant_tag"]))
    return pattern in names or (_measures(row) and any(fnmatchcase(name, pattern) for name in names))


def _measures(row: Row) -> bool:
    return row["kind"] in LEARNT_FROM and row["datatype"] not in NO_NUMBERS


def _stretches(past: Past, tags: Sequence[Tag], grid: Grid, told: Progress) -> Iterator[Stretch]:
    """Yield what was stored of a window, and of so long before it as a value may be held."""
    begin_ms = grid.from_ms - max(tag.hold_ms(grid.every_ms) for tag in tags)
    begin_ms, end_ms = begin_ms // SECOND_MS * SECOND_MS, -(-grid.to_ms // SECOND_MS) * SECOND_MS
    for one in past.stretches([tag.index for tag in tags], begin_ms, end_ms):
        yield one
        if len(one):
            told(min((int(one.times_ms[-1]) - begin_ms) / (end_ms - begin_ms), 0.99))
    told(1)
