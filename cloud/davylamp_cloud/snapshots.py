"""Snapshots are packed and stored beside the monitor: it gives copies of its columns away and goes on.

```
monitor ── copies after record n ══► this thread: pack ──► state.db (counts once the cursor is there, too)
```
"""

import threading
from collections.abc import Mapping
from typing import Any

import structlog
from numpy.typing import NDArray
from sqlalchemy.exc import OperationalError

from davylamp_cloud import faultpoints
from davylamp_cloud.cores import use_all
from davylamp_cloud.store.snapshots import packed, write_snapshot
from davylamp_cloud.store.state import State

LOG = structlog.get_logger()


class Snapshots:
    """Stores one snapshot at a time. A disk that refuses one costs nothing but a longer replay: the next is tried."""

    def __init__(self, state: State, keep_ms: int = 0) -> None:
        """Of each hour one is kept for `keep_ms`, beside the newest."""
        self._state = state
        self._keep_ms = keep_ms
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """True while a snapshot is on its way to disk."""
        return self._thread is not None and self._thread.is_alive()

    def store(self, seq: int, at_ms: int, body: Mapping[str, NDArray[Any] | bytes]) -> None:
        """Take the state after record `seq`; the arrays must be the caller's no more."""
        self.finish()
        self._thread = threading.Thread(target=self._store, args=(seq, at_ms, body), name="snapshot", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Return once nothing is on its way."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _store(self, seq: int, at_ms: int, body: Mapping[str, NDArray[Any] | bytes]) -> None:
        use_all()
        small = packed(body)
        try:
            with self._state.writing() as connection:
                write_snapshot(connection, seq, at_ms, small, self._keep_ms)
                faultpoints.hit("snapshot.before_commit")
            faultpoints.hit("snapshot.after_commit")
        except OperationalError as error:
            LOG.error("state.db refuses a snapshot", seq=seq, error=str(error.orig))
