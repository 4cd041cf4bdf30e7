"""All of the console beside the page itself, its stream and its files; it comes once the page is answered."""

from fastapi import FastAPI

from davylamp_cloud.api import others, routes
from davylamp_cloud.console import acts, backtests, evidence, handover, limits, performance, reasons, tag_list


def add_others(app: FastAPI) -> None:
    """Add every other route, the API's and the console's."""
    others.add_others(app)
    for module in (tag_list, acts, evidence, handover, limits, reasons, performance, backtests):
        routes.add(app, module.router)
