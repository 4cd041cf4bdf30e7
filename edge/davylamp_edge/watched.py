"""Shows every raw reading of local points to whoever decides their limits, whatever is reported of it (SAFETY S8)."""

from collections.abc import Iterable, Sequence
from typing import Self

from davylamp_wire.point import Point
from davylamp_wire.quality import GOOD, Reason, bad
from davylamp_wire.reading import Value

from davylamp_edge.pushed import Pushed
from davylamp_edge.reply import Decoded
from davylamp_edge.report import Post

Row = tuple[int, Value, int, int]
"""A point's place, its value, its quality code, and when it was measured."""


class Watched:
    """The local points among those of one request, or of one device that tells by itself."""

    def __init__(self, indices: Sequence[int], positions: Sequence[int]) -> None:
        self._indices = indices
        self._positions = positions
        self._local = frozenset(positions)
        self._last: dict[int, Row] = {}
        """What each point told last by itself."""

    @classmethod
    def of(cls, indices: Sequence[int], points: Sequence[Point]) -> Self | None:
        """Return the local ones among some points of a device, None where none is; `indices` are the device's own."""
        positions = [at for at, point in enumerate(points) if point.local]
        return cls(indices, positions) if positions else None

    def look(self, decoded: Decoded, arrived_ms: int, post: Post) -> None:
        """Show one reply."""
        times_ms, doubts = decoded.times_ms, decoded.doubts
        self._show(
            [
                (at, decoded.values[at], doubts.get(at, GOOD), arrived_ms if times_ms is None else times_ms[at])
                for at in self._positions
            ],
            post,
        )

    def lose(self, reason: Reason, arrived_ms: int, post: Post) -> None:
        """Show that nothing was read."""
        self._show([(at, None, bad(reason), arrived_ms) for at in self._positions], post)

    def hear(self, pushed: Iterable[Pushed], arrived_ms: int, post: Post) -> None:
        """Show what points told by themselves, in their order: one of them may come several times."""
        rows: list[Row] = []
        taken: set[int] = set()
        for at, value, quality, stamp_ms in pushed:
            if at not in self._local:
                continue
            if at in taken:
                self._show(rows, post)
                rows, taken = [], set()
            row = (at, value, quality, stamp_ms or arrived_ms)
            self._last[at] = row
            rows.append(row)
            taken.add(at)
        self._show(rows, post)

    def again(self, confirmed_ms: int, post: Post) -> None:
        """Show what was told last once more: it has been confirmed."""
        self._show([(at, value, quality, confirmed_ms) for at, value, quality, _ in self._last.values()], post)

    def _show(self, rows: Sequence[Row], post: Post) -> None:
        if rows and post.see is not None:
            places, values, qualities, times_ms = zip(*rows, strict=True)
            post.see(post.device, [self._indices[at] for at in places], values, qualities, times_ms)
