"""The register on disk: tags, versions of settings, proposals; written by slice, read back as of a record."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from sys import intern
from typing import Any

from davylamp_wire.point import COMM_OK, Text
from sqlalchemy import ColumnElement, Connection, String, bindparam, case, func, or_, select, type_coerce, update

from davylamp_cloud.register import Register
from davylamp_cloud.registered import Proposal, Tag
from davylamp_cloud.settings import Settings
from davylamp_cloud.store import schema
from davylamp_cloud.store.rows import insert, put
from davylamp_cloud.store.settings import all_settings, keep_settings, key_of
from davylamp_cloud.store.state import State
from davylamp_cloud.stored_tags import Group, Stored, Tags
from davylamp_cloud.work import Decision, Work

Row = dict[str, Any]
Index = Callable[[str], int | None]

PAGE = 5000
"""Rows fetched at once."""

READ = (
    "idx", "tag_id", "node", "device", "point", "zh", "en", "device_zh", "device_en", "plant_tag", "datatype",
    "profile", "profile_version", "confirmed", "birth", "born_seq",
)  # fmt: skip
"""Columns a tag is made of again, in the order `_tag_of` takes them."""


def write_register(connection: Connection, work: Work, text_of: Callable[[Settings], str]) -> None:
    """Store what births brought and persons decided; `text_of` writes settings as JSON."""
    _write_new(connection, work, text_of)
    for _, found in work.introduced:
        if found.described:
            _describe(connection, found.described)
        if found.other_units:
            rows = [{"birth": birth, "tag": tag} for birth, tag in found.other_units]
            put(connection, schema.OTHER_UNITS, rows)
        for proposal in found.proposals:
            _supersede(connection, proposal)
            connection.execute(schema.PROPOSALS.insert(), _proposal_row(proposal))
    for decision in work.decisions:
        _decide(connection, decision, text_of)


def _write_new(connection: Connection, work: Work, text_of: Callable[[Settings], str]) -> None:
    """Store new tags with their first settings."""
    new = [(tag, seq, found.at_ms) for seq, found in work.introduced for tag in found.new]
    if not new:
        return
    keep_settings(connection, (text_of(tag.settings) for tag, _, _ in new))
    insert(connection, schema.TAGS, [tag_row(tag) for tag, _, _ in new])
    insert(connection, schema.LIMITS, [_limits_row(tag, seq, at_ms, text_of) for tag, seq, at_ms in new])


def load_register(state: State, seq: int, index: Index | None = None, guarding: bytes = b"") -> Register:
    """Return the register as it was after the record `seq` of the log; its tags are read when they are wanted.

    `index` finds a tag's index by its id; without it, the register's own ids are read. `guarding` is what a snapshot
    of that moment has of what is guarded; without it, that is counted.
    """
    with state.reading() as connection:
        settings = all_settings(connection)
        groups = [] if guarding else _groups_as_of(connection, seq, settings)
        count = _count_as_of(connection, seq)
        tags = Tags(count, lambda first, last: _load(state, seq, settings, first, last))
        stored = Stored(tags, index or _ids(connection).get, [*settings.values()], groups, guarding)
        proposals, rejected = _proposals_as_of(connection, seq), _rejected_as_of(connection, seq)
        return Register(stored, proposals, rejected, _other_units(connection))


def _other_units(connection: Connection) -> list[tuple[int, int]]:
    """Return births and the tags they have in another unit; true at any record, as neither ever changes."""
    table = schema.OTHER_UNITS
    return [(birth, tag) for birth, tag in connection.execute(select(table.c.birth, table.c.tag))]


def described_by(connection: Connection) -> dict[str, int]:
    """Return the birth each node and device was described by last, where all its tags were by the same.

    Where a point has come and gone, nobody knows which birth was the last one: the next says everything anew.
    """
    table = schema.TAGS
    grouped = select(table.c.node, table.c.device, func.max(table.c.birth)).group_by(table.c.node, table.c.device)
    query = grouped.having(func.min(table.c.birth) == func.max(table.c.birth))
    return {f"{node}/{device}": birth for node, device, birth in connection.execute(query)}


def _load(state: State, seq: int, settings: Mapping[str, Settings], first: int, last: int) -> list[Tag]:
    """Return some tags as they were after a record."""
    table = schema.TAGS
    columns = [table.c[name] for name in READ]
    here = (table.c.idx >= first, table.c.idx < last, table.c.born_seq <= seq)
    query = select(*columns, type_coerce(table.c.states, String)).where(*here).order_by(table.c.idx)
    with state.reading() as connection:
        live = _settings_as_of(connection, seq, settings, first, last)
        return [_tag_of(row, live[row[0]]) for row in connection.execute(query)]


def _count_as_of(connection: Connection, seq: int) -> int:
    """Return how many tags there were: indices are dense and ascend with the log."""
    table = schema.TAGS
    newest = select(table.c.idx).where(table.c.born_seq <= seq).order_by(table.c.idx.desc()).limit(1)
    found = connection.execute(newest).scalar()
    return 0 if found is None else int(found) + 1


def _groups_as_of(connection: Connection, seq: int, settings: Mapping[str, Settings]) -> list[Group]:
    """Return how many tags of each device share settings."""
    tags, limits = schema.TAGS, schema.LIMITS
    comm = func.max(case((tags.c.point == COMM_OK, tags.c.idx)))
    query = select(tags.c.node, tags.c.device, limits.c.settings, func.count(), comm)
    query = query.select_from(limits.join(tags, tags.c.idx == limits.c.tag)).where(*_in_force(seq))
    rows = connection.execute(query.group_by(tags.c.node, tags.c.device, limits.c.settings))
    return [Group(node, device, settings[key], count, place) for node, device, key, count, place in rows]


def _ids(connection: Connection) -> dict[str, int]:
    rows = connection.execute(select(schema.TAGS.c.tag_id, schema.TAGS.c.idx))
    return {tag_id: idx for page in rows.partitions(PAGE) for tag_id, idx in page}


def tag_row(tag: Tag) -> Row:
    """Return a tag as a row."""
    low, high = tag.settings.range or (None, None)
    return {
        "idx": tag.idx,
        "tag_id": tag.tag_id,
        "node": tag.node,
        "device": tag.device,
        "point": tag.point,
        "hazard_source": tag.settings.hazard_source,
        "plant_tag": tag.plant_tag,
        "zh": tag.text.zh,
        "en": tag.text.en,
        "unit": tag.settings.unit,
        "kind": tag.settings.kind,
        "datatype": tag.datatype,
        "range_low": low,
        "range_high": high,
        "silence_s": tag.settings.silence_s,
        "profile": tag.profile,
        "profile_version": tag.profile_version,
        "device_zh": tag.device_text.zh,
        "device_en": tag.device_text.en,
        "confirmed": tag.own,
        "states": _states_text(tag.states),
        "birth": tag.birth,
        "born_seq": tag.born_seq,
        "limits_version": tag.version,
        "accepted_by": tag.accepted_by,
    }


def _limits_row(tag: Tag, seq: int, at_ms: int, text_of: Callable[[Settings], str]) -> Row:
    return {
        "tag": tag.idx,
        "version": tag.version,
        "from_seq": seq,
        "to_seq": None,
        "settings": key_of(text_of(tag.settings)),
        "accepted_by": tag.accepted_by,
        "accepted_ms": at_ms,
    }


def _proposal_row(proposal: Proposal) -> Row:
    return {
        "id": proposal.id,
        "tag": proposal.tag,
        "seq": proposal.seq,
        "settings": proposal.settings.json_form(),
        "differences": [list(difference) for difference in proposal.differences],
        "state": "open",
        "proposed_ms": proposal.at_ms,
    }


def _describe(connection: Connection, tags: Iterable[Tag]) -> None:
    names = [column.name for column in schema.TAGS.c if column.name not in ("idx", "tag_id")]
    change = update(schema.TAGS).where(schema.TAGS.c.idx == bindparam("at"))
    rows = [{"at": row.pop("idx"), **row} for row in map(tag_row, tags)]
    connection.execute(change.values({name: bindparam(name) for name in names}), rows)


def _supersede(connection: Connection, proposal: Proposal) -> None:
    table = schema.PROPOSALS
    older = (table.c.tag == proposal.tag, table.c.state == "open")
    connection.execute(update(table).where(*older).values(state="superseded", decided_seq=proposal.seq))


def _decide(connection: Connection, decision: Decision, text_of: Callable[[Settings], str]) -> None:
    state = "accepted" if decision.accepted else "rejected"
    made = {"state": state, "decided_by": decision.by, "decided_ms": decision.at_ms, "decided_seq": decision.seq}
    if decision.proposal is not None:
        table = schema.PROPOSALS
        connection.execute(update(table).where(table.c.id == decision.proposal).values(**made))
    if decision.accepted:
        limits = schema.LIMITS
        live = (limits.c.tag == decision.after.idx, limits.c.to_seq.is_(None))
        connection.execute(update(limits).where(*live).values(to_seq=decision.seq))
        keep_settings(connection, [text_of(decision.after.settings)])
        connection.execute(limits.insert(), _limits_row(decision.after, decision.seq, decision.at_ms, text_of))
        _describe(connection, [decision.after])


def _in_force(seq: int) -> tuple[ColumnElement[bool], ...]:
    """Return what a version of settings fulfils that was in force after a record."""
    limits = schema.LIMITS
    return limits.c.from_seq <= seq, or_(limits.c.to_seq.is_(None), limits.c.to_seq > seq)


def _settings_as_of(
    connection: Connection, seq: int, settings: Mapping[str, Settings], first: int, last: int
) -> dict[int, tuple[Settings, int, str]]:
    """Return some tags' settings, version and who accepted; equal settings are one object."""
    table = schema.LIMITS
    columns = (table.c.tag, table.c.settings, table.c.version, table.c.accepted_by)
    query = select(*columns).where(table.c.tag >= first, table.c.tag < last, *_in_force(seq))
    return {tag: (settings[key], version, intern(by)) for tag, key, version, by in connection.execute(query)}


