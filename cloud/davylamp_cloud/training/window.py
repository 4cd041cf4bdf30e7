"""A window as training sees it, wherever its readings come from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from davylamp_alarms.watching.recorded import Recorded
from davylamp_alarms.watching.window import Grid, Readings, Seen, Stood, laid_out, seen
from davylamp_wire.config import ConfigError

MOST_ROWS, MOST_VALUES = 2_000_000, 30_000_000
"""A rule takes about 30 µs a row however few tags; values are a quarter of a gigabyte, and twice that on the way."""

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Window:
    """Rows of some tags, what they are made from, and the alarms that stood meanwhile; None: nobody knows."""

    grid: Grid
    rows: Recorded
    seen: tuple[Seen, ...]
    stood: tuple[Stood, ...] | None = None


def check_size(grid: Grid, tags: int) -> None:
    """Raise ConfigError where rows and tags are more than can be learnt from at once."""
    times = max(grid.rows / MOST_ROWS, grid.rows * tags / MOST_VALUES)
    if times > 1:
        way = f"--every {grid.every_ms / 1000 * times:.3g} or more, a shorter window, or fewer tags by --tags"
        raise ConfigError([f"{grid.rows} rows of {tags} tags are too many to learn from at once; give {way}"])


def some_of(tags: Sequence[str]) -> str:
    """Return how many tags there are, and the first of them, for who named none of them."""
    more = ", …" if len(tags) > SHOWN else ""
    return f"{len(tags)}: {', '.join(tags[:SHOWN]) or 'none yet'}{more}"


def rows_of(grid: Grid, tags: Sequence[str], readings: Iterable[tuple[Readings, int]]) -> Window:
    """Return the rows of tags, of whose readings only one tag's need be there at once; each with how long it holds."""
    value, found = np.empty((grid.rows, len(tags))), []
    for place, (one, hold_ms) in enumerate(readings):
        value[:, place] = laid_out(one, grid, hold_ms)
        found.append(seen(one, value[:, place], grid))
    return Window(grid, Recorded(tuple(tags), grid.time_ms, value, grid.every_ms / 1000), tuple(found))
