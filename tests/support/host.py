"""The cloud between broker and API without either: real log, group commit, intake, monitor and state.db."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from davylamp_cloud.config import MaskConfig, MonitorConfig, ReceiverConfig, SiteConfig
from davylamp_cloud.group_commit import GroupCommit
from davylamp_cloud.intake import Intake, Outside, Pressure
from davylamp_cloud.log import Log, NewRecord, RecordKind
from davylamp_cloud.monitor import Monitor
from davylamp_cloud.outcomes import Committed, Outcome
from davylamp_cloud.store.state import State
from davylamp_cloud.ticker import tick
from davylamp_wire.decode import decode
from davylamp_wire.intervals import Confirmation
from davylamp_wire.payload import CONFIRM, REBIRTH

from support.speaker import START_MS

SITE = SiteConfig(name="park", zh="园区", en="park", groups=("park",))
DEADLINE_S = 20.0
RUN = "run"


class Host:
    """A cloud in parts. Its clock is `now_ms`; `sent` holds every command it published."""

    def __init__(
        self,
        folder: Path,
        receivers: Iterable[ReceiverConfig] = (),
        now_ms: int = START_MS,
        *,
        site: SiteConfig = SITE,
        masks: Iterable[MaskConfig] = (),
        run: str = RUN,
    ) -> None:
        """`run` names this start; by default each alike, so that a log played twice gives the same ids."""
        self.now_ms = now_ms
        self.sent: list[tuple[str, bytes]] = []
        self.committed: list[Committed] = []
        self.pressure = Pressure.NONE
        self.failures: list[BaseException] = []
        self.state = State(folder / "state.db")
        self.log = Log(folder / "log.db", floor=self.state.cursor())
        self.commits = GroupCommit(self.log, self.failures.append)
        self.monitor = Monitor(
            self.log,
            self.state,
            lambda: self.now_ms,
            config=MonitorConfig(),
            sites=[site],
            masks=tuple(masks),
            receivers=tuple(receivers),
            failed=self.failures.append,
            run=run,
        )
        self.monitor.on_commit(self.committed.append)
        self._lock = threading.RLock()
        self.outside = Outside(self.commits.submit, self._send, self._press)
        self.intake = Intake(self.log, self.outside, now_ms, self._guarded)
        self.monitor.on_set_aside(self.intake.ask_again)

    def _send(self, topic: str, payload: bytes) -> None:
        self.sent.append((topic, payload))

    def _press(self) -> Pressure:
        return self.pressure

    def _guarded(self, work: Callable[[], None]) -> None:
        with self._lock:
            work()

    def start(self) -> "Host":
        """Start group commit and monitor."""
        self.commits.start()
        self.monitor.start()
        return self

    def stop(self) -> None:
        """Stop as the cloud does, files included."""
        self.commits.stop()
        self.monitor.stop()
        self.close()
        assert not self.failures, self.failures

    def close(self) -> None:
        """Close the files."""
        self.log.close()
        self.state.close()

    def hear(self, *messages: tuple[str, bytes]) -> None:
        """Receive messages."""
        with self._lock:
            self.intake.receive([(topic.encode(), payload) for topic, payload in messages], self.now_ms)

    def pass_time(self, seconds: float, step_s: float = 0.5) -> None:
        """Move the clock on, with the intake's own ticks."""
        until_ms = self.now_ms + round(seconds * 1000)
        while self.now_ms < until_ms:
            self.now_ms = min(until_ms, self.now_ms + round(step_s * 1000))
            with self._lock:
                self.intake.tick(self.now_ms)

    def tick(self) -> None:
        """Append a tick of the clock as it stands."""
        with self._lock:
            offsets = self.intake.offsets()
        self.commits.submit([tick(self.now_ms, self.now_ms - START_MS, "boot", offsets)])

    def settle(self) -> None:
        """Return once everything taken is on disk and evaluated."""
        seq = self.commits.append([tick(self.now_ms, self.now_ms - START_MS, "boot", {})], DEADLINE_S)[0]
        self.monitor.await_outcome(seq, DEADLINE_S)

    def act(self, op: str, **fields: Any) -> Outcome:
        """Append an operator's command and return what came of it."""
        said = {"op": op, "by": "li", "at_ms": self.now_ms, **fields}
        record = NewRecord(RecordKind.COMMAND, json.dumps(said).encode(), self.now_ms)
        return self.monitor.await_outcome(self.commits.append([record], DEADLINE_S)[0], DEADLINE_S)

    def change(self, op: str, **fields: Any) -> Outcome:
        """Append a change of the register and return what came of it."""
        record = NewRecord(RecordKind.CHANGE, json.dumps({"op": op, "by": "li", **fields}).encode(), self.now_ms)
        return self.monitor.await_outcome(self.commits.append([record], DEADLINE_S)[0], DEADLINE_S)

    def confirmed(self) -> list[Confirmation]:
        """Return every confirmation that was sent, oldest first."""
        texts = [decode(payload).value(CONFIRM) for _, payload in list(self.sent)]
        return [Confirmation.parse(text) for text in texts if isinstance(text, str)]

    def rebirths(self) -> int:
        """Return how many rebirth requests were sent."""
        return sum(1 for _, payload in list(self.sent) if decode(payload).value(REBIRTH))

    def standing(self) -> dict[str, Mapping[str, Any]]:
        """Return the alarms that are not at rest, by kind and lane."""
        return {f"{row['kind']} {row['lane']}": row for row in self.state.standing_alarms()}

    def events(self) -> list[str]:
        """Return every stored transition as "KIND event letter"."""
        return [f"{row['kind']} {row['event']} {row['letter']}" for row in self.state.transitions(limit=100_000)]


@contextmanager
def host(folder: Path, **more: Any) -> Iterator[Host]:
    """A running host for the length of a with block."""
    running = Host(folder, **more).start()
    try:
        yield running
    finally:
        running.stop()
