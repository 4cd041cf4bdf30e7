"""What is known of the points of one scan, so that the next scan of the same points need not find it out again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from davylamp_wire.payload import only_type


@dataclass(frozen=True, slots=True)
class Together:
    """Points of one scan, their aliases, where they lie if they lie side by side, and their datatype if it is one."""

    points: Sequence[int]
    aliases: Sequence[int]
    run: slice | None
    only: int | None

    @classmethod
    def of(cls, points: Sequence[int], aliases: Sequence[int], types: Mapping[int, int]) -> Self:
        """Return it; aliases that lie side by side are a range, which is encoded without a look at each."""
        run = run_of(points)
        travelling = [aliases[point] for point in points]
        place = None if run is None else slice(run.start, run.stop)
        return cls(points, run_of(travelling) or travelling, place, only_type(travelling, types))


def run_of(numbers: Sequence[int]) -> range | None:
    """Return numbers as a range where they follow one another."""
    run = range(numbers[0], numbers[0] + len(numbers))
    return run if numbers[-1] == run[-1] and list(numbers) == list(run) else None
