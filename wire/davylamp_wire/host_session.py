"""The host's side of one edge node's session: from messages in any order to births, data and deaths in a sound one.

    receive ─► TABLE ─┬─ take the birth
                      ├─ sequence: next ─► deliver      ahead ─► wait for the gap, at most reorder_ms
                      └─ hold: no birth yet ─► until it comes, at most hold_ms, then quarantine

Our own edges' data never wait for a gap, because their record numbers carry the truth (SAFETY S1); a foreign edge's do,
because a missing DBIRTH could have changed what an alias means. Pure: no clock, no socket.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from davylamp_wire.decode import Message, PayloadError, decode
from davylamp_wire.encode import mark_historical
from davylamp_wire.head import Head, head_of
from davylamp_wire.host_effects import (
    Born,
    Data,
    DeathReason,
    DeviceBorn,
    DeviceDied,
    Effect,
    NodeDied,
    Quarantine,
    RequestRebirth,
)
from davylamp_wire.host_order import Asking, Letter, Order, Patience, Place
from davylamp_wire.names import BD_SEQ, EPOCH, KEEPALIVE
from davylamp_wire.topic import MessageType, Topic

PAUSE_MS = 5_000
"""A longer time between two ticks means that the host itself stood still: silence begins anew (SAFETY S3)."""


class NodeState(StrEnum):
    """What the host believes of a node."""

    UNBORN = "unborn"
    ONLINE = "online"
    DYING = "dying"
    """Its will came; it is gone unless a birth follows within moments."""
    SILENT = "silent"
    DEAD = "dead"


class NodeEvent(StrEnum):
    """What can happen to it."""

    BIRTH = "birth"
    MESSAGE = "message"
    DEATH = "death"
    LATE_DEATH = "late_death"
    """The will of a connection that a later birth has replaced."""
    ALIVE = "alive"
    """In-sequence news right behind a birth: the will was an earlier connection's with the same bdSeq."""
    DEATH_DUE = "death_due"
    STORED = "stored"
    """A birth that the broker has kept (MQTT's retain), of nobody knows when."""
    SILENCE = "silence"


class Act(StrEnum):
    """What the session does about it."""

    IGNORE = "ignore"
    TAKE = "take"
    INTRODUCE = "introduce"
    SEQUENCE = "sequence"
    HOLD = "hold"
    AWAIT = "await"
    BURY = "bury"
    FALL_SILENT = "fall_silent"
    FORGET = "forget"
    REVIVE = "revive"


_S, _E, _A = NodeState, NodeEvent, Act
TABLE: dict[NodeState, dict[NodeEvent, tuple[NodeState, Act]]] = {
    _S.UNBORN: {
        _E.BIRTH: (_S.ONLINE, _A.TAKE),
        _E.MESSAGE: (_S.UNBORN, _A.HOLD),
        _E.STORED: (_S.SILENT, _A.INTRODUCE),
    },
    _S.ONLINE: {
        _E.BIRTH: (_S.ONLINE, _A.TAKE),
        _E.MESSAGE: (_S.ONLINE, _A.SEQUENCE),
        _E.DEATH: (_S.DYING, _A.AWAIT),
        _E.SILENCE: (_S.SILENT, _A.FALL_SILENT),
    },
    _S.DYING: {
        _E.BIRTH: (_S.ONLINE, _A.TAKE),
        _E.MESSAGE: (_S.DYING, _A.SEQUENCE),
        _E.ALIVE: (_S.ONLINE, _A.SEQUENCE),
        _E.DEATH_DUE: (_S.DEAD, _A.BURY),
    },
    _S.SILENT: {
        _E.BIRTH: (_S.ONLINE, _A.TAKE),
        _E.MESSAGE: (_S.ONLINE, _A.REVIVE),
        _E.DEATH: (_S.DEAD, _A.FORGET),
    },
    _S.DEAD: {
        _E.BIRTH: (_S.ONLINE, _A.TAKE),
        _E.MESSAGE: (_S.DEAD, _A.HOLD),
        _E.STORED: (_S.SILENT, _A.INTRODUCE),
    },
}
"""What is not here is ignored and leaves the state as it is."""


def step(state: NodeState, event: NodeEvent) -> tuple[NodeState, Act]:
    """Return the next state, and what is to be done."""
    return TABLE[state].get(event, (state, Act.IGNORE))


