"""What edges say of the alarms they decide themselves: from their words to steps. No reading moves these alarms here.

A word may come twice, late, or behind a newer one. Each names the edge's memory (life), its start (run) and the alarm's
own occurrence; births tell which run is the present one. So no raise is lost, none is told twice, and backlog may raise
but never clears (SAFETY S3 to S6).

| the word | of the present run | of a run before it |
| --- | --- | --- |
| raised, newer than all | a raise; what stood returned, if that was seen | a raise, until the present run says more |
| returned, the newest | a clear | says until when it lasted |
| an older occurrence | late, once | late, once |
| what was heard before | nothing | nothing |
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from davylamp_alarms.columns import ALWAYS
from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import Kind, alarm_id
from davylamp_alarms.edge_heard import Heard, is_missing, with_stretch, without
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.memory import Memory
from davylamp_alarms.planning import row_of
from davylamp_alarms.steps import Step, What

AT_EDGE = "decided at the edge / 边缘判定"
"""What the comment of such a transition begins with; the edge's occurrence and its limit's version follow."""


@dataclass(frozen=True, slots=True)
class EdgeSaid:
    """One word of an edge about one of its alarms, as `davylamp_wire.local_alarm` has it, and how it came.

    `found` says where the alarm stands without that anything has changed; `late` was delivered as backlog.
    """

    seq: int
    tag: int
    kind: Kind
    life: str
    run: int
    no: int
    active: bool
    time_ms: int
    raised_ms: int | None = None
    before_ms: int | None = None
    value: float | None = None
    quality: int = 0
    limit: float | None = None
    version: str = ""
    found: bool = False
    late: bool = False


def take(memory: Memory, said: Sequence[EdgeSaid]) -> list[Step]:
    """Return the steps of words, in the order in which they came."""
    return [step for word in said for step in _take(memory, word)]


def begin(memory: Memory, device: str, life: str, run: int) -> None:
    """Note in which run of its edge a device was born: what other runs say from now on is of the past."""
    memory.edge_runs[device] = life, run


def _take(memory: Memory, word: EdgeSaid) -> list[Step]:
    tag_id = memory.layout.names.values[word.tag]
    name, row = alarm_id(tag_id, word.kind), row_of(memory, word.tag, word.kind)
    run = memory.edge_runs.setdefault(tag_id.rpartition("/")[0], (word.life, word.run))
    heard = memory.heard.get(name)
    if heard is not None and heard.life != word.life:
        heard = None
    decides, present = memory.layout.row_class(row).local, run == (word.life, word.run)
    if not decides or (not present and word.found) or _older(heard, word, run):
        memory.heard[name], steps = _of_the_past(heard, word, memory.heard.get(name))
        return steps
    steps = _present(memory, row, heard, word) if present else _before(memory, row, heard, word)
    memory.heard[name] = _newest(heard, word)
    return steps


def _older(heard: Heard | None, word: EdgeSaid, now: tuple[str, int]) -> bool:
    """Return whether a word is about an occurrence before the newest, or one that was missed."""
    if heard is None:
        return False
    if heard.run != word.run:
        return now == (heard.life, heard.run)  # the run that is now has spoken; else this is the first of a later one
    told_late = not word.found and (is_missing(heard.missing, word.no) or word.no == heard.late_no)
    return word.no < heard.no or told_late


def _newest(heard: Heard | None, word: EdgeSaid) -> Heard:
    """Return what is known after the newest word; what it passes over is missing, and was not heard by itself."""
    before = heard or Heard(word.life, word.run, 0, False)
    unheard = word.no if word.found and not word.active and word.no > before.no else word.no - 1
    numbered_on = () if word.no < before.no else before.missing  # numbers that are given again are not those missed
    missing = with_stretch(numbered_on, before.no + 1, unheard)
    active = word.active and not (word.no == before.no and word.run == before.run and heard and not heard.active)
    return replace(before, run=word.run, no=word.no, active=active, missing=missing)


def _present(memory: Memory, row: int, heard: Heard | None, word: EdgeSaid) -> list[Step]:
    """Bring an alarm to where its edge says it is now."""
    standing = memory.layout.rows.phase[row] == Phase.ACTIVE
    another = word.no > (0 if heard is None else heard.no)
    if word.active:
        if heard is not None and (heard.no, heard.run, heard.active) == (word.no, word.run, False):
            return []  # its return was heard before it
        unseen = word.before_ms is None  # its edge had left the alarm to the cloud, and saw no return (S4)
        if standing and (heard is None or not another or unseen):
            return []
        return [*_returned_before(memory, row, word, standing), _raised(memory, row, word)]
    if standing and (heard is None or not another):
        return [_cleared(memory, row, word, word.time_ms)]
    return [*_returned_before(memory, row, word, standing), *([] if word.found or not another else _whole(word))]


def _before(memory: Memory, row: int, heard: Heard | None, word: EdgeSaid) -> list[Step]:
    """Take the newest word of a run that has ended: it may raise, and says until when something lasted (SAFETY S5)."""
    standing = memory.layout.rows.phase[row] == Phase.ACTIVE
    if word.active:
        known = standing or (heard is not None and heard.no == word.no)
        return [] if known else [_raised(memory, row, replace(word, late=True))]
    if standing:
        return [replace(_step(word, What.WENT_BACK, word.time_ms), late=True, until_ms=word.time_ms)]
    return _whole(word) if heard is None or word.no > heard.no else []


def _of_the_past(heard: Heard | None, word: EdgeSaid, kept: Heard | None) -> tuple[Heard, list[Step]]:
    """Tell an excursion that is over, once; more of it belongs to it."""
    known = heard or kept or Heard(word.life, word.run, 0, False)
    if word.found or not word.no:
        return known, []
    if known.life != word.life:
        return known, _whole(word)
    if heard is None or word.no > heard.no or is_missing(heard.missing, word.no):
        told = replace(known, missing=without(known.missing, word.no), late_no=word.no)
        return told, _whole(word)
    if not word.active and known.late_no == word.no:
        return known, [_late(word, What.LATE_ENDED, word.time_ms)]
    return known, []


def _whole(word: EdgeSaid) -> list[Step]:
    """Return an excursion of which nothing was heard before: its beginning, and its end where that is said."""
    if word.raised_ms is None:
        return []
    if word.active:
        return [_late(word, What.LATE_FOUND, word.raised_ms)]
    return [_late(word, What.LATE_FOUND, word.time_ms), _late(word, What.LATE_ENDED, word.time_ms)]


def _returned_before(memory: Memory, row: int, word: EdgeSaid, standing: bool) -> list[Step]:
    """Return the end of the occurrence before, where it still stands here: its edge has seen it return."""
    if not standing:
        return []
    over = replace(word, value=None, quality=0, no=word.no - 1)
    times_ms = (word.before_ms, word.raised_ms, word.time_ms)
    return [_cleared(memory, row, over, next(time_ms for time_ms in times_ms if time_ms is not None))]


def _raised(memory: Memory, row: int, word: EdgeSaid) -> Step:
    raised_ms = word.time_ms if word.raised_ms is None else word.raised_ms
    _stand(memory, row, Phase.ACTIVE, raised_ms, ALWAYS)
    return _step(word, What.RAISED, raised_ms)


def _cleared(memory: Memory, row: int, word: EdgeSaid, time_ms: int) -> Step:
    _stand(memory, row, Phase.NORMAL, None, time_ms)
    return _step(word, What.CLEARED, time_ms)


def _stand(memory: Memory, row: int, phase: Phase, since_ms: int | None, until_ms: int) -> None:
    """Keep the row as a reading would have left it: another author may go on with it."""
    slot = int(memory.slots.of(memory.layout.rows, np.array([row]))[0])
    memory.layout.rows.phase[row] = phase
    memory.slots.until_ms[slot] = until_ms
    if since_ms is not None:
        memory.slots.since_ms[slot] = since_ms


def _late(word: EdgeSaid, what: What, until_ms: int) -> Step:
    return replace(_step(word, what, word.time_ms), late=True, from_ms=word.raised_ms or 0, until_ms=until_ms)


def _step(word: EdgeSaid, what: What, time_ms: int) -> Step:
    return Step(
        word.seq,
        word.tag,
        KIND_NUMBER[word.kind],
        what,
        time_ms,
        None,
        word.value,
        word.quality,
        word.late,
        comment=f"{AT_EDGE}: {word.life}-{word.no}, {word.version or 'unnamed'}",
        limit=word.limit,
    )
