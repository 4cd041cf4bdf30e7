"""The alarm engine: log records in, transitions out. It depends on nothing else, not even on how batches are cut."""

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from davylamp_alarms.batch import Batch
from davylamp_alarms.definition import Changes, Register
from davylamp_alarms.transition import Command, Refusal, Transition

Snapshot = dict[str, NDArray[np.generic] | bytes]


class Engine:
    """Every alarm of one partition. Feed it log records in order; each call is one record or a batch of them.

    ``seq`` never descends. Transitions come ordered by (seq, tag, alarm); the same records give the same transitions
    wherever batches are cut and wherever the engine was saved and restored.
    """

    def __init__(self, register: Register) -> None:
        raise NotImplementedError

    @property
    def seq(self) -> int:
        """The last log record the engine has seen; -1 at the start."""
        raise NotImplementedError

    @property
    def register_version(self) -> int:
        """Counts redefinitions: while it is the same, the snapshot's ``register/…`` entries are the same bytes."""
        raise NotImplementedError

    def apply(self, batch: Batch) -> list[Transition]:
        """Evaluate readings."""
        raise NotImplementedError

    def tick(
        self, seq: int, now_ms: int, monotonic_ms: int, boot_id: str, offsets: Mapping[str, int]
    ) -> list[Transition]:
        """Let timers fall due. `offsets` is edge clock minus host clock per node, where known."""
        raise NotImplementedError

    def link(self, seq: int, node: str, up: bool, now_ms: int) -> list[Transition]:
        """Take note that an edge node (``group/node``) is connected or lost."""
        raise NotImplementedError

    def report(self, seq: int, alarm: str, active: bool, now_ms: int, comment: str = "") -> list[Transition]:
        """Raise or clear a SYSTEM alarm: lag, a rule's own error, a replay that differs (SAFETY S14)."""
        raise NotImplementedError

    def command(self, seq: int, command: Command) -> list[Transition] | Refusal:
        """Do what an operator asks, or say why not."""
        raise NotImplementedError

    def redefine(self, seq: int, changes: Changes) -> list[Transition] | Refusal:
        """Add tags, add, replace or remove alarms; refused whole if it would end a standing alarm (SAFETY S20)."""
        raise NotImplementedError

    def snapshot(self) -> Snapshot:
        """Return the whole state, definitions included, as arrays and bytes (copies; no pickle)."""
        raise NotImplementedError

    @classmethod
    def restore(cls, snapshot: Mapping[str, NDArray[np.generic] | bytes]) -> Self:
        """Return the engine a snapshot was taken from, bit for bit; the snapshot carries its register."""
        raise NotImplementedError
