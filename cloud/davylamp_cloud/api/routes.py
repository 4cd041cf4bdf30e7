"""Routes as their routers hold them, added to an app."""

from fastapi import APIRouter, FastAPI


def add(app: FastAPI, router: APIRouter) -> None:
    """Add a router's routes themselves; `include_router` has every route made again, and a start waits for it."""
    app.router.routes.extend(router.routes)
