"""What other rules would have changed: spans of one run beside those of another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from davylamp_alarms.backtest.spans import Span


@dataclass(frozen=True, slots=True)
class Comparison:
    """Spans that only one run has, and pairs that both have, each as (before, after)."""

    added: tuple[Span, ...]
    gone: tuple[Span, ...]
    earlier: tuple[tuple[Span, Span], ...]
    later: tuple[tuple[Span, Span], ...]
    same: tuple[tuple[Span, Span], ...]


def compare(before: Sequence[Span], after: Sequence[Span]) -> Comparison:
    """Compare spans by alarm. Two that overlap in time are a pair; each is in one at most, first to first."""
    old, new = _by_alarm(before), _by_alarm(after)
    pairs = [pair for alarm in sorted(old.keys() & new.keys()) for pair in _pairs(old[alarm], new[alarm])]
    paired_old, paired_new = {was for was, _ in pairs}, {now for _, now in pairs}
    return Comparison(
        added=tuple(span for span in after if span not in paired_new),
        gone=tuple(span for span in before if span not in paired_old),
        earlier=tuple(pair for pair in pairs if pair[1].from_ms < pair[0].from_ms),
        later=tuple(pair for pair in pairs if pair[1].from_ms > pair[0].from_ms),
        same=tuple(pair for pair in pairs if pair[1].from_ms == pair[0].from_ms),
    )


def in_alarm_ms(spans: Iterable[Span]) -> dict[str, int]:
    """Return how long each alarm stood in all."""
    total: dict[str, int] = {}
    for span in spans:
        total[span.alarm] = total.get(span.alarm, 0) + span.to_ms - span.from_ms
    return total


def _by_alarm(spans: Iterable[Span]) -> dict[str, list[Span]]:
    ordered = sorted(spans, key=lambda span: (span.alarm, span.from_ms))
    return {alarm: list(run) for alarm, run in groupby(ordered, key=lambda span: span.alarm)}


def _pairs(before: Sequence[Span], after: Sequence[Span]) -> list[tuple[Span, Span]]:
    pairs, old, new = [], 0, 0
    while old < len(before) and new < len(after):
        was, now = before[old], after[new]
        if was.from_ms <= now.to_ms and now.from_ms <= was.to_ms:
            pairs.append((was, now))
            old, new = old + 1, new + 1
        elif was.to_ms < now.from_ms:
            old += 1
        else:
            new += 1
    return pairs
