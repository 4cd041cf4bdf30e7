"""Operators' acts as the log holds them: from the record to a command, and what the audit chain says of it. Pure."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from davylamp_alarms.transition import Command, Op

AUDITED = frozenset({Op.MASK, Op.UNMASK, Op.TAKE_OUT, Op.RETURN, Op.REVIEW})
"""Acts whose mask, permit, range or review stands in no transition, and must be in a chain all the same (S29)."""

HIDING = frozenset({Op.MASK, Op.TAKE_OUT})
"""Acts that hide until a time they name; a shelf's end is the engine's to say, for it keeps ends apart."""


@dataclass(frozen=True, slots=True)
class Act:
    """An act that was done, for the audit chain; `said` is what the person said, `before` what it was until then."""

    seq: int
    at_ms: int
    by: str
    op: str
    subject: str
    said: dict[str, Any]
    before: dict[str, Any] | None = None


def command_of(body: bytes) -> Command:
    """Return the command a record holds.

    Raises:
        ValueError, KeyError, TypeError: It holds none.
    """
    said = json.loads(body)
    span = said.get("range")
    installed = None if span is None else (float(span[0]), float(span[1]))
    return Command(**{**said, "op": Op(said["op"]), "range": installed})


def subject_of(command: Command) -> str:
    """Return what an act is about, as a person would name it."""
    return command.occurrence or command.alarm or command.mask or command.tag or command.review


def act_of(seq: int, at_ms: int, command: Command) -> Act:
    """Return an act with what was said, and nothing that was not."""
    said = {name: value for name, value in asdict(command).items() if value and name not in ("op", "by", "at_ms")}
    return Act(seq, at_ms, command.by, str(command.op), subject_of(command), said)
