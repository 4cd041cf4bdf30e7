"""Which receivers are told of a transition, and in which words. Pure.

An automatic notice never borrows a government colour: its level belongs to the monitoring scheme, and it says that it
is no accident report (SAFETY S21).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from davylamp_cloud.config import ReceiverConfig

SCHEME = "monitoring"
NOTICE = "监测报警，非事故报告 / monitoring alarm, not an accident report"


def receivers_of(priority: str, hazard_source: str, receivers: Iterable[ReceiverConfig]) -> list[ReceiverConfig]:
    """Return who is told: those who want this level of this hazard source (an empty list means all sources)."""
    return [
        receiver
        for receiver in receivers
        if priority in receiver.priorities and (not receiver.hazard_sources or hazard_source in receiver.hazard_sources)
    ]


def outbox_rows(data: Mapping[str, Any], receivers: Iterable[ReceiverConfig], created_ms: int) -> list[dict[str, Any]]:
    """Return the outbox rows of one transition, for the transaction that stores it.

    `data` is the transition as stored: at least id, occurrence, version, hazard_source, priority, event, time_ms, late.
    """
    told = receivers_of(data["priority"], data["hazard_source"], receivers)
    if not told:
        return []
    body = body_of(data)
    return [
        {
            "transition": data["id"],
            "receiver": receiver.name,
            "priority": data["priority"],
            "occurrence": data["occurrence"],
            "version": data["version"],
            "body": body,
            "late": data["late"],
            "state": "pending",
            "attempts": 0,
            "next_attempt_ms": 0,
            "last_error": "",
            "created_ms": created_ms,
        }
        for receiver in told
    ]


def body_of(data: Mapping[str, Any]) -> str:
    """Return a transition as the JSON a receiver gets (Standard Webhooks 1.0.0: type, timestamp, data)."""
    return envelope(
        f"alarm.{data['event']}",
        data["time_ms"],
        {**data, "scheme": SCHEME, "level": data["priority"], "notice": NOTICE},
    )


def envelope(kind: str, time_ms: int, data: Mapping[str, Any]) -> str:
    """Return a webhook body; a number JSON cannot carry (NaN, infinity) becomes null."""
    content = {"type": kind, "timestamp": iso(time_ms), "data": data}
    try:
        return _text(content)
    except ValueError:  # rare, and looking through every notice for it took half of a storm's time
        return _text(_plain(content))


def _text(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def iso(time_ms: int) -> str:
    """Return UTC milliseconds as ISO 8601; a time no calendar has is shown as its number."""
    second = _second(time_ms // 1000)
    return f"{second}.{time_ms % 1000:03d}Z" if second else str(time_ms)


@lru_cache(maxsize=1 << 10)
def _second(time_s: int) -> str:
    try:
        moment = datetime.fromtimestamp(time_s, UTC)
    except (OverflowError, ValueError, OSError):
        return ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    return value
