"""A backtest's answer for programs: JSON types, with both languages wherever a person is spoken to."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from davylamp_alarms.backtest.outcome import Figures, Outcome
from davylamp_alarms.backtest.spans import Span
from davylamp_alarms.definition import LIMIT_KINDS, AlarmDef

from davylamp_cloud.backtest.answer import Answer, Change, changes, positions

NAMED = ("chattering", "fleeting", "stale")
"""Figures that name alarms."""

Json = dict[str, Any]
Name = Callable[[str], str]


def as_dict(answer: Answer) -> Json:
    """Return the whole answer, nothing left out."""
    changed, name = answer.trial.changed, answer.name
    return {
        "origin": answer.origin,
        "source": answer.source,
        "from_ms": answer.trial.after.from_ms,
        "to_ms": answer.trial.after.to_ms,
        "readings": answer.readings,
        "notes": [{"zh": note.zh, "en": note.en} for note in answer.notes],
        "added": [_span(span, name) for span in changed.added],
        "gone": [_span(span, name) for span in changed.gone],
        "earlier": [_pair(was, now, name) for was, now in changed.earlier],
        "later": [_pair(was, now, name) for was, now in changed.later],
        "same": len(changed.same),
        "alarms": [_change(one, answer) for one in changes(answer)],
        "floods": {"before": _floods(answer.trial.before), "after": _floods(answer.trial.after)},
        "figures": {position: _figures(before, after) for position, before, after in positions(answer)},
    }


def _span(span: Span, name: Name) -> Json:
    return {"name": name(span.alarm), **asdict(span)}


def _pair(was: Span, now: Span, name: Name) -> Json:
    return {**_span(now, name), "before_from_ms": was.from_ms, "before_to_ms": was.to_ms}


def _change(one: Change, answer: Answer) -> Json:
    return {
        "alarm": one.alarm,
        "name": answer.name(one.alarm),
        "before": _side(answer.before, one, 0),
        "after": _side(answer.after, one, 1),
    }


def _side(rules: Mapping[str, AlarmDef], one: Change, side: int) -> Json:
    found = rules.get(one.alarm)
    return {
        "times": one.times[side],
        "stood_ms": one.stood_ms[side],
        "limit": found.limit if found is not None and found.kind in LIMIT_KINDS else None,
        "priority": None if found is None else found.priority.word,
    }


def _floods(outcome: Outcome) -> list[Json]:
    return [flood.row() for flood in outcome.floods]


def _figures(before: Figures | None, after: Figures | None) -> Json:
    return {"before": before and _kpis(before), "after": after and _kpis(after)}


def _kpis(of: Figures) -> Json:
    """Return the figures, alarms by their ids."""
    named = {name: [of.names[number] for number in getattr(of.kpis, name)] for name in NAMED}
    top = [{"alarm": of.names[number], "count": count} for number, count in of.kpis.top]
    return {**asdict(of.kpis), **named, "top": top}
