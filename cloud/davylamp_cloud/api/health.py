"""Is the cloud alive, is it ready, and what is behind.

``/healthz`` answers as long as the process does; ``/readyz`` only while the engine keeps up. Both say nothing else, so
they need no token. What is behind, part by part, is ``/api/v1/health``.
"""

from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Response

from davylamp_cloud.api.gate import Reader
from davylamp_cloud.api.parts import DESCRIBED, CloudParts

router = APIRouter(tags=["health"])

ENGINE_SILENT_MS = 10_000
"""The engine ticks each second; ten silent ones are an alarm everywhere (SAFETY S13)."""


@dataclass(frozen=True, slots=True)
class Alive:
    """The process answers."""

    status: Literal["alive"] = "alive"


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether alarms are raised now."""

    status: Literal["ready", "behind"]


@dataclass(frozen=True, slots=True)
class Health:
    """What is behind, part by part. `behind` names the parts that are; empty when all is well."""

    status: Literal["ready", "behind"]
    behind: list[str]
    now_ms: int
    log_seq: int
    engine_age_ms: int
    monitor: dict[str, Any]
    historian: dict[str, Any]
    ingest: dict[str, Any]
    outbox: dict[str, Any]


@router.get("/healthz")
def alive() -> Alive:
    """Say that the process lives."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Ready}})
def ready(parts: CloudParts, response: Response) -> Ready:
    """Say whether the engine keeps up with the log."""
    silent = parts.hub.heartbeat().engine_age_ms > ENGINE_SILENT_MS
    response.status_code = 503 if silent else 200
    return Ready("behind" if silent else "ready")


@router.get("/api/v1/health", responses=DESCRIBED)
def health(parts: CloudParts, actor: Reader) -> Health:
    """Say how every part fares."""
    cloud, beat = parts.cloud, parts.hub.heartbeat()
    outbox = dict(cloud.outbox.status())
    historian, ingest = dict(cloud.feed.status()), dict(cloud.ingest.status())
    found = {
        "engine": beat.engine_age_ms > ENGINE_SILENT_MS,
        "monitor": beat.lag_records > cloud.config.monitor.max_lag_records,
        "historian": historian.get("down_since_ms") is not None,
        "snapshots": bool(cloud.monitor.status()["snapshot_failure"]),
        "broker": ingest.get("connected") is False,
    }
    behind = [name for name, is_behind in found.items() if is_behind] + _late_receivers(outbox)
    return Health(
        status="behind" if "engine" in behind else "ready",
        behind=behind,
        now_ms=beat.now_ms,
        log_seq=cloud.log.last_seq,
        engine_age_ms=beat.engine_age_ms,
        monitor=dict(cloud.monitor.status()),
        historian=historian,
        ingest=ingest,
        outbox=outbox,
    )


def _late_receivers(outbox: dict[str, Any]) -> list[str]:
    lanes = outbox.get("receivers", {})
    return [f"receiver {name}" for name, lane in lanes.items() if not lane.get("accepting", True)]
