"""A dataclass of plain values as a dict; `dataclasses.asdict` copies deeply, which in a storm is most of the work."""

from typing import Any, ClassVar, Protocol


class Fielded(Protocol):
    """What every dataclass is."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def fields_of(value: Fielded) -> dict[str, Any]:
    """Return a dataclass's fields by name; the values are the same objects, none is copied."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
