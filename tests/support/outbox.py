"""A real log, state.db and outbox for the notify tests.

Also a process to be killed: ``python outbox.py FOLDER URL``.
"""

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.group_commit import GroupCommit
from davylamp_cloud.log import Log
from davylamp_cloud.notify.outbox import Outbox
from davylamp_cloud.notify.route import outbox_rows
from davylamp_cloud.notify.schedule import Schedule
from davylamp_cloud.store.schema import OUTBOX
from davylamp_cloud.store.state import State
from sqlalchemy import insert, select

from support.receiver import config_of

LEVELS = ("red", "orange", "yellow", "blue")
FAST = Schedule(dict.fromkeys(LEVELS, (0.05,) * 1000), dict.fromkeys(LEVELS, 60.0))
"""Twenty attempts a second, so that no test waits for a schedule."""

NOBODY_BEATS_S = 3600.0


def utc_ms() -> int:
    return time.time_ns() // 1_000_000


def step(number: int, priority: str = "red", occurrence: str = "cl2-1", **more: Any) -> dict[str, Any]:
    """Return a transition's data: the `number`-th of hazard source cl2."""
    return {
        "id": f"cl2-{number}",
        "occurrence": occurrence,
        "version": number,
        "hazard_source": "cl2",
        "priority": priority,
        "event": "raised",
        "time_ms": utc_ms(),
        "late": False,
        "value": 7.5,
        **more,
    }


@dataclass
class Office:
    """What the outbox works with, and the outbox once it was started."""

    folder: Path
    receivers: list[ReceiverConfig]
    log: Log
    state: State
    commits: GroupCommit
    errors: list[BaseException] = field(default_factory=list)
    outbox: Outbox | None = None
    position: int = 0

    def tell(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """Commit transitions' notices as the monitor does, and wake the outbox."""
        rows = [row for one in steps for row in outbox_rows(one, self.receivers, utc_ms())]
        with self.state.writing() as connection:
            connection.execute(insert(OUTBOX), rows)
        if self.outbox is not None:
            self.outbox.wake()

    def start(self, **more: Any) -> Outbox:
        """Start the outbox, by default on a fast schedule and without heartbeats after the first."""
        given = {"schedule": FAST, "heartbeat_s": NOBODY_BEATS_S, "position": self.moving, **more}
        self.outbox = Outbox(
            self.state, self.commits, self.receivers, now_ms=utc_ms, failed=self.errors.append, **given
        )
        self.outbox.start()
        return self.outbox

    def moving(self) -> int:
        """Return the position of an engine that never stands still."""
        self.position += 1
        return self.position

    def rows(self) -> list[dict[str, Any]]:
        """Return the outbox table."""
        return [dict(row) for row in self.state.rows(select(OUTBOX).order_by(OUTBOX.c.id))]

    def states(self) -> list[str]:
        """Return the state of each row."""
        return [row["state"] for row in self.rows()]

    def stop(self) -> None:
        """Stop what runs."""
        if self.outbox is not None:
            self.outbox.stop()
        self.commits.stop()
        self.log.close()
        self.state.close()


@contextmanager
def office(folder: Path, receivers: list[ReceiverConfig]) -> Iterator[Office]:
    """An office for the length of a with block."""
    log = Log(folder / "log.db")
    errors: list[BaseException] = []
    commits = GroupCommit(log, errors.append)
    commits.start()
    running = Office(folder, receivers, log, State(folder / "state.db"), commits, errors)
    try:
        yield running
    finally:
        running.stop()
    assert not running.errors


def main() -> None:
    folder, url = Path(sys.argv[1]), sys.argv[2]
    with office(folder, [config_of("regulator", url, folder)]) as running:
        running.start()
        threading.Event().wait()


if __name__ == "__main__":
    main()
