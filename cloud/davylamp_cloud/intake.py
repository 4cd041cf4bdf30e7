"""From Sparkplug messages to records of the log, and from what is on disk to confirmations. No socket, no clock.

```
message ─► HostSession ─► effects ─► records + births + settled numbers ─► GroupCommit ─► on disk ─► confirm (NCMD)
```

Everything that is ever confirmed is in this file: a record number counts as settled once the transaction that holds
its record is on disk, and never before.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import structlog
from davylamp_wire.decode import decode
from davylamp_wire.describe import slug
from davylamp_wire.intervals import Confirmation, Intervals
from davylamp_wire.payload import (
    CONFIRM,
    ENGINE,
    HOLE,
    LOCAL_ALARM,
    REBIRTH,
    RED,
    SENT,
    USED,
    BirthMetric,
    SparkplugType,
    command_payload,
)
from davylamp_wire.red import encode_reds
from davylamp_wire.session import (
    Born,
    Data,
    DeviceBorn,
    DeviceDied,
    Effect,
    NodeDied,
    Quarantine,
    RequestRebirth,
)
from davylamp_wire.topic import MessageType, Topic, host_of, parse_topic

from davylamp_cloud.beside import NOTHING, Beside, Confirmed, Hole, Quarantined
from davylamp_cloud.edge_node import EdgeNode, Journal, hole_of, journals_of, silent_nodes, used_beyond
from davylamp_cloud.group_commit import LogClosed
from davylamp_cloud.introduction import node_id, outline, said_by_device, said_by_node
from davylamp_cloud.log import Log, NewRecord, RecordKind
from davylamp_cloud.packets import Message
from davylamp_cloud.tags import CONTROL, Birth, Said

LOG = structlog.get_logger()

LARGEST = 4 << 20
"""Bytes of the largest payload that is looked at; an edge's record is a few kilobytes."""


CONFIRM_MS = 500
"""At most two confirmations a second to one edge (docs/wire.md)."""

SHARE_MS = 5
"""With many edges each is confirmed more rarely, 200 a second in all: an edge sends again after 30 s, not before."""

ASK_AGAIN_MS = 60_000
"""How often at most a node is asked to be born anew because something it said was set aside."""

WORD_MS = 5_000
"""How often each edge is told that the engine moves: words may get lost, and its beacon still knows (docs/wire.md)."""


class Pressure(StrEnum):
    """How far the monitor is behind, as ingest acts on it (SAFETY S14)."""

    NONE = "none"
    HOLD = "hold"
    """Nothing is confirmed: edges keep what they send."""
    FULL = "full"
    """Records that their edge will send again are not even taken."""


class Submit(Protocol):
    """GroupCommit's `submit`."""

    def __call__(
        self, records: Sequence[NewRecord], done: Callable[[list[int]], None] | None = None, beside: Beside = NOTHING
    ) -> None: ...


@dataclass(slots=True)
class Outside:
    """What the intake asks of the outside world."""

    submit: Submit
    publish: Callable[[str, bytes], None]
    pressure: Callable[[], Pressure]
    engine_age_ms: Callable[[], int | None] = lambda: None
    """How long ago the engine moved; None where that is not known."""
    reds: Callable[[str], Mapping[str, str]] = lambda node: {}
    """The occurrences of red alarms that stand where an edge node is, by alarm."""


@dataclass(slots=True)
class Gathered:
    """Data of one batch of messages, on their way to the log together, and the journals they belong to."""

    records: list[NewRecord] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)
    journals: dict[tuple[str, str], tuple[EdgeNode, Journal]] = field(default_factory=dict)


