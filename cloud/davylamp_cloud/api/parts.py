"""The parts every route works with, and the small types routes share."""

from dataclasses import dataclass
from typing import Annotated

from davylamp_wire.config import SLUG
from davylamp_wire.reading import tag_id
from fastapi import Depends, Path, Query
from starlette.requests import HTTPConnection

from davylamp_cloud.api.catalogue import Catalogue
from davylamp_cloud.api.errors import ErrorBody
from davylamp_cloud.api.hub import Hub
from davylamp_cloud.backtest.jobs import Jobs
from davylamp_cloud.cloud import Cloud

LAST_MS = 253_402_300_799_999
"""The end of the year 9999: no time of ours lies after it."""

LAST_SEQ = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Parts:
    """The running cloud, as routes see it."""

    cloud: Cloud
    catalogue: Catalogue
    hub: Hub
    backtests: Jobs


def parts_of(connection: HTTPConnection) -> Parts:
    """Return the parts of the app a request came to."""
    parts = connection.app.state.parts
    assert isinstance(parts, Parts)
    return parts


CloudParts = Annotated[Parts, Depends(parts_of)]
Slug = Annotated[str, Path(pattern=SLUG)]
Words = Annotated[str, Query(max_length=200, description="words to be found in id, plant tag, name, hazard source")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
TimeMs = Annotated[int, Query(ge=0, le=LAST_MS, description="UTC milliseconds")]
Occurrence = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,100}$", description="<hazard source>-<number>-<run>")]


def _tag_name(group: Slug, node: Slug, device: Slug, point: Slug) -> str:
    return tag_id(group, node, device, point)


TagName = Annotated[str, Depends(_tag_name)]
"""The tag a path ``/{group}/{node}/{device}/{point}`` names."""

_SCHEMA = {"schema": {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}}
_REFUSAL: dict[str, object] = {"content": {"application/json": _SCHEMA}}
"""A refusal by the name of its model: naming the model itself on each of 300 answers was a tenth of a start's time."""

REFUSALS: dict[int | str, dict[str, object]] = dict.fromkeys((401, 403, 404, 422, 429), _REFUSAL)
"""What any route may answer instead, for OpenAPI."""

DESCRIBED: dict[int | str, dict[str, object]] = {**REFUSALS, 401: {"model": ErrorBody}}
"""The same, for the one route through which OpenAPI knows the model."""

ACTS: dict[int | str, dict[str, object]] = {**REFUSALS, 409: REFUSALS[404], 503: REFUSALS[404]}
"""What an act may answer besides: the engine refuses it, or the log takes nothing."""
