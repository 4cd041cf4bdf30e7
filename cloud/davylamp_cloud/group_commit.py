"""Group commit: one thread that writes whatever is queued in one transaction, then tells each who waited.

The disk's own pace makes the batches: while one commit waits for the disk, the next one fills. Nobody is told
before the transaction is on disk. When the disk refuses, everything stops: to go on would be to confirm what a
crash would lose.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from davylamp_cloud.beside import NOTHING, Beside, Confirmed, Hole, Quarantined
from davylamp_cloud.log import Log, NewRecord
from davylamp_cloud.tags import Birth

PACE_S, MOST_PACE_S, EACH_S = 0.005, 0.030, 0.0002
"""Shortest time from one commit to the next: a lone record does not wait, a stream is written in batches. The more
the last one held the longer, up to a bound no alarm feels: a commit costs the disk and each reader a fixed price."""

Done = Callable[[list[int]], None]


class LogClosed(Exception):
    """The log takes nothing any more: the process stops, or the disk refused a commit."""


@dataclass(frozen=True, slots=True)
class Submission:
    """Records that belong together, what is written beside them, and who is told their numbers."""

    records: Sequence[NewRecord]
    beside: Beside
    done: Done | None


class GroupCommit:
    """The only way into the log while the cloud runs. Submissions are written in the order they came."""

    def __init__(self, log: Log, failed: Callable[[BaseException], None], most: int = 5000) -> None:
        """`failed` is called once, from the thread, when a commit was refused; the process must stop then."""
        self._log = log
        self._failed = failed
        self._most = most
        self._queue: deque[Submission] = deque()
        self._queued = 0
        self._ready = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self.commits = 0
        self._committed_s, self._pace_s = 0.0, PACE_S

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued, then end the thread."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, records: Sequence[NewRecord], done: Done | None = None, beside: Beside = NOTHING) -> None:
        """Queue records; `done` gets their numbers on the committing thread once they are on disk.

        Raises LogClosed when the log takes nothing any more.
        """
        with self._ready:
            if self._stopping:
                raise LogClosed("the log is closed: the cloud is stopping")
            self._queue.append(Submission(records, beside, done))
            self._queued += len(records)
            self._ready.notify_all()

    def append(self, records: Sequence[NewRecord], timeout: float = 30.0) -> list[int]:
        """Queue records and wait until they are on disk; return their numbers."""
        future: Future[list[int]] = Future()
        self.submit(records, future.set_result)
        return future.result(timeout)

    @property
    def queued(self) -> int:
        """How many records wait for the disk."""
        return self._queued

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._commit(batch)
            except BaseException as error:
                with self._ready:
                    self._stopping = True
                self._failed(error)
                return

    def _next(self) -> list[Submission]:
        """Wait for submissions; nothing comes back when the thread is to end."""
        with self._ready:
            self._ready.wait_for(lambda: self._queue or self._stopping)
        rest_s = self._committed_s + self._pace_s - time.monotonic()
        if rest_s > 0 and not self._stopping:
            time.sleep(rest_s)
        with self._ready:
            return self._taken()

    def _taken(self) -> list[Submission]:
        """Take submissions off the queue, as many as make up a transaction."""
        batch: list[Submission] = []
        count = 0
        while self._queue and count < self._most and len(batch) < self._most:
            batch.append(self._queue.popleft())
            count += len(batch[-1].records)
        self._queued -= count
        return batch

    def _commit(self, batch: list[Submission]) -> None:
        records = [record for submission in batch for record in submission.records]
        seqs = self._log.append(records, _merged(batch))
        self.commits += 1
        self._committed_s = time.monotonic()
        self._pace_s = min(MOST_PACE_S, PACE_S + EACH_S * len(records))
        at = 0
        for submission in batch:
            until = at + len(submission.records)
            if submission.done is not None:
                submission.done(seqs[at:until])
            at = until


def _merged(batch: Sequence[Submission]) -> Beside:
    """Return what lies beside all submissions; of each confirmed set only the newest, for it contains the older."""
    births: list[Birth] = []
    confirmed: dict[tuple[str, str], Confirmed] = {}
    holes: list[Hole] = []
    quarantined: list[Quarantined] = []
    for submission in batch:
        beside = submission.beside
        if beside is NOTHING:
            continue
        births.extend(beside.births)
        confirmed.update({(c.node, c.epoch): c for c in beside.confirmed})
        holes.extend(beside.holes)
        quarantined.extend(beside.quarantined)
    return Beside(births, list(confirmed.values()), holes, quarantined)