class Intake:
    """All edge nodes. Not thread-safe: whoever calls holds one lock (ingest.py), `done` callbacks included."""

    def __init__(
        self,
        log: Log,
        outside: Outside,
        now_ms: int,
        guarded: Callable[[Callable[[], None]], None],
        apart_ms: int = 0,
    ) -> None:
        """Go on from what the log has; `guarded` runs a callback under the caller's lock, on the committing thread.

        Patience runs by a clock that nobody sets: whoever calls keeps `apart_ms`, the host's clock minus that one.
        """
        self.apart_ms = apart_ms
        self._births = log.births
        self._outside = outside
        self._guarded = guarded
        self._gathered = Gathered()
        self.nodes: dict[str, EdgeNode] = {}
        self._asking: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.held_back = Pressure.NONE
        confirmed = [(c.node, c.epoch, c.intervals) for c in log.confirmed()]
        holes = log.holes()
        for known in log.nodes():
            group, name = known.split("/", 1)
            journals = journals_of(known, confirmed, holes)
            self.nodes[known] = EdgeNode(known, group, name, journals=journals, unheard_since_ms=now_ms - apart_ms)

    def receive(self, messages: Iterable[Message], now_ms: int) -> None:
        """Take messages of any edges, in their order; what is wrong with one does not hurt the others."""
        self._each(messages, self._receive, now_ms)

    def receive_stored(self, messages: Iterable[Message], now_ms: int) -> None:
        """Take messages that the broker has kept (MQTT's retain): they introduce a foreign edge, and are never live."""
        self._each(messages, self._receive_stored, now_ms)

    def _each(self, messages: Iterable[Message], receive: Callable[["Address", bytes, int], None], now_ms: int) -> None:
        for topic, payload in messages:
            try:
                receive(_address(topic), payload, now_ms)
            except LogClosed:
                raise
            except Exception as error:
                LOG.error("message not taken", bytes=len(payload), error=repr(error))
        self._log_gathered(now_ms)

    def _receive_stored(self, address: "Address", payload: bytes, now_ms: int) -> None:
        topic = address.topic
        if topic is None or len(payload) > LARGEST:
            return
        self.counts["stored_by_broker"] += 1
        if address.node in self.nodes or topic.type in (MessageType.NBIRTH, MessageType.DBIRTH):
            node = self._node(address.node, topic, now_ms)
            self._do_all(node, node.session.receive_stored(topic, payload, now_ms - self.apart_ms), now_ms)

    def _receive(self, address: "Address", payload: bytes, now_ms: int) -> None:
        if address.topic is None and not address.wrong:
            return
        self.counts["messages"] += 1
        if len(payload) > LARGEST:
            reason = f"{len(payload)} bytes are more than {LARGEST}"
            self._quarantine("", address.text, reason, payload[:1024], now_ms)
        elif address.topic is None:
            self._quarantine("", address.text, address.wrong, payload, now_ms)
        else:
            node = self._node(address.node, address.topic, now_ms)
            node.last_ms = now_ms
            self._do_all(node, node.session.receive(address.topic, payload, now_ms - self.apart_ms), now_ms)

    def tick(self, now_ms: int) -> None:
        """Let time pass: what sessions wait for, links, confirmations. Call it several times a second."""
        for node in list(self.nodes.values()):
            self._do_all(node, node.session.tick(now_ms - self.apart_ms), now_ms)
        self._log_gathered(now_ms)
        for node in silent_nodes(self.nodes.values(), now_ms - self.apart_ms, self._patience_ms()):
            self._link(node, False, "unheard since the cloud started", now_ms)
        self._watch_pressure(now_ms)
        self._ask_those_set_aside(now_ms)
        gap_ms = max(CONFIRM_MS, len(self.nodes) * SHARE_MS)
        for node in self.nodes.values():
            if node.owes:
                self._confirm(node, now_ms, gap_ms)
        self._tell_of_engine(now_ms)

    def ask_again(self, node: str) -> None:
        """Let a node be born anew, as something it said was set aside: its births say what stands. On any thread."""
        self._asking.add(node)

    def _ask_those_set_aside(self, now_ms: int) -> None:
        """Ask each at most once a minute: its birth may be what is set aside."""
        here_ms = now_ms - self.apart_ms
        for name in list(self._asking):
            node = self.nodes.get(name)
            if node is None or not node.link:
                self._asking.discard(name)  # the birth it comes back with says it all
            elif node.asked_ms is None or here_ms - node.asked_ms >= ASK_AGAIN_MS:
                self._asking.discard(name)
                node.asked_ms = here_ms
                self._request_rebirth(node, now_ms)

    def _tell_of_engine(self, now_ms: int) -> None:
        """Tell our edges how long ago the engine moved, and which reds stand where they are, each in its own turn."""
        gap_ms = max(WORD_MS, len(self.nodes) * SHARE_MS)
        due = [node for node in self.nodes.values() if node.word_due(now_ms - self.apart_ms, gap_ms)]
        age_ms = self._outside.engine_age_ms() if due else None
        if age_ms is None:
            return
        for node in due:
            reds = encode_reds(self._outside.reds(node.id))
            age = BirthMetric(ENGINE, SparkplugType.INT64, None, age_ms)
            said = command_payload([age, BirthMetric(RED, SparkplugType.STRING, None, reds)], now_ms)
            self._outside.publish(_ncmd(node), said)
            node.told_ms = now_ms - self.apart_ms

    def broker_lost(self, now_ms: int) -> None:
        """Call every link that is up lost: nothing can be heard."""
        for node in self.nodes.values():
            if node.link:
                self._link(node, False, "the broker is not reached", now_ms)

    def offsets(self) -> dict[str, int]:
        """Return edge clock minus host clock by node, where known."""
        known = ((node.id, node.clock.offset_ms(self.apart_ms)) for node in self.nodes.values())
        return {name: offset for name, offset in known if offset is not None}

    def _patience_ms(self) -> float:
        return 1.5 * 15_000

    def _node(self, name: str, topic: Topic, now_ms: int) -> EdgeNode:
        node = self.nodes.get(name)
        if node is None:
            node = self.nodes[name] = EdgeNode(name, topic.group, topic.node, unheard_since_ms=now_ms - self.apart_ms)
        node.group, node.name = topic.group, topic.node
        return node

    def _do_all(self, node: EdgeNode, effects: Iterable[Effect], now_ms: int) -> None:
        for effect in effects:
            try:
                self._do(node, effect, now_ms)
            except ValueError as error:
                payload = getattr(effect, "payload", b"")
                self._quarantine(node.id, f"{node.id} {type(effect).__name__}", str(error), payload, now_ms)

    def _do(self, node: EdgeNode, effect: Effect, now_ms: int) -> None:
        match effect:
            case Data():
                self._data(node, effect, now_ms)
            case Born():
                self._born(node, effect, now_ms)
            case DeviceBorn():
                self._device_born(node, effect, now_ms)
            case NodeDied():
                self._link(node, False, effect.reason, now_ms)
            case DeviceDied():
                said = {"op": "device_died", "node": node.id, "device": effect.device, "time_ms": effect.time_ms}
                self._submit([_record(RecordKind.CHANGE, said, now_ms, node.id)], now_ms)
            case RequestRebirth():
                self._request_rebirth(node, now_ms)
            case Quarantine():
                self._quarantine(node.id, effect.topic.text, effect.reason, effect.payload, now_ms)

    def _born(self, node: EdgeNode, born: Born, now_ms: int) -> None:
        if not born.again:
            if born.epoch is not None and born.epoch not in node.journals:
                node.journals[born.epoch] = Journal(born.epoch, Intervals(), Intervals())
                node.epoch_ms, node.epoch_here_ms = born.message.timestamp or 0, now_ms
            own, message = born.epoch is not None, born.message
            digest = outline(node.id, "", own, message)
            said = self._births.known(digest) or said_by_node(node.group, node.name, message, own)
            birth = self._birth(node, said, born.payload, born.birth, now_ms)
            node.controls = _controls(birth)
            self._look_for_used(node, born)
            node.owes = born.epoch is not None
        if not born.stored:
            self._link(node, True, "birth", now_ms)

    def _look_for_used(self, node: EdgeNode, born: Born) -> None:
        """See whether an edge gives numbers anew that are here: a journal that was restored from a copy does (S26)."""
        journal = node.journals.get(born.epoch or "")
        node.used = Intervals() if journal is None else used_beyond(journal, born.message.value(SENT))
        if node.used:
            LOG.warning("an edge's journal is an older copy of itself", node=node.id, used=str(node.used))

    def _device_born(self, node: EdgeNode, born: DeviceBorn, now_ms: int) -> None:
        if born.again:
            return
        own, message = node.session.own, born.message
        digest = outline(node.id, slug(born.device), own, message)
        said = self._births.known(digest) or said_by_device(node.group, node.name, born.device, message, own)
        self._birth(node, said, born.payload, born.birth, now_ms)
        alarms = message.find(LOCAL_ALARM) if own else None
        if alarms is not None and isinstance(alarms.value, str):
            told = {"op": "edge_alarms", "device": f"{node.id}/{slug(born.device)}", "said": alarms.value}
            stamped = {**told, "stamp_ms": alarms.time_ms or now_ms}
            self._submit([_record(RecordKind.CHANGE, stamped, now_ms, node.id, born.device)], now_ms)

    def _birth(self, node: EdgeNode, said: Said | Birth, payload: bytes, number: int, now_ms: int) -> Birth:
        """Log a birth. What was said before in the same words is stored once; the values of a foreign one are kept."""
        known = isinstance(said, Birth)
        birth = said if isinstance(said, Birth) else self._births.introduce(said, payload, now_ms)
        beside = NOTHING if known else Beside(births=[birth])
        body = b"" if known and birth.own else payload
        record = NewRecord(RecordKind.BIRTH, body, now_ms, node.id, birth.device, birth.id)
        node.births[number] = birth.id
        self._submit([record], now_ms, lambda _: self._guarded(lambda: self._owe(node)), beside)
        return birth

    def _owe(self, node: EdgeNode) -> None:
        node.owes = node.journal is not None

    def _data(self, node: EdgeNode, data: Data, now_ms: int) -> None:
        birth = node.births.get(data.birth)
        if birth is None:
            raise ValueError("its birth could not be read")
        if data.head.sent_ms is not None:
            node.clock.heard(data.head.sent_ms, now_ms - self.apart_ms)
        node.backlog = data.head.historical
        if not node.link:
            self._link(node, True, "data", now_ms)
        record = NewRecord(RecordKind.DATA, data.payload, now_ms, node.id, data.device or "", birth)
        journal = node.journal
        if journal is None or data.head.record is None:
            self.counts["unnumbered"] += 1
            self._gathered.records.append(record)
        else:
            self._numbered(node, journal, data, record, data.head.record, now_ms)

    def _numbered(
        self, node: EdgeNode, journal: Journal, data: Data, record: NewRecord, number: int, now_ms: int
    ) -> None:
        """Log a journal record once; what comes again is confirmed again and dropped.

        What was sent before a new journal was announced may carry a number of the old one: it is not taken, and its
        edge sends it again. That holds for the moments in which messages overtake each other: later, an older time
        only means that the edge's clock was set back (SAFETY S2).
        """
        if number in journal.seen:
            node.duplicates += 1
            self.counts["duplicates"] += 1
            node.owes = True
            return
        if self.held_back is Pressure.FULL or node.precedes_its_journal(data.head.sent_ms or 0, now_ms):
            self.counts["held_back"] += 1
            return
        holes = [] if data.device else self._holes(node, data, now_ms)  # before it counts as seen: it may be unreadable
        journal.seen = journal.seen.add(number)
        for hole in holes:
            if hole.epoch in node.journals:
                node.journals[hole.epoch].add_hole(hole)
        if journal.holes:
            journal.close_holes()
        node.records += 1
        self.counts["records"] += 1
        self._gathered.records.append(record)
        self._gathered.holes += holes
        self._gathered.journals[node.id, journal.epoch] = node, journal

    def _submit(
        self, records: Sequence[NewRecord], now_ms: int, done: Callable[[list[int]], None] | None = None,
        beside: Beside = NOTHING,
    ) -> None:  # fmt: skip
        """Queue records behind the data that came before them."""
        self._log_gathered(now_ms)
        self._outside.submit(records, done, beside)

    def _log_gathered(self, now_ms: int) -> None:
        """Queue the data that came, with the set of all numbers before and with them; once on disk, it is confirmed."""
        if not self._gathered.records:
            return
        gathered, self._gathered = self._gathered, Gathered()
        sets = [(node, journal, journal.seen) for node, journal in gathered.journals.values()]
        confirmed = [Confirmed(node.id, journal.epoch, numbers, now_ms) for node, journal, numbers in sets]

        def on_disk(_: list[int]) -> None:
            self._guarded(lambda: _settle(sets))

        beside = Beside(confirmed=confirmed, holes=gathered.holes) if sets else NOTHING
        self._outside.submit(gathered.records, on_disk if sets else None, beside)

    def _holes(self, node: EdgeNode, data: Data, now_ms: int) -> list[Hole]:
        """Return the holes a node's own data announce."""
        found = []
        for metric in decode(data.payload).metrics:
            name = metric.name or node.controls.get(-1 if metric.alias is None else metric.alias, "")
            if name == HOLE and isinstance(metric.value, str):
                found.append(hole_of(node.id, metric.value, now_ms))
        self.counts["holes"] += len(found)
        return found

    def _confirm(self, node: EdgeNode, now_ms: int, gap_ms: int) -> None:
        """Tell an edge everything of its journal that is on disk here, if it may be told now."""
        if not node.confirm_due(now_ms - self.apart_ms, gap_ms) or self.held_back is not Pressure.NONE:
            return
        journal = node.journal
        assert journal is not None
        text = Confirmation(journal.epoch, journal.settled).text
        metrics = [BirthMetric(CONFIRM, SparkplugType.STRING, None, text)]
        if node.used:
            told = Confirmation(journal.epoch, node.used).text
            metrics.append(BirthMetric(USED, SparkplugType.STRING, None, told))
        self._outside.publish(_ncmd(node), command_payload(metrics, now_ms))
        node.owes, node.confirmed_ms = False, now_ms - self.apart_ms
        self.counts["confirms"] += 1

    def _watch_pressure(self, now_ms: int) -> None:
        """Follow the monitor's lag; being behind is an alarm of its own (SAFETY S14)."""
        before, self.held_back = self.held_back, self._outside.pressure()
        if (before is Pressure.NONE) != (self.held_back is Pressure.NONE):
            active = self.held_back is not Pressure.NONE
            said = {"op": "report", "name": "lag", "active": active, "comment": "the monitor is behind the log"}
            self._submit([_record(RecordKind.CHANGE, said, now_ms)], now_ms)

    def _link(self, node: EdgeNode, up: bool, reason: str, now_ms: int) -> None:
        if node.link is up:
            return
        node.link = up
        said = {"node": node.id, "up": up, "reason": str(reason), "keepalive_s": node.session.keepalive_s}
        self._submit([_record(RecordKind.LINK, said, now_ms, node.id)], now_ms)

    def _request_rebirth(self, node: EdgeNode, now_ms: int) -> None:
        node.rebirths += 1
        self.counts["rebirth_requests"] += 1
        metric = BirthMetric(REBIRTH, SparkplugType.BOOLEAN, None, True)
        self._outside.publish(_ncmd(node), command_payload([metric], now_ms))

    def _quarantine(self, node: str, topic: str, reason: str, payload: bytes, now_ms: int) -> None:
        self.counts["quarantined"] += 1
        if node in self.nodes:
            self.nodes[node].quarantined += 1
        beside = Beside(quarantined=[Quarantined(now_ms, node, topic, reason, payload)])
        self._submit([], now_ms, beside=beside)


