"""What is odd about a point, in both languages, and where in it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from davylamp_wire.config import Mistake


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is odd. `key` is its place inside the point, as a config writes it; its text is a whole line."""

    key: str
    en: str
    zh: str

    def __str__(self) -> str:
        return f"{self.key}: {self.en}"


def below(key: str, found: Iterable[Finding]) -> Iterator[str]:
    """Yield one line per finding, as a mistake of the config in which the point has this key."""
    return (Mistake(f"{key}.{one}", f"{key}.{one.key}：{one.zh}") for one in found)
