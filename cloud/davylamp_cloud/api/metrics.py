"""Prometheus metrics of the cloud itself."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.errors import forbidden, unauthenticated
from davylamp_cloud.api.gate import client_of, gate_of, is_loopback
from davylamp_cloud.api.parts import CloudParts, Parts
from davylamp_cloud.api.permissions import Permission

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, parts: CloudParts) -> Response:
    """Return the metrics; from this machine without a token, from elsewhere with one."""
    if not is_loopback(client_of(request)):
        actor = await gate_of(request).identify(request)
        if actor is None:
            raise unauthenticated()
        if not actor.may(Permission.METRICS):
            raise forbidden(actor.role, Permission.METRICS)
    return await run_in_threadpool(_answer, parts)


def _answer(parts: Parts) -> Response:
    """Return the series of this moment. The client's library is imported by the first scrape: a start does not wait."""
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    from davylamp_cloud.api.series import latest

    return Response(latest(parts), media_type=CONTENT_TYPE_LATEST)