def _settle(sets: Iterable[tuple[EdgeNode, Journal, Intervals]]) -> None:
    """Take note that sets are on disk: their edges are owed a confirmation."""
    for node, journal, numbers in sets:
        journal.settled = numbers
        node.owes = True


class Address(NamedTuple):
    """What a topic says: of which node and what, or what is wrong with it; a host's own word is neither."""

    text: str
    node: str = ""
    topic: Topic | None = None
    wrong: str = ""


@lru_cache(maxsize=1 << 16)
def _address(topic: bytes) -> Address:
    """Read each topic once: an edge uses a few of them for ever.

    Raises UnicodeDecodeError; Mosquitto refuses such a client, not every broker does.
    """
    text = topic.decode()
    if host_of(text) is not None:
        return Address(text)
    try:
        parsed = parse_topic(text)
    except ValueError as error:
        return Address(text, wrong=str(error))
    return Address(text) if parsed.type.is_command else Address(text, node_id(parsed.group, parsed.node), parsed)


def _ncmd(node: EdgeNode) -> str:
    return Topic(MessageType.NCMD, node.group, node.name).text


def _controls(birth: Birth) -> dict[int, str]:
    """Return the edge's own metrics by alias."""
    triples = zip(birth.aliases, birth.indices, birth.names, strict=True)
    return {alias: name for alias, index, name in triples if index == CONTROL}


def _record(kind: RecordKind, said: Mapping[str, Any], now_ms: int, node: str = "", device: str = "") -> NewRecord:
    return NewRecord(kind, json.dumps(said, ensure_ascii=False).encode(), now_ms, node, device)
