"""An operator's act: a command in the log, and what came of it.

The log is the only way into the engine, so the API appends and waits (DESIGN, "The engine is a function of the log").
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Command, Op, Refusal

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.errors import ApiError, not_started
from davylamp_cloud.api.language import Bilingual, both, mark
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.group_commit import LogClosed
from davylamp_cloud.log import NewRecord, RecordKind
from davylamp_cloud.outcomes import NotStarted

T = TypeVar("T")

WAIT_S = 5.0
"""Longest wait for the engine's answer; the command is in the log by then and will still be done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a command: the steps it led to; none where it was already done, or where the engine is behind."""

    seq: int
    evaluated: bool
    transitions: list[dict[str, Any]]


def ask(parts: Parts, question: Callable[[Engine], T]) -> T:
    """Return what the engine answers to a question that changes nothing; blocks while a slice is evaluated.

    Raises ApiError 503 before the engine has been restored.
    """
    return examine(parts, lambda evaluator: question(evaluator.engine))


def examine(parts: Parts, question: Callable[[Evaluator], T]) -> T:
    """Return what engine and register answer together, under the same terms."""
    try:
        return parts.cloud.monitor.examine(question)
    except NotStarted:
        raise not_started() from None


def command(op: Op, actor: Actor, at_ms: int, **what: Any) -> Command:
    """Return an act under its actor's name and role; nothing a client sends can change those."""
    return Command(op=op, by=actor.name, role=actor.role, at_ms=at_ms, **what)


def carry_out(parts: Parts, act: Command) -> Answer:
    """Append a command and wait for its answer; blocks, so call it off the event loop.

    Raises ApiError 409 with the engine's reason when it refuses, 503 when the log takes nothing.
    """
    body = json.dumps(asdict(act), ensure_ascii=False).encode()
    answer = _logged(parts, NewRecord(RecordKind.COMMAND, body, act.at_ms))
    if isinstance(answer, Refusal):
        raise refused(answer, act)
    return answer


def carry_out_change(parts: Parts, said: Mapping[str, Any]) -> Answer | Refusal:
    """Append a change of the register and wait for what comes of it; blocks like `carry_out`.

    Raises ApiError 503 when the log takes nothing.
    """
    body = json.dumps(said, ensure_ascii=False).encode()
    return _logged(parts, NewRecord(RecordKind.CHANGE, body, parts.cloud.now_ms()))


def _logged(parts: Parts, record: NewRecord) -> Answer | Refusal:
    try:
        seq = parts.cloud.commits.append([record], WAIT_S)[0]
    except (LogClosed, TimeoutError):
        raise _not_logged() from None
    try:
        outcome = parts.cloud.monitor.await_outcome(seq, WAIT_S)
    except TimeoutError:
        return Answer(seq, False, [])
    if outcome.refusal is not None:
        return outcome.refusal
    return Answer(seq, True, [dict(transition) for transition in outcome.transitions])


def refused(refusal: Any, act: Command) -> ApiError:
    """Return the engine's refusal, with its reason in both languages."""
    return ApiError(
        409,
        str(refusal.why),
        Bilingual(refusal.zh, refusal.en),
        both(mark("Look at the alarm as it is now, then decide again.")),
        where=act.occurrence or act.alarm,
    )


def _not_logged() -> ApiError:
    return ApiError(
        503,
        "log_closed",
        both(mark("The log takes nothing: the act was not recorded.")),
        both(mark("Call whoever runs Davylamp, and act on site by the handling card.")),
    )
