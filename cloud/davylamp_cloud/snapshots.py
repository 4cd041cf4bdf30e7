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
    """Stores one snapshot at a time. One that fails costs nothing but a longer replay: the next is tried.

    `failure` says why the newest was not stored, "" where it was; None before the first. The monitor makes it an alarm.
    """

    def __init__(self, state: State, keep_ms: int = 0) -> None:
        """Of each hour one is kept for `keep_ms`, beside the newest."""
        self._state = state
        self._keep_ms = keep_ms
        self._thread: threading.Thread | None = None
        self.failure: str | None = None

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
        try:
            small = packed(body)
            with self._state.writing() as connection:
                write_snapshot(connection, seq, at_ms, small, self._keep_ms)
                faultpoints.hit("snapshot.before_commit")
            faultpoints.hit("snapshot.after_commit")
        except OperationalError as error:
            self.failure = f"state.db refuses it: {error.orig}"
            LOG.error("state.db refuses a snapshot", seq=seq, error=str(error.orig))
        except Exception as error:  # whatever it is, nobody else would hear of it in this thread
            self.failure = repr(error)
            LOG.exception("a snapshot could not be made", seq=seq)
        else:
            self.failure = ""
