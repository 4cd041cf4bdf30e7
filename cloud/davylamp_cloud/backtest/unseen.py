"""Live values that nobody looks at: a run through records keeps none."""

from typing import Any

from davylamp_cloud.live import Live


class Unseen(Live):
    """Takes readings and keeps nothing."""

    def grow(self, count: int) -> None:
        """Make no room."""

    def store(self, *readings: Any) -> None:
        """Keep nothing."""
