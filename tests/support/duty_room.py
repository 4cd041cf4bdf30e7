"""A duty room on the real path: an edge's payloads, the log, the engine, state.db, the API and the console.

Only broker and edge process are left out; `Speaker` makes the bytes they would bring.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from davylamp_cloud.api.address import listen
from davylamp_cloud.api.app import create_app
from davylamp_cloud.api.server import HttpServer
from davylamp_cloud.api.tokens import credentials_of
from davylamp_cloud.cloud import Cloud, utc_ms
from davylamp_cloud.config import CloudConfig, MaskConfig, MonitorConfig, SiteConfig, TokenConfig
from davylamp_cloud.console import mount
from davylamp_cloud.console.others import add_others
from davylamp_cloud.engine_age import EngineAge
from davylamp_cloud.historian.duckdb import DuckDbHistorian

from support.host import SITE, Host, host
from support.served import Quiet
from support.speaker import Speaker


class DutyRoom:
    """A served cloud with one edge. Its clock is the real one: the page has its own."""

    def __init__(self, running: Host, edge: Speaker, url: str) -> None:
        self.running, self.edge, self.url = running, edge, url

    def say(self, *values: float) -> None:
        """Let the edge report one value for each of its points, now."""
        self.running.now_ms = self.edge.now_ms = max(utc_ms(), self.edge.now_ms + 1)
        self.running.hear(self.edge.data(values))
        self.running.settle()

    def tick(self) -> None:
        """Let the cloud's clock tick."""
        self.running.now_ms = max(utc_ms(), self.running.now_ms)
        self.running.settle()


@contextmanager
def duty_room(
    folder: Path,
    edge: Speaker | None = None,
    tokens: tuple[TokenConfig, ...] = (),
    *,
    site: SiteConfig = SITE,
    masks: tuple[MaskConfig, ...] = (),
    reorder_s: float = 60.0,
    moved: bool = False,
) -> Iterator[DutyRoom]:
    """Give a duty room whose edge is born, for the length of a with block; `moved`: only the test moves its clock."""
    with host(folder, now_ms=utc_ms(), site=site, masks=masks) as running:
        edge = edge or Speaker()
        edge.now_ms = running.now_ms
        historian = DuckDbHistorian(folder / "history")
        quiet = Quiet(nodes={})
        monitor = MonitorConfig(reorder_s=reorder_s)
        now_ms: Callable[[], int] = (lambda: running.now_ms) if moved else utc_ms
        age = EngineAge(running.monitor.lag, lambda: now_ms() / 1000)
        running.monitor.on_commit(age.heard)
        cloud = Cloud(
            CloudConfig(data_dir=folder, tokens=tokens, sites=(site,), masks=masks, monitor=monitor),
            running.log,
            running.commits,
            running.state,
            running.monitor,
            historian,
            quiet,
            quiet,
            quiet,
            now_ms,
            age.ms,
        )
        app = mount(create_app(cloud, credentials_of(cloud.config)))
        add_others(app)
        server = HttpServer(app, listen("127.0.0.1", 0), running.failures.append)
        try:
            running.hear(*edge.birth())
            running.settle()
            yield DutyRoom(running, edge, server.start())
        finally:
            server.stop()
            historian.close()
