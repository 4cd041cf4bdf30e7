"""When each alarm stood, from its transitions alone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from davylamp_alarms.transition import Condition, Lane, Transition


@dataclass(frozen=True, slots=True)
class Span:
    """An alarm stood from `from_ms` (source time) until `to_ms`; `ended` is False where the records end before it."""

    alarm: str
    from_ms: int
    to_ms: int
    ended: bool = True


def spans(
    transitions: Iterable[Transition], end_ms: int, begin_ms: int = 0, standing_then: Iterable[str] = ()
) -> tuple[Span, ...]:
    """Return every span of the live lane, by (alarm, beginning). What stands at the end stands until `end_ms`.

    An alarm that nobody acknowledged comes again within its occurrence: each time is a span of its own.

    Args:
        standing_then: The alarms that stood before the first transition; they count from `begin_ms`.
    """
    standing = {alarm: Span(alarm, begin_ms, end_ms, ended=False) for alarm in standing_then}
    found: list[Span] = []
    for said in transitions:
        if said.lane is not Lane.LIVE:
            continue
        if said.condition is Condition.ACTIVE:
            standing.setdefault(said.alarm_id, Span(said.alarm_id, said.time_ms, end_ms, ended=False))
        elif said.alarm_id in standing:
            found.append(replace(standing.pop(said.alarm_id), to_ms=said.time_ms, ended=True))
    return tuple(sorted([*found, *standing.values()], key=lambda span: (span.alarm, span.from_ms)))
