"""From a point's limits to its alarms, the same way for whoever decides them: the cloud, or an edge. No id, no tag."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from davylamp_alarms.definition import (
    NO_TAG,
    WARNING_KINDS,
    AlarmDef,
    Kind,
    PointKind,
    Priority,
    default_priority,
    said_rule,
)

WARNING_BY_NAME = {kind.lower(): kind for kind in WARNING_KINDS}
"""The kind of warning that each statistical rule raises."""


class LimitLike(Protocol):
    """A limit as a profile writes it."""

    @property
    def value(self) -> float: ...
    @property
    def deadband(self) -> float: ...
    @property
    def on_delay_s(self) -> float: ...
    @property
    def off_delay_s(self) -> float: ...
    @property
    def latch(self) -> bool: ...
    @property
    def priority(self) -> str | None: ...


class WarningLike(Protocol):
    """A statistical rule as a profile writes it."""

    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def inputs(self) -> Sequence[str]: ...
    @property
    def towards(self) -> Sequence[str]: ...
    @property
    def on_delay_s(self) -> float: ...
    @property
    def off_delay_s(self) -> float: ...
    @property
    def priority(self) -> str | None: ...


def warnings_of(warnings: Iterable[tuple[str, WarningLike]], source: str) -> Iterator[AlarmDef]:
    """Yield what warns of a point by statistical rules; a rule that is not known here is passed over."""
    for name, warning in warnings:
        kind = WARNING_BY_NAME.get(name)
        if kind is None:
            continue
        yield AlarmDef(
            id="",
            tag=NO_TAG,
            kind=kind,
            priority=Priority.of(warning.priority) if warning.priority else default_priority(kind),
            hazard_source=source,
            on_delay_ms=round(warning.on_delay_s * 1000),
            off_delay_ms=round(warning.off_delay_s * 1000),
            rule=said_rule(warning.settings, warning.inputs, warning.towards),
        )


def guards_of(
    limits: Iterable[tuple[str, LimitLike]],
    point: str,
    span: tuple[float, float] | None,
    source: str,
    *,
    local: bool = False,
) -> Iterator[AlarmDef]:
    """Yield what guards a point of this kind: its limits, and for a detector that it leaves its range.

    Over-range latches, because the value may fall back to zero (SAFETY S9, S11).
    """
    of = PointKind(point)
    for name, limit in limits:
        kind = Kind(name)
        yield AlarmDef(
            id="",
            tag=NO_TAG,
            kind=kind,
            priority=Priority.of(limit.priority) if limit.priority else default_priority(kind, of),
            hazard_source=source,
            limit=limit.value,
            deadband=limit.deadband,
            on_delay_ms=round(limit.on_delay_s * 1000),
            off_delay_ms=round(limit.off_delay_s * 1000),
            latch=limit.latch,
            local=local,
        )
    if of in (PointKind.GAS, PointKind.FIRE) and span is not None:
        kind = Kind.OVER_RANGE
        priority = default_priority(kind, of)
        yield AlarmDef("", NO_TAG, kind, priority, source, limit=span[1], latch=True, local=local)
