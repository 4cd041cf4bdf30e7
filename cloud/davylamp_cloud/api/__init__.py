"""The versioned HTTP API."""

from davylamp_cloud.api.app import create_app
from davylamp_cloud.api.server import HttpServer

__all__ = ["HttpServer", "create_app"]
