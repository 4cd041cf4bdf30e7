"""The engine's whole state as arrays and bytes, and back, bit for bit. No pickle: a snapshot is data."""

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple
from typing import Any

from numpy.typing import NDArray

from davylamp_alarms.book import Act, Book, OpenMask, Out, Record, Review, Shelf
from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import AlarmDef, GroupDef, Kind, MaskDef, Member, Priority
from davylamp_alarms.edge_heard import Heard
from davylamp_alarms.fields import fields_of
from davylamp_alarms.groups import Count, Group
from davylamp_alarms.lifecycle import State
from davylamp_alarms.lone import Lone
from davylamp_alarms.memory import Memory
from davylamp_alarms.transition import Condition, Lane, Suppression

VERSION = 14
"""Of the form of all that is in a snapshot; one of another version is not read but replayed from the log.

It rises with every change of form: tests/cloud/recorded/snapshot-form.json holds the form of this version.
"""


class UnknownSnapshot(Exception):
    """A snapshot of another version: replay the log from an older one or from its start."""


Snapshot = Mapping[str, NDArray[Any] | bytes]


def save(memory: Memory) -> dict[str, NDArray[Any] | bytes]:
    """Return everything the memory holds; equal memories give equal bytes."""
    memory.slots.arrange(memory.layout.rows)
    clock = memory.clock
    head = {
        "version": VERSION,
        "seq": memory.seq,
        "register_version": memory.register_version,
        "shifts_ms": memory.shifts_ms,
        "masks": [asdict(mask) for mask in memory.masks.values()],
        "one_person": sorted(memory.one_person),
        "heard": {name: astuple(heard) for name, heard in memory.heard.items()},
        "edge_runs": memory.edge_runs,
        "clock": [clock.now_ms, clock.monotonic_ms, clock.boot_id, clock.sweep_ms, clock.jump_ms],
    }
    return {
        "head": _json(head),
        "book": _json(_book(memory.book)),
        "groups": _json([_group(group) for group in memory.groups.values()]),
        "lone": _json([_lone(lone) for lone in memory.lone.values()]),
        **memory.layout.dump(),
        **memory.early.dump(),
        **memory.slots.dump("slots"),
        **memory.nodes.dump("nodes"),
    }


def load(snapshot: Snapshot) -> Memory:
    """Return the memory that `save` was given.

    Raises:
        UnknownSnapshot: It was written by another version of the engine.
    """
    head = json.loads(bytes(snapshot["head"]))
    if head["version"] != VERSION:
        raise UnknownSnapshot(f"snapshot version {head['version']}, this engine reads {VERSION}")
    memory = Memory(head["shifts_ms"])
    memory.seq, memory.register_version = head["seq"], head["register_version"]
    masks = (MaskDef(**{**said, "alarms": tuple(said["alarms"])}) for said in head["masks"])
    memory.masks = {mask.id: mask for mask in masks}
    memory.one_person = frozenset(head["one_person"])
    memory.heard = {name: _read_heard(*said) for name, said in head["heard"].items()}
    memory.edge_runs = {device: (life, run) for device, (life, run) in head["edge_runs"].items()}
    memory.layout.load(snapshot)
    memory.early.load(snapshot)
    memory.slots.load("slots", snapshot)
    memory.nodes.load("nodes", snapshot)
    memory.weigh_offsets()
    memory.book = _read_book(json.loads(bytes(snapshot["book"])))
    for lone in map(_read_lone, json.loads(bytes(snapshot["lone"]))):
        memory.lone[lone.definition.id] = lone
    groups = map(_read_group, json.loads(bytes(snapshot["groups"])))
    memory.groups = {group.definition.id: group for group in groups}
    memory.index_groups()
    clock = memory.clock
    clock.now_ms, clock.monotonic_ms, clock.boot_id, clock.sweep_ms, clock.jump_ms = head["clock"]
    return memory


def _read_heard(life: str, run: int, no: int, active: bool, missing: list[list[int]], late_no: int) -> Heard:
    return Heard(life, run, no, active, tuple((first, last) for first, last in missing), late_no)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _book(book: Book) -> dict[str, Any]:
    return {
        "records": [_record(record) for record in book.records.values()],
        "shelves": {alarm: asdict(shelf) for alarm, shelf in book.shelves.items()},
        "masks": {name: asdict(mask) for name, mask in book.masks.items()},
        "out": {tag: asdict(out) for tag, out in book.out.items()},
        "reviews": {seq: asdict(review) for seq, review in book.reviews.items()},
        "source_numbers": book.source_numbers,
        "occurrence_numbers": book.occurrence_numbers,
        "run": book.run,
        "repeats": [[*key, due_ms] for key, due_ms in book.repeats.items()],
        "young": [[*act, at_ms] for act, at_ms in book.young.items()],
    }


def _record(record: Record) -> dict[str, Any]:
    state = record.state
    hidden = [str(s) for s in Suppression if s in state.suppressions]
    return {**fields_of(record), "state": [state.condition, state.acknowledged, state.latched, hidden]}


def _read_book(said: dict[str, Any]) -> Book:
    book = Book(
        shelves={alarm: Shelf(**shelf) for alarm, shelf in said["shelves"].items()},
        masks={name: OpenMask(**{**mask, "alarms": tuple(mask["alarms"])}) for name, mask in said["masks"].items()},
        out={tag: Out(**out) for tag, out in said["out"].items()},
        reviews={seq: Review(**review) for seq, review in said["reviews"].items()},
        source_numbers=said["source_numbers"],
        occurrence_numbers=said["occurrence_numbers"],
        run=said["run"],
        repeats={(alarm, Lane(lane)): due_ms for alarm, lane, due_ms in said["repeats"]},
        young={(Act(act), name): at_ms for act, name, at_ms in said["young"]},
    )
    for record in map(_read_record, said["records"]):
        book.records[record.key] = record
        book.keys[record.occurrence] = record.key
    return book


def _read_record(said: dict[str, Any]) -> Record:
    condition, acknowledged, latched, hidden = said.pop("state")
    state = State(Condition(condition), acknowledged, latched, frozenset(Suppression(s) for s in hidden))
    return Record(**{**said, "lane": Lane(said["lane"]), "kind": Kind(said["kind"])}, state=state)


def _group(group: Group) -> list[Any]:
    return [asdict(group.definition), group.count.active, group.count.lost]


def _read_group(said: list[Any]) -> Group:
    definition, active, lost = said
    members = tuple(Member(member["alarm"], tuple(member["blinds"])) for member in definition["members"])
    priority, guard = Priority(definition["priority"]), Priority(definition["guard"])
    group = GroupDef(**{**definition, "members": members, "priority": priority, "guard": guard})
    return Group(group, Count(active, lost))


def _lone(lone: Lone) -> list[Any]:
    return [asdict(lone.definition), int(lone.phase), lone.since_ms, lone.delay_ms, lone.then_ms]


def _read_lone(said: list[Any]) -> Lone:
    definition, phase, *times_ms = said
    alarm = {**definition, "kind": Kind(definition["kind"]), "priority": Priority(definition["priority"])}
    return Lone(AlarmDef(**alarm), Phase(phase), *times_ms)
