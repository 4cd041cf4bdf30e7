"""The register as it was at a time long ago, and what persons and births changed after it: from state.db alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter

from davylamp_alarms.definition import TagDef
from sqlalchemy import func, select

from davylamp_cloud.register import Register
from davylamp_cloud.registered import Tag
from davylamp_cloud.settings import Settings, tag_def
from davylamp_cloud.store import schema
from davylamp_cloud.store.register import load_register
from davylamp_cloud.store.settings import all_settings
from davylamp_cloud.store.state import Row, State


@dataclass(frozen=True, slots=True)
class Edit:
    """Tags that were born at a time, and tags that got other settings then."""

    at_ms: int
    born: list[Tag] = field(default_factory=list)
    changed: list[Tag] = field(default_factory=list)


def register_at(state: State, at_ms: int) -> Register:
    """Return the register as it was at a time. What edges decided then is decided here: nobody kept what they said."""
    register = load_register(state, _seq_at(state, at_ms))
    for tag in register.tags:
        if tag.settings.local:
            register.put(replace(tag, settings=decided_here(tag.settings)))
    return register


def tags_by(state: State, at_ms: int) -> tuple[TagDef, ...]:
    """Return the tags that were born by a time, by index."""
    tags = load_register(state, _seq_at(state, at_ms)).tags
    return tuple(tag_def(tag.tag_id, tag.node, tag.settings) for tag in tags)


def edits_between(state: State, from_ms: int, to_ms: int) -> list[Edit]:
    """Return what changed after one time up to another, oldest first."""
    start, end = _seq_at(state, from_ms), _seq_at(state, to_ms)
    if end <= start:
        return []
    with state.reading() as connection:
        known = all_settings(connection)
    tags = load_register(state, end).tags
    limits = schema.LIMITS.c
    rows = state.rows(
        select(limits.tag, limits.version, limits.settings, limits.accepted_ms)
        .where(limits.from_seq > start, limits.from_seq <= end)
        .order_by(limits.from_seq, limits.tag)
    )
    return list(_edits(rows, lambda row: replace(tags[row["tag"]], settings=decided_here(known[row["settings"]]))))


def decided_here(settings: Settings) -> Settings:
    """Return settings of which this engine decides everything."""
    return settings.model_copy(update={"local": False}) if settings.local else settings


def _edits(rows: list[Row], tag_of: Callable[[Row], Tag]) -> Iterator[Edit]:
    for at_ms, together in groupby(rows, key=itemgetter("accepted_ms")):
        edit = Edit(int(at_ms))
        for row in together:
            (edit.born if row["version"] == 1 else edit.changed).append(tag_of(row))
        yield edit


def _seq_at(state: State, at_ms: int) -> int:
    """Return the record of the log by which settings were in force at a time; 0 where there were none."""
    limits = schema.LIMITS.c
    found = state.rows(select(func.max(limits.from_seq).label("seq")).where(limits.accepted_ms <= at_ms))
    return int(found[0]["seq"] or 0)
