"""A dataclass of plain values as a dict; `dataclasses.asdict` copies deeply, which in a storm is most of the work."""

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any, ClassVar, Protocol


class Fielded(Protocol):
    """What every dataclass is."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def fields_of(value: Fielded) -> dict[str, Any]:
    """Return a dataclass's fields by name; the values are the same objects, none is copied."""
    names, read = _reader(type(value))
    return dict(zip(names, read(value), strict=True))


@lru_cache
def _reader(kind: type[Fielded]) -> tuple[tuple[str, ...], Callable[[Fielded], tuple[Any, ...]]]:
    """Return the names of a dataclass's fields, two at least, and what reads them all at once."""
    names = tuple(kind.__dataclass_fields__)
    return names, attrgetter(*names)
