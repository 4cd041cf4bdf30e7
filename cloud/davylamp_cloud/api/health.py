"""Is the cloud alive, is it ready, and what is behind.

``/healthz`` answers as long as the process does; ``/readyz`` only while the engine keeps up. Both say nothing else, so
they need no token. What is behind, part by part, is ``/api/v1/health``.
"""

from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Response

from davylamp_cloud.api.gate import Reader
from davylamp_cloud.api.parts import REFUSALS, CloudParts, Parts

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


@router.get("/api/v1/health", responses=REFUSALS)
def health(parts: CloudParts, actor: Reader) -> Health:
    """Say how every part fares."""
    cloud, beat = parts.cloud, parts.hub.heartbeat()
    outbox = dict(cloud.outbox.status())
    behind = list(_behind(parts, beat.engine_age_ms, outbox))
    return Health(
        status="behind" if "engine" in behind else "ready",
        behind=behind,
        now_ms=beat.now_ms,
        log_seq=cloud.log.last_seq,
        engine_age_ms=beat.engine_age_ms,
        monitor=dict(cloud.monitor.status()),
        historian=dict(cloud.feed.status()),
        ingest=dict(cloud.ingest.status()),
        outbox=outbox,
    )


def _behind(parts: Parts, engine_age_ms: int, outbox: dict[str, Any]) -> list[str]:
    lag = parts.cloud.monitor.lag()
    late_receivers = [name for name, lane in outbox.get("receivers", {}).items() if not lane.get("accepting", True)]
    found = {
        "engine": engine_age_ms > ENGINE_SILENT_MS,
        "monitor": lag.records > parts.cloud.config.monitor.max_lag_records,
        "historian": parts.cloud.log.last_seq - parts.cloud.historian.cursor() > 100_000,
    }
    return [name for name, is_behind in found.items() if is_behind] + [f"receiver {name}" for name in late_receivers]
