"""How an alarm is handled: its likely cause, what follows if nobody acts, the first thing to do, and how soon (S24).

A profile says it for its own limits. What has no limit, and limits whose birth brought no words, get Davylamp's. Pure.
"""

from dataclasses import replace

from davylamp_alarms.definition import LIMIT_KINDS, WARNING_KINDS, Kind, PointKind
from davylamp_wire.point import EarlyWarning, Limit

from davylamp_cloud.handling.kinds import KINDS
from davylamp_cloud.handling.limits import LIMITS
from davylamp_cloud.handling.system import SYSTEM, SYSTEM_DEFAULT
from davylamp_cloud.handling.words import Handling, Origin

__all__ = ["Handling", "Origin", "general", "handling_of"]


def general(kind: Kind, point: PointKind = PointKind.PROCESS, name: str = "") -> Handling:
    """Return Davylamp's own words for a kind of alarm; `name` is which one of the monitoring system's own it is."""
    if kind in LIMIT_KINDS:
        return LIMITS[point][kind]
    if kind is Kind.SYSTEM:
        own = "statistical-rule" if name.startswith("statistical-rule-") else name
        return SYSTEM.get(own, SYSTEM_DEFAULT)
    return KINDS[kind]


def handling_of(kind: Kind, point: PointKind, limit: Limit | EarlyWarning | None, name: str = "") -> Handling:
    """Return how an alarm is handled; whatever its limit does not say, general words say for it.

    A limit without a first action of its own is marked as one nobody has thought through (SAFETY S30).
    """
    ours = general(kind, point, name)
    if limit is None:
        return replace(ours, origin=Origin.MISSING) if kind in LIMIT_KINDS | WARNING_KINDS else ours
    return Handling(
        cause=limit.cause or ours.cause,
        consequence=limit.consequence or ours.consequence,
        action=limit.action or ours.action,
        respond_s=limit.respond_s or ours.respond_s,
        origin=Origin.PROFILE if limit.action else Origin.MISSING,
    )
