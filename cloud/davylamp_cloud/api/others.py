"""All routes of the API beside those a start answers first; they come once those are answered."""

from fastapi import FastAPI

from davylamp_cloud.api import (
    backtests,
    edges,
    edits,
    handover,
    health,
    hiding,
    metrics,
    performance,
    proposals,
    quarantine,
    routes,
    sources,
    tags,
    transitions,
    why,
)

ROUTERS = (
    tags,
    edits,
    proposals,
    why,
    backtests,
    hiding,
    handover,
    performance,
    transitions,
    sources,
    edges,
    quarantine,
    health,
    metrics,
)

OPENAPI_URL = "/api/v1/openapi.json"


def add_others(app: FastAPI) -> None:
    """Add the other routes, and the description of all."""
    for module in ROUTERS:
        routes.add(app, module.router)
    app.openapi_url = OPENAPI_URL
    app.setup()
