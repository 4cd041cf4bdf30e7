"""The running cloud. Only this file wires its parts together.

```
broker ─► ingest ─┐                       ┌─► monitor ─► state.db ─► outbox ─► receivers
ticker ───────────┼─► group commit ─► log ┤
API commands ─────┘                       └─► feed ─► historian ─► API, console
```

Parts start from the log outwards and stop from the outside in, so that nothing is taken that nobody would store.
"""

import contextlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from davylamp_cloud.api.address import listen
from davylamp_cloud.api.tokens import credentials_of
from davylamp_cloud.cloud import Cloud, utc_ms
from davylamp_cloud.config import CloudConfig
from davylamp_cloud.cores import kept_to_one
from davylamp_cloud.engine_age import EngineAge
from davylamp_cloud.group_commit import GroupCommit
from davylamp_cloud.historian import Historian, LogNames, open_historian
from davylamp_cloud.historian.announce import Announcer, TakesLines
from davylamp_cloud.historian.feed import Feed
from davylamp_cloud.ingest import Ingest
from davylamp_cloud.log import Log
from davylamp_cloud.monitor import Monitor
from davylamp_cloud.notify.outbox import Outbox
from davylamp_cloud.recent import Recent
from davylamp_cloud.reds import Reds
from davylamp_cloud.restored import restored_in, told_restored
from davylamp_cloud.retention import Retention, only_one
from davylamp_cloud.settings import RESTORED
from davylamp_cloud.startup import Startup
from davylamp_cloud.store.state import State
from davylamp_cloud.ticker import Ticker

LOG = structlog.get_logger()

BEHIND_RECORDS = 200
"""The monitor takes what comes in a moment at once; more than this waits only where it has more to do than time."""

FIRST_S = 0.5
"""Alarms and page are answered alone for so long after a start, where nobody asks for anything else."""

__all__ = ["App", "Cloud"]


