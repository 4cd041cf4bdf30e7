"""What the edge says, as messages: births, records, heartbeats, deaths, each with the next seq, in wire order.

Records wait for `send`, so that many go out in one write; all else goes at once, behind what waits. Used by the
uplink's thread alone; a seq that was given is never given to another message of the session.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from davylamp_wire.edge_session import EdgeSession
from davylamp_wire.payload import (
    BirthMetric,
    SparkplugType,
    birth_payload,
    data_payload,
    death_payload,
    device_death_payload,
    mark_historical,
    metrics_body,
    record_metric,
)
from davylamp_wire.quality import GOOD
from davylamp_wire.reading import Readings
from davylamp_wire.topic import MessageType, Topic

from davylamp_edge.birth import Births
from davylamp_edge.config import EdgeConfig
from davylamp_edge.journal import Journal
from davylamp_edge.link import Link
from davylamp_edge.packet import packet
from davylamp_edge.records import NODE, Record

IDLE_SHARE = 0.5
"""A heartbeat goes out after this share of the keepalive without a message."""

MOST_TOGETHER, MOST_BYTES = 64, 64 * 1024
"""Records and bytes in one write; a live record that comes meanwhile waits for it."""


@dataclass(slots=True)
class Published:
    """What was published, for the status page."""

    records: int = 0
    historical: int = 0
    births: int = 0
    beats: int = 0


class Publisher:
    """Makes each message and publishes it on the link; each says whether the session still stood."""

    def __init__(
        self,
        config: EdgeConfig,
        journal: Journal,
        births: Births,
        session: EdgeSession,
        link: Link,
        now_ms: Callable[[], int],
        count: Published | None = None,
    ) -> None:
        self._config = config
        self._journal = journal
        self.births = births
        self._session = session
        self._link = link
        self._now_ms = now_ms
        self._record_aliases: dict[str, int] = {}
        self._topics: dict[str, bytes] = {}
        self._packets: list[bytes] = []
        self._size = self._highest = 0
        self._last_s = 0.0
        self.count = count or Published()

    def be_born(self, clock_offset_ms: int | None) -> None:
        """Publish the NBIRTH and every DBIRTH."""
        keepalive_s = self._config.broker.keepalive_s
        node = self.births.node(self._session.bd_seq, keepalive_s, clock_offset_ms)
        self._birth(self._topic(MessageType.NBIRTH), node)
        for device, metrics in self.births.devices():
            self._birth(self._topic(MessageType.DBIRTH, device), metrics)
        self.count.births += 1

    def _birth(self, topic: bytes, metrics: Sequence[BirthMetric]) -> None:
        self._publish(topic, birth_payload(metrics, seq=self._session.next_seq(), sent_ms=self._now_ms()))

    def node_death(self) -> None:
        """Publish the NDEATH ourselves: a broker drops the will of a client that disconnects in good order."""
        self._publish(self._topic(MessageType.NDEATH), death_payload(self._session.bd_seq, self._now_ms()))

    def device_birth(self, device: str) -> None:
        """Publish one device's DBIRTH in the middle of a session: something else is to be said about it."""
        self._birth(self._topic(MessageType.DBIRTH, device), self.births.device(device))
        self.count.births += 1

    def device_death(self, device: str) -> None:
        """Publish a DDEATH: the device was taken out of the config and its last records are confirmed."""
        payload = device_death_payload(seq=self._session.next_seq(), sent_ms=self._now_ms())
        self._publish(self._topic(MessageType.DDEATH, device), payload)

    def record(self, record: Record, historical: bool) -> None:
        """Take a record under its number for the next `send`; its metrics are marked where it is backlog."""
        body = record_metric(self._record_alias(record.device), record.number, record.first_ms) + record.body
        self._add(self._data_topic(record.device), self._payload(mark_historical(body) if historical else body))
        self._highest = max(self._highest, record.number)
        self.count.records += 1
        self.count.historical += historical

    @property
    def is_full(self) -> bool:
        """Whether as much waits as should go out together."""
        return len(self._packets) >= MOST_TOGETHER or self._size >= MOST_BYTES

    def send(self) -> bool:
        """Publish what waits; return whether the session still stood."""
        packets, highest = self._packets, self._highest
        self._packets, self._size, self._highest = [], 0, 0
        if not packets:
            return True
        sent = self._link.publish_together(packets)
        if sent:
            self._last_s = time.monotonic()
            self._journal.sent_upto = max(self._journal.sent_upto, highest)
        return sent

    def beat(self, clock_offset_ms: int | None) -> None:
        """Say the clock's offset when there has been nothing else to say: silence is how the cloud notices a death."""
        if time.monotonic() < self.beat_due_s:
            return
        alias = self.births.clock_alias
        reading = Readings([alias], [self._now_ms()], [clock_offset_ms or 0], [GOOD])
        body = metrics_body(reading, {alias: SparkplugType.INT64})
        self.count.beats += self._publish(self._data_topic(NODE), self._payload(body))

    @property
    def beat_due_s(self) -> float:
        """When the next heartbeat is due, if nothing is said before."""
        return self._last_s + IDLE_SHARE * self._config.broker.keepalive_s

    def _record_alias(self, device: str) -> int:
        # Remembered here: the journal's lock is held while the disk works, and live records must not wait for that.
        alias = self._record_aliases.get(device)
        if alias is None:
            alias = self._record_aliases[device] = self._journal.record_alias(device)
        return alias

    def _data_topic(self, device: str) -> bytes:
        topic = self._topics.get(device)
        if topic is None:
            topic = self._topic(MessageType.NDATA) if device == NODE else self._topic(MessageType.DDATA, device)
            self._topics[device] = topic
        return topic

    def _payload(self, body: bytes) -> bytes:
        """Return a data payload with the next seq."""
        return data_payload(body, seq=self._session.next_seq(), sent_ms=self._now_ms())

    def _topic(self, kind: MessageType, device: str | None = None) -> bytes:
        return Topic(kind, self._config.group, self._config.node, device).text.encode()

    def _publish(self, topic: bytes, payload: bytes) -> bool:
        """Publish a message behind what waits; the order here is the order on the wire."""
        self._add(topic, payload)
        return self.send()

    def _add(self, topic: bytes, payload: bytes) -> None:
        self._packets.append(packet(topic, payload))
        self._size += len(payload)
