"""Why a tag alarmed, or did not, at one moment: the engine asked as it was then (DESIGN, "ask the function").

The newest snapshot before the moment is replayed from the log up to it. Only reading connections are used, so that
nothing is disturbed while the cloud runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from davylamp_alarms.explain import Explained
from sqlalchemy import Select, select

from davylamp_cloud.live import Live
from davylamp_cloud.log import Log
from davylamp_cloud.registered import Tag
from davylamp_cloud.replay import moment
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import Row, State

BEFORE, AFTER = 10, 3
"""Transitions told around the moment: enough to see how it came to it, and what came of it."""


@dataclass(frozen=True, slots=True)
class Told:
    """A transition near the moment, with what came of its notices."""

    step: Row
    deliveries: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """The answer: every alarm around a tag as it was at `at_ms` (after the record `seq` of the log).

    `tag` is the tag as it was then, with its settings and their version.
    """

    tag: Tag
    at_ms: int
    seq: int
    alarms: tuple[Explained, ...]
    transitions: tuple[Told, ...]


def why(log: Log, state: State, tag_id: str, at_ms: int | None) -> Why:
    """Return why a tag's alarms stood or did not at a moment (host time); the newest there is where none is named.

    Raises:
        LookupError: There was no such tag at that moment.
        TooOld: Neither snapshot nor log reaches back that far.
    """
    seq = min(state.cursor(), log.last_seq)
    if at_ms is not None:
        seq = min(seq, log.seq_at(at_ms))
    then = moment(log, state, Live(), seq)
    tag = then.register.find(tag_id)
    if tag is None:
        raise LookupError(tag_id)
    newest = log.read(seq - 1, 1)
    now_ms = at_ms if at_ms is not None else newest[0].time_ms if newest else 0
    alarms = then.engine.explain(tag_id, now_ms)
    return Why(tag, now_ms, seq, alarms, _around(state, [told.of.alarm for told in alarms], seq))


def _around(state: State, alarms: Sequence[str], seq: int) -> tuple[Told, ...]:
    """Return the transitions of some alarms around a record, oldest first, with their deliveries."""
    table = schema.TRANSITIONS
    mine: Select[Any] = select(table).where(table.c.alarm_id.in_(list(alarms)))
    newest_first = (table.c.seq.desc(), table.c.source_no.desc())
    before = state.rows(mine.where(table.c.seq <= seq).order_by(*newest_first).limit(BEFORE))
    after = state.rows(mine.where(table.c.seq > seq).order_by(table.c.seq, table.c.source_no).limit(AFTER))
    steps = [*reversed(before), *after]
    deliveries = _deliveries(state, [step["id"] for step in steps])
    return tuple(Told(step, tuple(deliveries.get(step["id"], ()))) for step in steps)


def _deliveries(state: State, names: Sequence[str]) -> Mapping[str, list[Row]]:
    table = schema.DELIVERIES
    found: dict[str, list[Row]] = {}
    for row in state.rows(select(table).where(table.c.transition.in_(list(names))).order_by(table.c.seq)):
        found.setdefault(row["transition"], []).append(row)
    return found
