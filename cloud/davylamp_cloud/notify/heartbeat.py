"""The signed sign of life to every receiver, and what is sent instead when the engine is silent (SAFETY S13).

A beat says how far the engine got. An engine that stands still is not covered up by a sender that still runs: the
receiver is told ``system.silent`` at once. Without any beat for 60 s a receiver knows that nothing watches.
"""

from collections.abc import Callable
from dataclasses import dataclass

from davylamp_cloud.notify import Notice
from davylamp_cloud.notify.route import NOTICE, envelope

HEARTBEAT_S = 25.0
"""Two missed beats and one on its way fit into the 60 s in which a receiver must notice (SAFETY S13)."""

SILENT_AFTER_S = 15.0
"""The engine reads a tick each second; this long without one it is silent."""


@dataclass(slots=True)
class Pulse:
    """Whether the engine moves: its position in the log, and since when (monotonic seconds) it is there."""

    position: Callable[[], int]
    _seen: int = -1
    _since_s: float = 0.0

    def silent_s(self, now_s: float) -> float:
        """Return for how long the engine has not moved."""
        position = self.position()
        if position != self._seen:
            self._seen, self._since_s = position, now_s
        return now_s - self._since_s


def beat(receiver: str, now_ms: int, position: int, silent_s: float, pending: int) -> Notice:
    """Return the heartbeat, or ``system.silent`` where the engine stands still."""
    silent = silent_s >= SILENT_AFTER_S
    data = {
        "receiver": receiver,
        "engine_position": position,
        "engine_silent_s": int(silent_s),
        "pending": pending,
        "next_within_s": int(HEARTBEAT_S),
        "text": {
            "zh": "监测引擎停止响应，请人工巡查现场" if silent else "监测系统运行正常",
            "en": "The alarm engine is silent: patrol the site" if silent else "The monitoring system is running",
        },
        "notice": NOTICE,
    }
    body = envelope("system.silent" if silent else "system.heartbeat", now_ms, data)
    return Notice(f"heartbeat-{receiver}-{now_ms}", body.encode(), now_ms)
