"""A dataclass of plain values as a dict; `dataclasses.asdict` copies deeply, which in a storm is most of the work."""

from dataclasses import fields
from functools import cache
from typing import Any


def fields_of(value: Any) -> dict[str, Any]:
    """Return a dataclass's fields by name; the values are the same objects, none is copied."""
    return {name: getattr(value, name) for name in _names(type(value))}


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))
