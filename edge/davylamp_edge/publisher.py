"""What the edge says, as messages: births, records, heartbeats, deaths, each with the next seq, in wire order.

Used by the uplink's thread alone; a seq that was given is never given to another message of the session.
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
from davylamp_edge.records import NODE, Record

IDLE_SHARE = 0.5
"""A heartbeat goes out after this share of the keepalive without a message."""


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

    def _birth(self, topic: Topic, metrics: Sequence[BirthMetric]) -> None:
        self._publish(topic, lambda seq, now_ms: birth_payload(metrics, seq=seq, sent_ms=now_ms))

    def node_death(self) -> None:
        """Publish the NDEATH ourselves: a broker drops the will of a client that disconnects in good order."""
        self._link.publish(self._topic(MessageType.NDEATH).text, death_payload(self._session.bd_seq, self._now_ms()))

    def device_birth(self, device: str) -> None:
        """Publish one device's DBIRTH in the middle of a session: something else is to be said about it."""
        self._birth(self._topic(MessageType.DBIRTH, device), self.births.device(device))
        self.count.births += 1

    def device_death(self, device: str) -> None:
        """Publish a DDEATH: the device was taken out of the config and its last records are confirmed."""
        topic = self._topic(MessageType.DDEATH, device)
        self._publish(topic, lambda seq, now_ms: device_death_payload(seq=seq, sent_ms=now_ms))

    def record(self, record: Record, historical: bool) -> bool:
        """Publish a record under its number; its metrics are marked where it is backlog."""
        body = record_metric(self._record_alias(record.device), record.number, record.first_ms) + record.body
        if historical:
            body = mark_historical(body)
        sent = self._data(record.device, body)
        self.count.records += sent
        self.count.historical += sent and historical
        return sent

    def beat(self, clock_offset_ms: int | None) -> None:
        """Say the clock's offset when there has been nothing else to say: silence is how the cloud notices a death."""
        if time.monotonic() < self.beat_due_s:
            return
        alias = self.births.clock_alias
        reading = Readings([alias], [self._now_ms()], [clock_offset_ms or 0], [GOOD])
        self.count.beats += self._data(NODE, metrics_body(reading, {alias: SparkplugType.INT64}))

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

    def _data(self, device: str, body: bytes) -> bool:
        topic = self._topic(MessageType.NDATA) if device == NODE else self._topic(MessageType.DDATA, device)
        return self._publish(topic, lambda seq, now_ms: data_payload(body, seq=seq, sent_ms=now_ms))

    def _topic(self, kind: MessageType, device: str | None = None) -> Topic:
        return Topic(kind, self._config.group, self._config.node, device)

    def _publish(self, topic: Topic, payload: Callable[[int, int], bytes]) -> bool:
        """Give the next seq to a message and publish it; the order here is the order on the wire."""
        sent = self._link.publish(topic.text, payload(self._session.next_seq(), self._now_ms()))
        if sent:
            self._last_s = time.monotonic()
        return sent
