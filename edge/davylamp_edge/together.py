"""What is known of the points of one scan, so that the next scan of the same points need not find it out again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Together:
    """Points of one scan, their aliases, and where they lie where they lie side by side."""

    points: Sequence[int]
    aliases: Sequence[int]
    run: slice | None

    @classmethod
    def of(cls, points: Sequence[int], aliases: Sequence[int]) -> Self:
        """Return it; aliases that lie side by side are a range, which is encoded without a look at each."""
        run = run_of(points)
        travelling = [aliases[point] for point in points]
        return cls(points, run_of(travelling) or travelling, None if run is None else slice(run.start, run.stop))


def run_of(numbers: Sequence[int]) -> range | None:
    """Return numbers as a range where they follow one another."""
    run = range(numbers[0], numbers[0] + len(numbers))
    return run if numbers[-1] == run[-1] and list(numbers) == list(run) else None
