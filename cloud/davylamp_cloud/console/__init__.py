"""The duty-room console: one page, served by the API's app."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from davylamp_cloud.api import routes
from davylamp_cloud.console import pages, stream

STATIC = Path(__file__).parent / "static"


class Files(StaticFiles):
    """Files a browser asks about each time: after an upgrade no old script may meet a new page."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


def mount(app: FastAPI) -> FastAPI:
    """Add the console's page, its stream and its files to an API's app; `others.add_others` adds the rest of both."""
    for module in (pages, stream):
        routes.add(app, module.router)
    app.mount("/static", Files(directory=STATIC), name="static")
    return app


__all__ = ["mount"]
