"""What edges say of the alarms they decide, from the log to the engine's words (decision 0024). Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from davylamp_alarms.definition import LOCAL_KINDS, Kind, alarm_id
from davylamp_alarms.told import EdgeSaid
from davylamp_wire.local_alarm import EdgeWord, LocalAlarm, decode_word

FURTHEST_MS = 1 << 53
"""A time beyond it is no time: what counts back from it would not fit a column."""


class Text(NamedTuple):
    """A text as it came: in which record of the log, with which time of its own, of which device, as backlog or not."""

    seq: int
    stamp_ms: int
    device: str
    said: str
    late: bool = False


def stamp_of(said_ms: int, arrived_ms: int) -> int:
    """Return the time of a text; an absurd one is no reason for silence, it counts from its arrival (SAFETY S2)."""
    return said_ms if abs(said_ms) < FURTHEST_MS else arrived_ms


def read(text: Text) -> EdgeWord:
    """Return what a text says. Raises ValueError where nobody can read it."""
    return decode_word(text.said, text.stamp_ms)


def words_of(text: Text, word: EdgeWord, place: Callable[[str, Kind], int | None]) -> Iterator[EdgeSaid]:
    """Yield the engine's words; `place` gives the tag whose alarm of a kind is known.

    Raises ValueError naming the alarms that nobody knows here, behind all others.
    """
    unknown = []
    for alarm in word.alarms:
        kind = Kind(alarm.kind) if alarm.kind in Kind.__members__ else None
        tag_id = f"{text.device}/{alarm.point}"
        tag = place(tag_id, kind) if kind in LOCAL_KINDS else None
        if tag is None or kind is None:
            unknown.append(alarm_id(tag_id, kind) if kind else f"{tag_id}#{alarm.kind}")
        else:
            yield _said(text, word, alarm, tag, kind)
    if unknown:
        raise ValueError(f"its edge speaks of alarms that are not known here: {', '.join(unknown)}")


def _said(text: Text, word: EdgeWord, alarm: LocalAlarm, tag: int, kind: Kind) -> EdgeSaid:
    return EdgeSaid(
        seq=text.seq,
        tag=tag,
        kind=kind,
        life=word.life,
        run=word.run,
        no=alarm.no,
        active=alarm.active,
        time_ms=alarm.time_ms,
        raised_ms=alarm.raised_ms,
        before_ms=alarm.before_ms,
        value=alarm.value,
        quality=alarm.quality,
        limit=alarm.limit,
        version=alarm.version,
        found=alarm.found,
        late=text.late,
    )


def gathered(
    texts: Iterable[Text],
    place: Callable[[str, Kind], int | None],
    unreadable: Callable[[int, str], None],
) -> list[EdgeSaid]:
    """Return the words of texts, in their order; what cannot be used is told to `unreadable`."""
    found: list[EdgeSaid] = []
    for text in texts:
        try:
            found.extend(words_of(text, read(text), place))
        except ValueError as error:
            unreadable(text.seq, str(error))
    return found
