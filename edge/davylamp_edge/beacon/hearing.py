"""Which engines the beacon answers for, and whether they are known to live. Times are a monotonic clock's seconds."""

from collections.abc import Mapping
from dataclasses import dataclass

Moved = Mapping[str, float | None]
"""When each engine that is watched last moved, by its name; None where nothing was heard of it yet."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of the engines: which are silent, and whether every one is known to live.

    At the start neither holds: an engine that has not been heard of yet is no fault, and no proof of life.
    """

    silent: tuple[str, ...]
    lives: bool


def heard(moved: Moved, began_s: float, now_s: float, silent_s: float) -> Heard:
    """Return what is known now, having listened since `began_s`."""
    silent = [name for name, moved_s in moved.items() if now_s - _latest(moved_s, began_s) >= silent_s]
    unheard = [name for name, moved_s in moved.items() if moved_s is None or now_s - moved_s >= silent_s]
    return Heard(tuple(silent), lives=bool(moved) and not unheard)


def _latest(moved_s: float | None, began_s: float) -> float:
    return began_s if moved_s is None else max(moved_s, began_s)
