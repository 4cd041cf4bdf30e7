"""The parts of a running cloud, as API and console see them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from davylamp_cloud.config import CloudConfig
from davylamp_cloud.group_commit import GroupCommit
from davylamp_cloud.log import Log
from davylamp_cloud.store.state import State

if TYPE_CHECKING:
    from davylamp_cloud.historian import Historian
    from davylamp_cloud.monitor import Monitor


class HasStatus(Protocol):
    """A part that can say how it fares, in plain values that fit into JSON."""

    def status(self) -> Mapping[str, Any]: ...


def utc_ms() -> int:
    """Return the time in milliseconds UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Cloud:
    """Everything `create_app` needs. `commits` is the only way into the log."""

    config: CloudConfig
    log: Log
    commits: GroupCommit
    state: State
    monitor: "Monitor"
    historian: "Historian"
    ingest: HasStatus
    outbox: HasStatus
    feed: HasStatus
    now_ms: Callable[[], int] = utc_ms
    engine_age_ms: Callable[[], int | None] = lambda: None
    """How long ago the engine moved, by a clock nobody sets (engine_age.py); None before its first tick."""
