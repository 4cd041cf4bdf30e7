"""Why a tag alarmed, or did not, at a moment: asked of the engine as it was then."""

import threading
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.errors import ApiError, not_found
from davylamp_cloud.api.gate import Reader
from davylamp_cloud.api.language import both, mark
from davylamp_cloud.api.parts import LAST_MS, REFUSALS, CloudParts, Parts, TagName
from davylamp_cloud.api.tags import entry_of
from davylamp_cloud.replay import TooOld
from davylamp_cloud.why import Why, why
from davylamp_cloud.why_page import as_dict

router = APIRouter(prefix="/api/v1/tags", tags=["why"], responses=REFUSALS)

ONE = threading.Semaphore(1)
"""One moment is replayed at a time: it is work the engine shares its machine with."""

At = Annotated[int | None, Query(ge=0, le=LAST_MS, description="UTC milliseconds; now, if not given")]


@router.get("/{group}/{node}/{device}/{point}/why")
async def why_tag(parts: CloudParts, actor: Reader, tag: TagName, at_ms: At = None) -> dict[str, Any]:
    """Tell every alarm around a tag at a moment: what decided it, what would end it, what hides it, what came of it."""
    await run_in_threadpool(entry_of, parts, actor, tag)
    return as_dict(await run_in_threadpool(asked, parts, tag, at_ms))


def asked(parts: Parts, tag: str, at_ms: int | None) -> Why:
    """Return the answer; blocks for as long as the replay takes."""
    with ONE:
        try:
            return why(parts.cloud.log, parts.cloud.state, tag, at_ms)
        except LookupError:
            raise not_found(both(mark("tag")), tag) from None
        except TooOld as error:
            raise ApiError(
                410,
                "too_old",
                both(mark("Neither log nor snapshots reach back that far.")),
                both(mark("Ask for {earliest_ms} (UTC milliseconds) or later."), earliest_ms=error.earliest_ms),
                where="at_ms",
            ) from None