class Part(Protocol):
    """What runs from `start` to `stop`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class App:
    """A cloud from its config: `start`, `wait`, `stop`."""

    def __init__(self, config: CloudConfig, now_ms: Callable[[], int] = utc_ms, startup: Startup | None = None) -> None:
        """Open files and build every part; nothing runs yet."""
        self.url = ""
        self.error: BaseException | None = None
        self._startup = startup or Startup()
        self._over = threading.Event()
        self._undo = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            self._build(config, now_ms, undo)
            self._undo = undo.pop_all()

    def _build(self, config: CloudConfig, now_ms: Callable[[], int], undo: contextlib.ExitStack) -> None:
        folder = config.data_dir
        folder.mkdir(parents=True, exist_ok=True)
        undo.enter_context(only_one(folder))
        self._credentials = credentials_of(config)
        self._listening = listen(config.http.host, config.http.port)
        undo.callback(self._listening.close)
        state = State(folder / "state.db")
        undo.callback(state.close)
        self._startup.mark("state")
        names = LogNames()
        historian = open_historian(config.historian, folder, names)
        undo.callback(historian.close)
        self._startup.mark("historian")
        log = names.log = Log(folder / "log.db", floor=max(state.cursor(), historian.cursor()))
        undo.callback(log.close)
        self._startup.mark("log")
        commits, recent = GroupCommit(log, self.fail), Recent()
        monitor = Monitor(
            log,
            state,
            now_ms,
            config=config.monitor,
            sites=config.sites,
            masks=config.masks,
            receivers=config.receivers,
            failed=self.fail,
            recent=recent,
        )
        outbox = Outbox(
            state,
            commits,
            config.receivers,
            now_ms=now_ms,
            position=lambda: monitor.position,
            behind=lambda: log.last_seq - monitor.position > BEHIND_RECORDS,
            failed=self.fail,
        )
        monitor.on_commit(lambda committed: outbox.wake() if committed.transitions else None)
        keep_days = config.historian.keep_days
        feed = Feed(log, historian, now_ms=now_ms, keep_days=keep_days, failed=self.fail, recent=recent)
        age = EngineAge(monitor.lag)
        reds = Reds(state.standing_reds, lambda: monitor.examine(lambda found: found.register.areas()))
        for listener in (age.heard, reds.heard):
            monitor.on_commit(listener)
        ingest = Ingest(
            config.host_id, config.broker, config.monitor, log, commits, monitor.lag, now_ms, self.fail, age.ms, reds.of
        )
        monitor.on_set_aside(ingest.ask_again)
        retention = Retention(log, config.log, lambda: min(monitor.needed(), historian.cursor()))
        ticker = Ticker(commits, now_ms, ingest.offsets, retention.look, self.fail)
        self.cloud = Cloud(config, log, commits, state, monitor, historian, ingest, outbox, feed, now_ms, age.ms)
        self._parts: tuple[Part, ...] = (
            monitor,
            commits,
            outbox,
            feed,
            *drawing(self.cloud, historian),
            ticker,
            ingest,
        )

    def start(self) -> None:
        """Start every part; the address is then in `url` and in ``data_dir/http.json``.

        Alarms and notices go out while API and console are still being loaded, and both answer before all of either is.
        """
        self._startup.mark("build")
        with kept_to_one() if self.cloud.config.one_core else contextlib.nullcontext():
            for part in self._parts:
                self._undo.callback(part.stop)
                part.start()
                self._startup.mark(type(part).__name__.lower())
            self._tell_of_restoring()
            self._serve()
        LOG.info("started", **self._startup.phases())

    def _tell_of_restoring(self) -> None:
        """Say once that the folder was put back from a backup, and of when."""
        folder = self.cloud.config.data_dir
        made = restored_in(folder)
        if made is not None:
            LOG.warning("folder restored from a backup", made=made)
            self.cloud.monitor.tell(RESTORED, f"由 {made} 的备份恢复 / put back from the backup of {made}")
            told_restored(folder)

    def _serve(self) -> None:
        """Serve API and console: alarms and page first, and then the routes that take long to make.

        Imported late: nothing else waits for a web server.
        """
        from davylamp_cloud.api.app import create_app
        from davylamp_cloud.api.server import HttpServer
        from davylamp_cloud.api.waiting import Others, Waiting
        from davylamp_cloud.console import mount

        app, others = mount(create_app(self.cloud, self._credentials)), Others()
        app.add_middleware(Waiting, first=tuple(app.routes), others=others)
        http = HttpServer(app, self._listening, self.fail)
        self._startup.mark("web")
        self._undo.callback(http.stop)
        self.url = http.start()
        announce(self.cloud.config.data_dir, self.url)
        self._startup.mark("http")
        others.leave_first(FIRST_S)
        from davylamp_cloud.console.others import add_others

        add_others(app)
        others.come()
        self._startup.mark("others")

    def fail(self, error: BaseException) -> None:
        """Note that a part cannot go on: the process must stop rather than look alive."""
        self.error = self.error or error
        self._over.set()

    def end(self) -> None:
        """Let `wait` return; safe in a signal handler."""
        self._over.set()

    def wait(self) -> BaseException | None:
        """Return when the cloud is to stop: None when asked to, else the error of the part that failed."""
        self._over.wait()
        return self.error

    def stop(self) -> None:
        """Stop every part and close every file."""
        self._undo.close()


def drawing(cloud: Cloud, historian: Historian) -> tuple[Part, ...]:
    """Return the part that draws alarms and limits beside the curves, where the store is one Grafana reads."""
    if not isinstance(historian, TakesLines):
        return ()
    announcer = Announcer(cloud.state, historian, cloud.config.data_dir, cloud.now_ms)
    cloud.monitor.on_commit(announcer.wake)
    return (announcer,)


def announce(folder: Path, url: str) -> None:
    """Write where the console is, whole or not at all."""
    part = folder / "http.json.part"
    part.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
    part.replace(folder / "http.json")