@dataclass(slots=True)
class HostSession:
    """What the host knows of one edge node. Not thread-safe: it belongs to the thread that receives.

    `keepalive_s` holds until a birth of ours names another. `epoch` is the journal epoch, None for a foreign edge.
    """

    keepalive_s: float = 15.0
    patience: Patience = field(default_factory=Patience)
    state: NodeState = NodeState.UNBORN
    epoch: str | None = None
    bd_seq: int | None = None
    last_heard_ms: int = 0
    gaps: int = 0
    late_wills: int = 0
    _births: int = 0
    _node: Born | None = None
    _devices: dict[str, DeviceBorn] = field(default_factory=dict)
    _born_at_ms: int = 0
    _order: Order = field(default_factory=Order)
    _held: list[Letter] = field(default_factory=list)
    _aside: list[Letter] = field(default_factory=list)
    _stored: list[Letter] = field(default_factory=list)
    """Births of devices that the broker has kept, while that of their node has not come."""
    _asking: Asking = field(init=False)
    _death_due_ms: int = 0
    _fresh: bool = False
    _ticked_ms: int | None = None

    def __post_init__(self) -> None:
        self._asking = Asking(self.patience)

    @property
    def own(self) -> bool:
        """Whether the node is a Davylamp edge: its birth named a journal epoch."""
        return self.epoch is not None

    @property
    def devices(self) -> dict[str, int]:
        """The devices that are born, each with its birth."""
        return {device: born.birth for device, born in self._devices.items()}

    def receive(self, topic: Topic, payload: bytes, now_ms: int) -> list[Effect]:
        """Return what a message of this node asks for, in the order in which it must be done."""
        if topic.type.is_command:
            return []
        try:
            head = head_of(payload)
            if self._goes_on(topic, head):
                self.last_heard_ms = now_ms
                self._order.advance()
                return [Data(topic.device, payload, self._devices[topic.device or ""].birth, head)]
            letter = Letter(topic, payload, head, now_ms)
            event = self._event_of(letter)
            if topic.type is not MessageType.NDEATH:
                self.last_heard_ms = now_ms
            return [*self._do(event, letter, now_ms), *self._ask(now_ms)]
        except PayloadError as error:
            return [Quarantine(str(error), topic, payload)]

    def receive_stored(self, topic: Topic, payload: bytes, now_ms: int) -> list[Effect]:
        """Return what a message asks for that the broker has kept (MQTT's retain): nothing in it is of the present.

        A foreign edge's births introduce it and mark its values as history; it is there once it speaks, or is born.
        """
        try:
            if topic.type is MessageType.NBIRTH:
                is_own = decode(payload).value(EPOCH) is not None  # ours are never kept, and are born when asked
                return [] if is_own else self._do(NodeEvent.STORED, _of_the_past(topic, payload, now_ms), now_ms)
            if topic.type is MessageType.DBIRTH:
                decode(payload)
                return list(self._device_stored(_of_the_past(topic, payload, now_ms)))
        except PayloadError as error:
            return [Quarantine(str(error), topic, payload)]
        is_data = topic.type in (MessageType.NDATA, MessageType.DDATA)
        return [Quarantine("kept by the broker, nobody knows since when", topic, payload)] if is_data else []

    def tick(self, now_ms: int) -> list[Effect]:
        """Return what falls due without a message. Call it several times a second."""
        self._forgive_pause(now_ms)
        effects: list[Effect] = []
        if self.state is NodeState.DYING and now_ms >= self._death_due_ms:
            effects += self._do(NodeEvent.DEATH_DUE, None, now_ms)
        if self._is_silent(now_ms):
            effects += self._do(NodeEvent.SILENCE, None, now_ms)
        effects += self._give_up_gaps(now_ms)
        effects += self._give_up_aside(now_ms)
        effects += self._give_up_held(now_ms)
        return [*effects, *self._ask(now_ms)]

    def _goes_on(self, topic: Topic, head: Head) -> bool:
        """Whether a message is the next of a device that is there, at a node in its usual state: most are."""
        return (
            topic.type is MessageType.DDATA
            and self.state is NodeState.ONLINE
            and topic.device in self._devices
            and self._order.runs(head.seq)
            and self._asking.reason is None
        )

    def _event_of(self, letter: Letter) -> NodeEvent:
        if letter.topic.type is MessageType.NBIRTH:
            return NodeEvent.BIRTH
        if letter.topic.type is MessageType.NDEATH:
            said = decode(letter.payload).value(BD_SEQ)
            late = said is not None and self.bd_seq is not None and said != self.bd_seq
            return NodeEvent.LATE_DEATH if late else NodeEvent.DEATH
        alive = self.state is NodeState.DYING and self._fresh and self._order.place(letter) is Place.NEXT
        return NodeEvent.ALIVE if alive else NodeEvent.MESSAGE

    def _do(self, event: NodeEvent, letter: Letter | None, now_ms: int) -> list[Effect]:
        if event is NodeEvent.LATE_DEATH:
            self.late_wills += 1
        self.state, act = step(self.state, event)
        return [] if act is Act.IGNORE else list(_DOES[act](self, letter, now_ms))

    def _take(self, letter: Letter, now_ms: int) -> Iterable[Effect]:
        """A node is born: what waited belongs to the session before if it was sent before, else to this one."""
        message = decode(letter.payload)
        sent_ms, held = letter.head.sent_ms, self._held
        waiting = self._take_waiting()
        for old in waiting:
            if old.sent_before(sent_ms) and not old.told:
                yield from self._deliver(old)
        self._begin(letter, message, now_ms)
        assert self._node is not None
        yield self._node
        self._held = []
        yield from self._sift([old for old in held if old.sent_before(sent_ms)])
        early = [new for new in (*held, *waiting) if not new.sent_before(sent_ms)]
        for new in sorted(early, key=lambda new: ((new.head.seq or 0) - self._order.expected) % 256):
            yield from self._sequence(new, now_ms)

    def _introduce(self, letter: Letter, now_ms: int) -> Iterable[Effect]:
        """What a node said of itself once: enough to read it by, if it speaks. It is asked to say it anew, once."""
        self._begin(letter, decode(letter.payload), now_ms)
        assert self._node is not None
        self._node = replace(self._node, stored=True)
        yield self._node
        stored, self._stored = self._stored, []
        for device in stored:
            yield from self._device_stored(device)
        yield RequestRebirth("only the broker has told its birth")

    def _device_stored(self, letter: Letter) -> Iterable[Effect]:
        device = letter.topic.device or ""
        if self.state in (NodeState.UNBORN, NodeState.DEAD) and len(self._stored) < self.patience.held:
            self._stored.append(letter)
        elif self._node is not None and self._node.stored and device not in self._devices:
            yield from self._device_born(device, letter)

    def _begin(self, letter: Letter, message: Message, now_ms: int) -> None:
        epoch, keepalive, bd_seq = message.value(EPOCH), message.value(KEEPALIVE), message.value(BD_SEQ)
        self.epoch = epoch if isinstance(epoch, str) else None
        self.bd_seq = bd_seq if isinstance(bd_seq, int) else None
        if isinstance(keepalive, int) and keepalive > 0:
            self.keepalive_s = float(keepalive)
        self._births += 1
        self._node = Born(letter.payload, message, self._births, self.bd_seq, self.epoch)
        self._devices.clear()
        self._born_at_ms = now_ms
        self._order.begin(letter.head.seq or 0)
        self._asking.answered()

    def _sift(self, old: Iterable[Letter]) -> Iterable[Effect]:
        """Data that came before any birth: ours may still be read, since our aliases are never given twice."""
        for letter in old:
            if self.own and letter.is_data:
                yield from self._deliver(letter)
            else:
                yield Quarantine("sent before the birth it came ahead of", letter.topic, letter.payload)

    def _sequence(self, letter: Letter, now_ms: int) -> Iterable[Effect]:
        place = self._order.place(letter)
        if place is Place.NEXT:
            yield from self._deliver(letter)
            for waiting in self._order.advance():
                yield from () if waiting.told else self._deliver(waiting)
        elif self._node is not None and letter.sent_before(self._node.message.timestamp):
            yield from self._sift([letter])
        elif place is Place.AHEAD:
            now = self.own and letter.is_data
            self._order.keep(letter, told=now)
            yield from self._deliver(letter) if now else ()
        elif place is Place.BEHIND and not (self.own and letter.is_data):
            # A straggler, or the first of a session whose NBIRTH another topic delays: that shows in a moment.
            self._aside.append(letter)
        else:
            yield from self._deliver(letter)

    def _deliver(self, letter: Letter) -> Iterable[Effect]:
        device = letter.topic.device
        if device is None:
            if self._node is not None:
                yield Data(None, letter.payload, self._node.birth, letter.head)
        elif letter.topic.type is MessageType.DBIRTH:
            yield from self._device_born(device, letter)
        elif device not in self._devices:
            yield from self._hold(letter, letter.at_ms)
        elif letter.topic.type is MessageType.DDEATH:
            del self._devices[device]
            yield DeviceDied(device, letter.at_ms if letter.head.sent_ms is None else letter.head.sent_ms)
        else:
            yield Data(device, letter.payload, self._devices[device].birth, letter.head)

    def _device_born(self, device: str, letter: Letter) -> Iterable[Effect]:
        self._births += 1
        born = DeviceBorn(device, letter.payload, decode(letter.payload), self._births)
        self._devices[device] = born
        yield born
        held = self._held
        self._held = [other for other in held if other.topic.device != device]
        for other in held:
            if other.topic.device == device:
                yield from self._deliver(other)

    def _hold(self, letter: Letter, now_ms: int) -> Iterable[Effect]:
        """Keep what has no birth yet. Data at a node that was never born ask for one at once, births wait a moment."""
        if len(self._held) >= self.patience.held:
            yield Quarantine("too much came before the birth", letter.topic, letter.payload)
            return
        self._held.append(letter)
        if letter.is_data and self.state in (NodeState.UNBORN, NodeState.DEAD):
            self._asking.want(f"{letter.topic.type} before NBIRTH")

    def _await(self, letter: Letter, now_ms: int) -> Iterable[Effect]:
        self._death_due_ms = now_ms + self.patience.death_ms
        self._fresh = now_ms - self._born_at_ms <= self.patience.death_ms
        return ()

    def _bury(self, _: None, now_ms: int) -> Iterable[Effect]:
        for letter in self._take_waiting():
            yield from () if letter.told else self._deliver(letter)
        yield NodeDied(DeathReason.WILL, self.bd_seq, now_ms)
        self._forget_births()

    def _fall_silent(self, _: None, now_ms: int) -> Iterable[Effect]:
        """The births stay: a node that was only silent goes on where it was."""
        yield NodeDied(DeathReason.SILENCE, self.bd_seq, now_ms)

    def _forget(self, letter: Letter, now_ms: int) -> Iterable[Effect]:
        """The will of a node that was told dead already; what still waited is told with its births."""
        for waiting in self._take_waiting():
            yield from () if waiting.told else self._deliver(waiting)
        self._forget_births()

    def _take_waiting(self) -> list[Letter]:
        waiting, self._aside = [*self._aside, *self._order.take_all()], []
        return waiting

    def _forget_births(self) -> None:
        self._node = None
        self._devices.clear()
        self._asking.answered()

    def _revive(self, letter: Letter, now_ms: int) -> Iterable[Effect]:
        if self._node is not None:
            self._node = replace(self._node, stored=False)
            yield replace(self._node, again=True)
        for born in self._devices.values():
            yield replace(born, again=True)
        yield from self._sequence(letter, now_ms)

    def _is_silent(self, now_ms: int) -> bool:
        """Only our edges promise to speak within a keepalive; a foreign one's silence is the broker's to judge."""
        limit_ms = self.patience.silence_factor * self.keepalive_s * 1000
        return self.own and self.state is NodeState.ONLINE and now_ms - self.last_heard_ms > limit_ms

    def _forgive_pause(self, now_ms: int) -> None:
        gap = 0 if self._ticked_ms is None else now_ms - self._ticked_ms
        if gap > PAUSE_MS or gap < 0:
            self.last_heard_ms += gap
        self._ticked_ms = now_ms

    def _give_up_gaps(self, now_ms: int) -> Iterable[Effect]:
        if not self._order.overdue(now_ms, self.patience.reorder_ms):
            return
        self.gaps += 1
        self._asking.want(f"seq {self._order.expected} is missing")
        for letter in self._order.take_all():
            yield from () if letter.told else self._deliver(letter)

    def _give_up_aside(self, now_ms: int) -> Iterable[Effect]:
        while self._aside and now_ms - self._aside[0].at_ms >= self.patience.reorder_ms:
            yield from self._deliver(self._aside.pop(0))

    def _give_up_held(self, now_ms: int) -> Iterable[Effect]:
        if any(now_ms - letter.at_ms >= self.patience.reorder_ms for letter in self._held):
            self._asking.want("a birth is missing")
        while self._held and now_ms - self._held[0].at_ms >= self.patience.hold_ms:
            letter = self._held.pop(0)
            yield Quarantine("its birth did not come", letter.topic, letter.payload)

    def _ask(self, now_ms: int) -> list[Effect]:
        reason = self._asking.due(now_ms)
        return [] if reason is None else [RequestRebirth(reason)]


def _of_the_past(topic: Topic, payload: bytes, now_ms: int) -> Letter:
    return Letter(topic, mark_historical(payload), head_of(payload), now_ms)


# Acts of time (bury, fall silent) get no letter, all others get one: hence Any.
_DOES: dict[Act, Callable[[HostSession, Any, int], Iterable[Effect]]] = {
    Act.TAKE: HostSession._take,
    Act.INTRODUCE: HostSession._introduce,
    Act.SEQUENCE: HostSession._sequence,
    Act.HOLD: HostSession._hold,
    Act.AWAIT: HostSession._await,
    Act.BURY: HostSession._bury,
    Act.FALL_SILENT: HostSession._fall_silent,
    Act.FORGET: HostSession._forget,
    Act.REVIVE: HostSession._revive,
}
