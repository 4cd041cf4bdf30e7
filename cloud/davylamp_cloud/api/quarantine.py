"""The quarantine: payloads nobody could read, with the reason. The payload itself stays on the server's disk."""

from dataclasses import dataclass

from fastapi import APIRouter

from davylamp_cloud.api.errors import forbidden
from davylamp_cloud.api.gate import QuarantineReader
from davylamp_cloud.api.parts import REFUSALS, CloudParts, Limit
from davylamp_cloud.api.permissions import Permission

router = APIRouter(prefix="/api/v1/quarantine", tags=["quarantine"], responses=REFUSALS)

SHOWN_BYTES = 64


@dataclass(frozen=True, slots=True)
class QuarantineView:
    """A payload that could not be read; `head` is its first bytes in hex."""

    at_ms: int
    node: str
    topic: str
    reason: str
    bytes: int
    head: str


@router.get("")
def list_quarantine(parts: CloudParts, actor: QuarantineReader, limit: Limit = 100) -> list[QuarantineView]:
    """List the newest payloads in quarantine. Nobody knows whose hazard source they are, so all or nothing."""
    if actor.hazard_sources:
        raise forbidden(actor.role, Permission.QUARANTINE)
    return [
        QuarantineView(q.at_ms, q.node, q.topic, q.reason, len(q.payload), q.payload[:SHOWN_BYTES].hex())
        for q in parts.cloud.log.quarantined(limit)
    ]
