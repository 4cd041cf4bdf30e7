"""What a birth says about a device, so that the cloud takes it on without a second configuration."""

import json
import math
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from pydantic import Field, ValidationError

from davylamp_wire.config import Section
from davylamp_wire.payload import DESCRIPTION, SPARKPLUG_TYPE, Message, Metric, SparkplugType, is_own
from davylamp_wire.point import DataType, Point, Slug
from davylamp_wire.profile import DetectorGroup

SLUG_LENGTH = 64


class DeviceDescription(Section):
    """An installed device: its profile's points with the site's overrides already in them."""

    name: Slug
    profile: str
    profile_version: int = 1
    hazard_source: Slug
    driver: str = ""
    zh: str
    en: str
    groups: dict[Slug, DetectorGroup] = Field(default_factory=dict)
    points: dict[str, Point]

    def encode(self) -> str:
        """Return the JSON of the ``Davylamp/Device`` metric; what equals its default is left out."""
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def decode(cls, text: str) -> "DeviceDescription":
        """Return a description; keys that only a newer edge knows are passed over.

        A config with an unknown key is refused, because a person sits at it. A birth is not: refusing it would blind
        the cloud to a device that is well.

        Raises: ValueError saying what is wrong.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            unknown = [item["loc"] for item in error.errors(include_url=False) if item["type"] == "extra_forbidden"]
            if not unknown:
                raise ValueError(_mistake(error)) from None
        try:
            return cls.model_validate(_without(json.loads(text), unknown))
        except ValidationError as error:
            raise ValueError(_mistake(error)) from None


def _mistake(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"the {DESCRIPTION} metric does not fit: {where}: {first['msg']}"


def _without(said: dict[str, Any], places: Iterable[tuple[int | str, ...]]) -> dict[str, Any]:
    for *parents, key in places:
        table: Any = said
        for parent in parents:
            table = table[parent]
        del table[key]
    return said


def datatype_of(point: Point) -> SparkplugType:
    """Return the Sparkplug datatype a point travels as: its own, or Double where a scale or a loop makes it one."""
    if point.type in (DataType.BOOL, DataType.STRING):
        return SPARKPLUG_TYPE[point.type]
    scaled = point.scale != 1.0 or point.offset != 0.0 or point.loop is not None
    return SparkplugType.DOUBLE if scaled else SPARKPLUG_TYPE[point.type]


def foreign_properties(point: Point) -> dict[str, str | float | int | bool]:
    """Return what a host that is not ours can use of a point."""
    found: dict[str, str | float | int | bool] = {"engUnit": point.unit} if point.unit else {}
    if point.range:
        found |= {"engLow": point.range[0], "engHigh": point.range[1]}
    return found


def description_of(device: str, birth: Message, *, hazard_source: str) -> DeviceDescription:
    """Return what a DBIRTH says: our own description, or for a foreign edge what its metrics tell.

    A foreign device belongs to the hazard source it is given until a person decides otherwise.

    Raises: ValueError where our own description is there and cannot be read.
    """
    own = birth.find(DESCRIPTION)
    if own is not None and isinstance(own.value, str):
        return DeviceDescription.decode(own.value)
    points = {slug(metric.name): _foreign_point(metric) for metric in birth.metrics if not is_own(metric.name)}
    return DeviceDescription(
        name=device, profile="foreign", hazard_source=hazard_source, zh=device, en=device, points=points
    )


def slug(name: str) -> str:
    """Return a foreign name as a slug: what may not stand in an id becomes ``_``.

    A name that had to be changed ends in a mark of its own, so that ``a/b`` and ``a b`` never become one tag.
    """
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)
    if plain == name and 0 < len(name) <= SLUG_LENGTH:
        return name
    mark = blake2b(name.encode(errors="surrogatepass"), digest_size=3).hexdigest()
    return f"{plain[: SLUG_LENGTH - len(mark) - 1]}-{mark}"


_FOREIGN_TYPE: Mapping[int, DataType] = {
    SparkplugType.BOOLEAN: DataType.BOOL,
    SparkplugType.STRING: DataType.STRING,
    SparkplugType.TEXT: DataType.STRING,
    SparkplugType.UUID: DataType.STRING,
}


def _foreign_point(metric: Metric) -> Point:
    properties: Mapping[str, Any] = metric.properties
    return Point(
        zh=metric.name or "_",
        en=metric.name or "_",
        unit=str(properties.get("engUnit") or ""),
        type=_FOREIGN_TYPE.get(metric.datatype, DataType.FLOAT64),
        range=_range(properties.get("engLow"), properties.get("engHigh")),
        plant_tag=metric.name,
    )


def _range(low: object, high: object) -> tuple[float, float] | None:
    if not (isinstance(low, int | float) and isinstance(high, int | float)):
        return None
    sound = math.isfinite(low) and math.isfinite(high) and low < high
    return (float(low), float(high)) if sound else None