def _proposals_as_of(connection: Connection, seq: int) -> Iterator[Proposal]:
    table = schema.PROPOSALS
    opened = (table.c.seq <= seq, or_(table.c.decided_seq.is_(None), table.c.decided_seq > seq))
    for row in connection.execute(select(table).where(*opened)).mappings():
        settings = Settings.model_validate(row["settings"])
        what = [tuple(difference) for difference in row["differences"]]
        yield Proposal(row["id"], row["tag"], row["seq"], settings, what, row["proposed_ms"])


def _rejected_as_of(connection: Connection, seq: int) -> Iterator[tuple[int, Settings]]:
    table = schema.PROPOSALS
    query = select(table).where(table.c.state == "rejected", table.c.decided_seq <= seq)
    for row in connection.execute(query).mappings():
        yield row["tag"], Settings.model_validate(row["settings"])


def _tag_of(row: Any, settings: tuple[Settings, int, str]) -> Tag:
    """Return a row of READ and states as a tag; a restart does this for every tag there is."""
    idx, tag_id, node, device, point, zh, en, device_zh, device_en, plant, datatype, profile, version, own, *rest = row
    birth, born_seq, states = rest
    live, limits_version, accepted_by = settings
    return Tag(
        idx,
        tag_id,
        intern(node),
        intern(device),
        intern(point),
        _text(zh, en),
        _text(device_zh, device_en),
        live,
        intern(plant),
        intern(datatype),
        intern(profile),
        version,
        _states(states),
        own,
        birth,
        born_seq,
        limits_version,
        accepted_by,
    )


@lru_cache(maxsize=1 << 16)
def _text(zh: str, en: str) -> Text:
    return Text(zh=zh, en=en)


@lru_cache(maxsize=1 << 12)
def _states_text(states: tuple[tuple[str, Text], ...]) -> str:
    return json.dumps({name: {"zh": text.zh, "en": text.en} for name, text in states}, ensure_ascii=False)


@lru_cache(maxsize=1 << 12)
def _states(text: str) -> tuple[tuple[str, Text], ...]:
    return tuple((name, Text(**words)) for name, words in json.loads(text).items())
