"""The alarm engine: log records in, transitions out. It depends on nothing else, not even on how batches are cut."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from numpy.typing import NDArray

from davylamp_alarms import commands, edits, samples, timers, told
from davylamp_alarms.batch import Batch
from davylamp_alarms.book import OpenMask, Out, Record, Review, Shelf
from davylamp_alarms.definition import AlarmDef, Changes, GroupDef, Kind, MaskDef, Register
from davylamp_alarms.edit_preview import EditPreview, preview_edit
from davylamp_alarms.explain import Explained, explain
from davylamp_alarms.finding import Finding, finding_of
from davylamp_alarms.forewarn import retry
from davylamp_alarms.memory import DOWN, UP, Memory
from davylamp_alarms.planning import definition
from davylamp_alarms.preview import Preview, preview
from davylamp_alarms.resume import resume
from davylamp_alarms.settle import settle
from davylamp_alarms.skew import host_error_ms
from davylamp_alarms.snapshot import Snapshot, load, save
from davylamp_alarms.told import EdgeSaid
from davylamp_alarms.transition import Command, Refusal, Transition


class Engine:
    """Every alarm of one partition. Feed it log records in order; each call is one record or a batch of them.

    ``seq`` never descends. Transitions come ordered by (seq, tag, alarm), those of groups after each record; the same
    records give the same transitions wherever batches are cut and wherever the engine was saved and restored.
    """

    def __init__(self, register: Register) -> None:
        """Start with a register and nothing known of any tag.

        Raises:
            ValueError: The register contradicts itself; the message says where.
        """
        self._memory = Memory(register.shifts_ms)
        changes = Changes(
            0,
            tags=register.tags,
            alarms=register.alarms,
            masks=register.masks,
            one_person=register.one_person,
            groups=register.groups,
        )
        answer = edits.redefine(self._memory, -1, changes)
        if isinstance(answer, Refusal):
            raise ValueError(answer.en)

    @property
    def seq(self) -> int:
        """The last log record the engine has seen; -1 at the start."""
        return self._memory.seq

    @property
    def tags(self) -> int:
        """How many tags there are; a batch names none beyond them."""
        return self._memory.layout.tags.n

    @property
    def register_version(self) -> int:
        """Counts redefinitions: while it is the same, the snapshot's ``register/…`` entries are the same bytes."""
        return self._memory.register_version

    @property
    def run(self) -> str:
        """The name of the start since which things begin."""
        return self._memory.book.run

    @property
    def nbytes(self) -> int:
        """Bytes of numeric state; names and definitions in words come on top."""
        memory = self._memory
        columns = (memory.layout.tags, memory.layout.rows, memory.slots, memory.nodes)
        return memory.early.nbytes + sum(each.nbytes for each in columns)

    def apply(self, batch: Batch, said: Sequence[EdgeSaid] = ()) -> list[Transition]:
        """Evaluate readings, and take what edges say of the alarms they decide; both of whole log records."""
        if not len(batch) and not said:
            return []
        self._memory.hear(max([word.seq for word in said] + [int(seq) for seq in batch.seq[-1:]]))
        steps = samples.evaluate(self._memory, batch) if len(batch) else []
        return settle(self._memory, steps + told.take(self._memory, said))

    def edge_born(self, seq: int, device: str, life: str, run: int, said: Sequence[EdgeSaid]) -> list[Transition]:
        """Take what a device's birth says of the alarms its edge decides: where they are in the run that is now."""
        self._memory.hear(seq)
        told.begin(self._memory, device, life, run)
        return settle(self._memory, told.take(self._memory, said))

    def tick(
        self, seq: int, now_ms: int, monotonic_ms: int, boot_id: str, offsets: Mapping[str, int]
    ) -> list[Transition]:
        """Let timers fall due. `offsets` is edge clock minus host clock per node (``group/node``), where known."""
        self._memory.seq = seq
        steps = settle(self._memory, timers.tick(self._memory, seq, now_ms, monotonic_ms, boot_id, offsets))
        self._memory.note()
        return steps

    def link(self, seq: int, node: str, up: bool, now_ms: int) -> list[Transition]:
        """Take note that an edge node (``group/node``) is connected or lost."""
        memory = self._memory
        memory.hear(seq)
        place = memory.node(node)
        if up and memory.nodes.link[place] != UP:
            memory.nodes.base_ms[place] = now_ms
            memory.clock.sweep_ms = min(memory.clock.sweep_ms, now_ms)
        memory.nodes.link[place] = UP if up else DOWN
        told = []
        for lone in memory.lone.values():
            if lone.definition.node == node and lone.definition.kind is Kind.LINK:
                told += lone.right(seq, now_ms) if up else lone.wrong(seq, now_ms)
        return settle(memory, told)

    def report(self, seq: int, alarm: str, active: bool, now_ms: int, comment: str = "") -> list[Transition]:
        """Raise or clear a SYSTEM alarm: lag, a rule's own error, a replay that differs (SAFETY S14)."""
        self._memory.hear(seq)
        lone = self._memory.lone[alarm]
        steps = lone.wrong(seq, now_ms, comment) if active else lone.right(seq, now_ms, comment)
        return settle(self._memory, steps)

    def command(self, seq: int, command: Command) -> list[Transition] | Refusal:
        """Do what an operator asks, or say why not."""
        self._memory.hear(seq)
        return commands.obey(self._memory, seq, command)

    def redefine(self, seq: int, changes: Changes) -> list[Transition] | Refusal:
        """Add tags, add, replace or remove alarms; refused whole if it would end a standing alarm (SAFETY S20)."""
        self._memory.hear(seq)
        return edits.redefine(self._memory, seq, changes)

    def begin_run(self, seq: int, run: str) -> None:
        """Name the occurrences and reviews that begin from here on, so that a restored system repeats no id (S23).

        Statistical rules that had failed begin anew with it.
        """
        self._memory.hear(seq)
        self._memory.book.run = run
        retry(self._memory)

    def resume(self, seq: int, now_ms: int, standing: Iterable[Record]) -> list[Transition]:
        """Take over what stood, for a start without a snapshot; say so of each, and let nothing hide it (SAFETY S4)."""
        self._memory.hear(seq)
        return resume(self._memory, seq, now_ms, standing)

    def number_on(self, hazard_source: str, transitions: int, occurrences: int) -> None:
        """Give no number up to these again: for a start without a snapshot, beside transitions already stored (S23)."""
        self._memory.book.number_on(hazard_source, transitions, occurrences)

    # looking

    def standing(self) -> list[Record]:
        """Return copies of every occurrence that is not at rest, hidden ones included, by (alarm, lane)."""
        records = self._memory.book.records
        return [_copy(records[key]) for key in sorted(records) if not records[key].state.at_rest]

    def shelves(self) -> dict[str, Shelf]:
        """Return the shelved alarms and who shelved them until when."""
        return dict(self._memory.book.shelves)

    def host_clock(self) -> tuple[int, int]:
        """Return by how much the host's clock was set at the last tick, and by how much it is behind most edges."""
        return self._memory.clock.jump_ms, host_error_ms(self._memory)

    def failures(self) -> dict[str, str]:
        """Return what each statistical rule that is left out somewhere failed by (SAFETY S14)."""
        return self._memory.early.failures()

    def groups(self) -> dict[str, GroupDef]:
        """Return the groups there are."""
        return {name: group.definition for name, group in self._memory.groups.items()}

    def masks(self) -> dict[str, MaskDef]:
        """Return the masks there are, open or not."""
        return dict(self._memory.masks)

    def one_person(self) -> frozenset[str]:
        """Return the positions where one person is on duty alone."""
        return self._memory.one_person

    def open_masks(self) -> dict[str, OpenMask]:
        """Return the masks that hide something now, who opened them and until when."""
        return dict(self._memory.book.masks)

    def out_of_service(self) -> dict[str, Out]:
        """Return the tags that are out of service, by whom, under which permit and until when."""
        return dict(self._memory.book.out)

    def reviews(self) -> dict[str, Review]:
        """Return what one person did alone and nobody has reviewed yet, by the log record of the act."""
        return dict(self._memory.book.reviews)

    def preview(self, command: Command) -> Preview | Refusal:
        """Return what an act that hides would do, or why it cannot be done; nothing changes."""
        return preview(self._memory, command)

    def preview_edit(self, changes: Changes) -> EditPreview | Refusal:
        """Return what an edit would do to every alarm it touches; nothing changes."""
        return preview_edit(self._memory, changes)

    def explain(self, tag_id: str, now_ms: int) -> tuple[Explained, ...]:
        """Return why each alarm around a tag stands or does not, at the host time `now_ms`; nothing changes.

        Raises:
            LookupError: There is no such tag.
        """
        tag = self._memory.layout.names.find(tag_id)
        if tag is None:
            raise LookupError(f"there is no tag {tag_id!r}")
        return explain(self._memory, tag, now_ms)

    def finding(self, alarm: str) -> Finding | None:
        """Return what a warning's rule finds now; None where it finds nothing. Nothing changes."""
        return finding_of(self._memory, alarm)

    def definition(self, alarm: str) -> AlarmDef | None:
        """Return an alarm's definition as the engine has it; None if it knows none of this id."""
        return definition(self._memory, alarm)

    # keeping

    def snapshot(self) -> dict[str, NDArray[Any] | bytes]:
        """Return the whole state, definitions included, as arrays and bytes (copies; no pickle)."""
        return save(self._memory)

    @classmethod
    def restore(cls, snapshot: Snapshot) -> Self:
        """Return the engine a snapshot was taken from, bit for bit; the snapshot carries its register.

        Raises:
            UnknownSnapshot: Another version wrote it; replay the log.
        """
        engine = cls.__new__(cls)
        engine._memory = load(snapshot)
        return engine


def _copy(record: Record) -> Record:
    return Record(*(getattr(record, name) for name in Record.__slots__))
