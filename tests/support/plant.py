"""A small plant for tests of the alarm engine: one line per thing that happens, the clock moved by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from davylamp_alarms.batch import Batch
from davylamp_alarms.definition import (
    AlarmDef,
    Changes,
    Kind,
    PointKind,
    Priority,
    Register,
    TagDef,
    alarm_id,
    default_priority,
    link_alarm_id,
    said_rule,
)
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Command, Op, Refusal, Transition
from davylamp_wire.quality import GOOD

NODE = "park/edge-1"
SOURCE = "tank-farm"
START_MS = 1_760_000_000_000
SYSTEM = "davylamp/cloud#SYSTEM@lag"


def tag_def(name: str, kind: PointKind = PointKind.PROCESS, silence_ms: int = 10_000, node: str = NODE) -> TagDef:
    """Return a tag ``park/edge-1/device/<name>``."""
    return TagDef(f"{node}/device/{name}", node, SOURCE, kind, silence_ms, scan_ms=1_000)


def alarm(tag: TagDef, index: int, kind: Kind, limit: float = 0.0, **more: object) -> AlarmDef:
    """Return an alarm of a tag with its default priority."""
    made = AlarmDef(alarm_id(tag.id, kind), index, kind, default_priority(kind, tag.kind), SOURCE, limit)
    return replace(made, **more)  # type: ignore[arg-type]  # a test names the fields


def warning(
    tag: TagDef,
    index: int,
    kind: Kind,
    settings: Mapping[str, object],
    inputs: Sequence[str] = (),
    towards: Sequence[str] = (),
    **more: object,
) -> AlarmDef:
    """Return a warning of a tag by a statistical rule."""
    return alarm(tag, index, kind, 0.0, rule=said_rule(settings, inputs, towards), **more)


def link_alarm(node: str = NODE, priority: Priority = Priority.RED) -> AlarmDef:
    """Return the alarm of a node's link."""
    return AlarmDef(link_alarm_id(node, SOURCE), -1, Kind.LINK, priority, SOURCE, node=node)


class Plant:
    """An engine and its log position. `now_ms` is the host's clock; the edge runs `offset_ms` ahead of it."""

    def __init__(self, tags: Sequence[TagDef], alarms: Sequence[AlarmDef], shifts_ms: tuple[int, ...] = ()) -> None:
        system = AlarmDef(SYSTEM, -1, Kind.SYSTEM, Priority.ORANGE, "davylamp")
        self.engine = Engine(Register(tuple(tags), (*alarms, link_alarm(), system), shifts_ms))
        self.tags, self.seq, self.now_ms, self.offset_ms, self.boot = list(tags), 0, START_MS, 0, "boot-1"
        self.monotonic_ms = 0
        self.told: list[Transition] = []
        self.link(True)
        self.tick()

    def _next(self) -> int:
        self.seq += 1
        return self.seq

    def _tell(self, told: list[Transition]) -> list[Transition]:
        self.told += told
        return told

    def read(
        self, value: float, after_s: float = 1, quality: int = GOOD, tag: int = 0, late: bool = False
    ) -> list[Transition]:
        """Let a reading arrive that was taken just now, after so many seconds."""
        self.pass_time(after_s)
        return self.read_at(value, self.now_ms + self.offset_ms, quality, tag, late)

    def read_at(
        self, value: float, time_ms: int, quality: int = GOOD, tag: int = 0, late: bool = False
    ) -> list[Transition]:
        """Let a reading arrive now that was taken at a source time."""
        batch = Batch.of([self._next()], [tag], [time_ms], [value], [quality], [late], [self.now_ms])
        return self._tell(self.engine.apply(batch))

    def backlog(self, value: float, at_s: float, quality: int = GOOD, tag: int = 0) -> list[Transition]:
        """Let a reading arrive as backlog, taken `at_s` seconds after `START_MS`."""
        return self.read_at(value, START_MS + round(at_s * 1000), quality, tag, late=True)

    def pass_time(self, seconds: float) -> None:
        """Move the clock without a tick."""
        self.now_ms += round(seconds * 1000)
        self.monotonic_ms += round(seconds * 1000)

    def tick(self) -> list[Transition]:
        """Tick now."""
        offsets = {NODE: self.offset_ms}
        return self._tell(self.engine.tick(self._next(), self.now_ms, self.monotonic_ms, self.boot, offsets))

    def wait(self, seconds: int) -> list[Transition]:
        """Tick once a second."""
        told = []
        for _ in range(seconds):
            self.pass_time(1)
            told += self.tick()
        return told

    def link(self, up: bool, node: str = NODE) -> list[Transition]:
        """Connect or lose an edge."""
        return self._tell(self.engine.link(self._next(), node, up, self.now_ms))

    def ask(self, op: Op, **fields: object) -> list[Transition] | Refusal:
        """Send a command by Li."""
        command = Command(op, by="li", at_ms=self.now_ms, **fields)  # type: ignore[arg-type]  # a test names the fields
        answer = self.engine.command(self._next(), command)
        return answer if isinstance(answer, Refusal) else self._tell(answer)

    def acknowledge(self, seen: Transition) -> list[Transition] | Refusal:
        """Acknowledge what a transition showed."""
        return self.ask(Op.ACKNOWLEDGE, occurrence=seen.occurrence, version=seen.version)

    def reset(self, seen: Transition) -> list[Transition] | Refusal:
        """Reset what a transition showed."""
        return self.ask(Op.RESET, occurrence=seen.occurrence, version=seen.version)

    def shelve(self, name: str, minutes: float = 30, comment: str = "pump test", second: str = "") -> object:
        """Shelve an alarm."""
        until_ms = self.now_ms + round(minutes * 60_000)
        return self.ask(Op.SHELVE, alarm=name, comment=comment, second=second, until_ms=until_ms)

    def edit(self, *alarms: AlarmDef, **fields: object) -> list[Transition] | Refusal:
        """Change definitions."""
        changes = Changes(self.now_ms, alarms=alarms, **fields)  # type: ignore[arg-type]  # a test names the fields
        answer = self.engine.redefine(self._next(), changes)
        return answer if isinstance(answer, Refusal) else self._tell(answer)

    def restart(self, down_s: float) -> None:
        """Kill the host, and start it again from its snapshot after so long: no ticks in between."""
        self.engine = Engine.restore(self.engine.snapshot())
        self.now_ms += round(down_s * 1000)
        self.monotonic_ms, self.boot = 0, self.boot + "'"

    def letters(self) -> dict[str, str]:
        """Return kind (late ones marked) and letter of everything that is not at rest."""
        lanes = {"live": "", "late": " late"}
        return {f"{r.kind}{lanes[r.lane]}": str(r.state.letter) for r in self.engine.standing()}


def events(told: object) -> list[str]:
    """Return the transitions as "KIND event letter"."""
    assert isinstance(told, list), told
    return [f"{t.kind} {t.event} {t.letter}" for t in told]
