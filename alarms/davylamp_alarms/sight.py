"""Where the rows of a warner lie: its tags' alarms, their inputs, and what their definitions say."""

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.batch import Indices, Ints
from davylamp_alarms.conditions import NORMAL
from davylamp_alarms.definition import Kind
from davylamp_alarms.layout import KIND_NUMBER
from davylamp_alarms.memory import Memory
from davylamp_alarms.wanted import Wanted, wanted_of
from davylamp_alarms.warner import Seen, Warner
from davylamp_alarms.warning.rule import together


def look_where(memory: Memory, warner: Warner) -> Seen:
    """Return where a warner's rows lie, worked out anew after the register has changed."""
    if warner.seen.version != memory.register_version:
        warner.seen = _look(memory, warner)
    return warner.seen


def _look(memory: Memory, warner: Warner) -> Seen:
    """Work out where a warner's rows lie."""
    tags = warner.members.tag[: len(warner)]
    return Seen(
        memory.register_version,
        together(memory.early.watched.fed.find(tags)) if warner.own is None else slice(0, len(tags)),
        memory.layout.rows.phase[rows_of(memory, warner, tags)] != NORMAL,
        None if warner.own is None else _inputs(memory, warner),
    )


def rows_of(memory: Memory, warner: Warner, tags: Indices) -> Ints:
    """Return a warner's alarms of some of its tags."""
    layout = memory.layout
    rows, _ = layout.rows_of(tags)
    mine: Ints = rows[layout.kind_of[layout.rows.shared[rows]] == KIND_NUMBER[warner.kind]]
    return mine


def _inputs(memory: Memory, warner: Warner) -> NDArray[np.intp]:
    names = memory.layout.names
    found = np.full((len(warner.inputs), len(warner)), -1, np.intp)
    for row, tag_of_row in enumerate(warner.members.tag[: len(warner)].tolist()):
        prefix = device_of(names.values[tag_of_row])
        for at, name in enumerate(warner.inputs):
            tag = names.find(full_name(name, prefix))
            found[at, row] = -1 if tag is None else tag
    return found


def wanted(memory: Memory, tag: int, kind: Kind) -> Wanted:
    row = memory.layout.row(tag, kind)
    assert row is not None
    return wanted_of(memory.layout.row_class(row).rule)


def ahead_of(memory: Memory, warner: Warner, tags: Indices) -> Ints:
    """Return by how much the clock of a warner is ahead of each tag's own."""
    fed = memory.early.watched.fed if warner.own is None else warner.own
    return fed.ahead_ms[fed.find(tags)]


def device_of(tag_id: str) -> str:
    """Return the part of a tag's id that names its device."""
    return tag_id.rpartition("/")[0]


def full_name(name: str, device: str) -> str:
    """Return the id of an input: a name without a slash is a point of the same device."""
    return name if "/" in name else f"{device}/{name}"
