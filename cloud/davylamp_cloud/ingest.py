"""The Sparkplug host application: an MQTT client around the intake, and the thread that lets its time pass.

```
broker ─► paho thread ─► Intake ─► GroupCommit ─► log
   ▲                        │ pulse thread: sessions, links, confirmations
   └── STATE, NCMD ─────────┘
```
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from davylamp_wire.config import secret_from
from davylamp_wire.topic import NAMESPACE, HostState, MessageType, state_topic
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from davylamp_cloud.bulk_client import BulkClient
from davylamp_cloud.config import BrokerConfig, MonitorConfig
from davylamp_cloud.group_commit import GroupCommit, LogClosed
from davylamp_cloud.intake import Intake, Outside, Pressure
from davylamp_cloud.log import Log
from davylamp_cloud.outcomes import Lag
from davylamp_cloud.packets import Message

LOG = structlog.get_logger()

HEARD = tuple(f"{NAMESPACE}/+/{kind}/#" for kind in MessageType if not kind.is_command)
"""What edges say. Commands are not asked for: the broker would send each of our own back to us."""

PULSE_S = 0.1
FULL = 4
"""So many times the bounded lag, and records an edge sends again are not even taken."""

BROKER_LOST_MS = 22_500
"""1.5 keepalives without the broker, and no edge's link can be called up."""

RECONNECT_S = (1, 5)


class Ingest:
    """Receives for all edges. Every touch of the intake is under one lock."""

    def __init__(
        self,
        host_id: str,
        broker: BrokerConfig,
        bounds: MonitorConfig,
        log: Log,
        commits: GroupCommit,
        lag: Callable[[], Lag],
        now_ms: Callable[[], int],
        failed: Callable[[BaseException], None],
        engine_age_ms: Callable[[], int | None] = lambda: None,
        reds: Callable[[str], Mapping[str, str]] = lambda node: {},
    ) -> None:
        """`failed` is called when time can pass no more for the sessions; the process must stop then."""
        self._failed = failed
        self._host_id = host_id
        self._broker = broker
        self._bounds = bounds
        self._lag = lag
        self._commits = commits
        self._now_ms = now_ms
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._connected = False
        self._lost_ms: int | None = None
        self._away_told = False
        self._state_ms = now_ms()
        self._began_ms = _steady_ms()
        self._client = _client(host_id, broker)
        self._receiver: threading.Thread | None = None
        outside = Outside(commits.submit, self._publish, self._pressure, engine_age_ms, reds)
        self._intake = Intake(log, outside, now_ms(), self._guarded, now_ms() - _steady_ms())
        self._pulse = threading.Thread(target=self._run, name="ingest-pulse", daemon=True)

    def start(self) -> None:
        """Connect, and keep connecting; edges hear at once that the host is there."""
        self._lost_ms = _steady_ms()
        client = self._client
        client.on_pre_connect = self._on_pre_connect
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_messages = self._on_messages
        client.on_stored = self._on_stored
        client.connect_async(self._broker.host, self._broker.port, self._broker.keepalive_s)
        client.loop_start()
        self._pulse.start()

    def stop(self) -> None:
        """Say goodbye (STATE offline, so that edges hold what they have) and disconnect."""
        self._stopping.set()
        if self._pulse.is_alive():
            self._pulse.join()
        if self._connected:
            self._say(online=False)
        self._client.disconnect()
        self._client.loop_stop()
        self._let_go()

    def _let_go(self) -> None:
        """Drop the client, whose wake-up sockets close only with its last reference (paho 2.2)."""
        client = self._client
        client.on_pre_connect = client.on_connect = client.on_connect_fail = client.on_disconnect = None
        client.on_messages = client.on_stored = _nobody
        del self._client

    def ask_again(self, node: str) -> None:
        """Have a node say anew what stands, at the next pulse: something it said was set aside."""
        self._intake.ask_again(node)

    def offsets(self) -> Mapping[str, int]:
        """Return edge clock minus host clock by node, in milliseconds."""
        with self._lock:
            self._clocked()
            return self._intake.offsets()

    def status(self) -> Mapping[str, Any]:
        """Return counters, and how each edge fares."""
        with self._lock:
            nodes = {
                node.id: {
                    "online": bool(node.link),
                    "own": node.session.own,
                    "backlog": node.backlog,
                    "last_ms": node.last_ms,
                    "clock_offset_ms": node.clock.offset_ms(self._intake.apart_ms),
                    "records": node.records,
                    "duplicates": node.duplicates,
                    "quarantined": node.quarantined,
                    "rebirth_requests": node.rebirths,
                    "seq_gaps": node.session.gaps,
                    "late_wills": node.session.late_wills,
                    "unsettled_holes": 0 if node.journal is None else len(node.journal.holes),
                }
                for node in self._intake.nodes.values()
            }
            pressure = str(self._intake.held_back)
            return {"connected": self._connected, "pressure": pressure, **self._intake.counts, "nodes": nodes}

    def _run(self) -> None:
        while not self._stopping.wait(PULSE_S):
            try:
                with self._lock:
                    now_ms = self._clocked()
                    self._intake.tick(now_ms)
                    if self._lost_ms is not None and _steady_ms() - self._lost_ms > BROKER_LOST_MS:
                        self._intake.broker_lost(now_ms)
                self._look_at_receiver()
            except LogClosed:
                return
            except BaseException as error:
                self._failed(error)
                return

    def _look_at_receiver(self) -> None:
        """Notice where paho's thread has ended: nothing would be received any more, and nobody told (SAFETY S13).

        It is known from its first callback, which paho calls before each attempt to connect.
        """
        receiver = self._receiver
        if receiver is not None and not receiver.is_alive() and not self._stopping.is_set():
            raise RuntimeError("the thread that receives from the broker has ended")

    def _clocked(self) -> int:
        """Return the host's time, having told the intake how far it is from the clock nobody sets."""
        now_ms = self._now_ms()
        self._intake.apart_ms = now_ms - _steady_ms()
        return now_ms

    def _pressure(self) -> Pressure:
        """Return how far behind the cloud is; what still waits for the disk counts as well as what is on it.

        What waited while no cloud ran is no lag of this one: it would refuse the first alarms after a long stop.
        """
        lag, bounds = self._lag(), self._bounds
        waiting = lag.records + self._commits.queued
        waited_s = min(lag.ms, _steady_ms() - self._began_ms) / 1000
        if waiting > FULL * bounds.max_lag_records or waited_s > FULL * bounds.max_lag_s:
            return Pressure.FULL
        behind = waiting > bounds.max_lag_records or waited_s > bounds.max_lag_s
        return Pressure.HOLD if behind else Pressure.NONE

    def _guarded(self, work: Callable[[], None]) -> None:
        with self._lock:
            work()

    def _publish(self, topic: str, payload: bytes) -> None:
        """Send a command; one that does not get through is asked for again by what is missing (docs/wire.md)."""
        if self._connected:
            self._client.publish(topic, payload, qos=0, retain=False)

    def _say(self, *, online: bool) -> None:
        """Publish the host's STATE, retained, with the time its will carries (Sparkplug 3.0, 5.13)."""
        payload = HostState(online, self._state_ms).encode()
        told = self._client.publish(state_topic(self._host_id), payload, qos=1, retain=True)
        if not online:
            told.wait_for_publish(2.0)

    def _on_pre_connect(self, client: Client, _: object) -> None:
        """Set a new will for every connection: a stale one would call a living host dead."""
        self._receiver = threading.current_thread()
        self._state_ms = max(self._now_ms(), self._state_ms + 1)
        client.will_set(state_topic(self._host_id), HostState(False, self._state_ms).encode(), qos=1, retain=True)

    def _on_connect(
        self, client: Client, _: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            LOG.warning("broker refuses", broker=self._broker.host, reason=str(reason))
            return
        client.subscribe([(topic, 1) for topic in (*HEARD, state_topic(self._host_id))])
        self._connected = True
        if self._lost_ms is not None:
            LOG.info("broker connected", broker=self._broker.host, after_ms=_steady_ms() - self._lost_ms)
        self._lost_ms = None
        self._away_told = False
        self._say(online=True)

    def _on_connect_fail(self, client: Client, _: object) -> None:
        """Say once that there is no broker; paho goes on trying. It calls this while it handles the error."""
        if not self._away_told and not self._stopping.is_set():
            LOG.warning(
                "broker unreachable, trying on",
                broker=f"{self._broker.host}:{self._broker.port}",
                error=str(sys.exception() or ""),
            )
        self._away_told = True

    def _on_disconnect(
        self, client: Client, _: object, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if self._connected and not self._stopping.is_set():
            LOG.warning("broker lost", broker=self._broker.host, reason=str(reason))
            self._away_told = True
        self._connected = False
        if self._lost_ms is None:
            self._lost_ms = _steady_ms()

    def _on_messages(self, messages: Sequence[Message]) -> None:
        """Take messages, in their order. Nothing that is wrong with one may end the thread that receives the rest."""
        self._hand_on(messages, self._intake.receive)

    def _on_stored(self, messages: Sequence[Message]) -> None:
        """Take messages that the broker has kept, of nobody knows when."""
        self._hand_on(messages, self._intake.receive_stored)

    def _hand_on(self, messages: Sequence[Message], receive: Callable[[list[Message], int], None]) -> None:
        own_state = state_topic(self._host_id).encode()
        try:
            with self._lock:
                receive([message for message in messages if message[0] != own_state], self._clocked())
        except LogClosed:
            return
        for topic, payload in messages:
            if topic == own_state:
                self._on_own_state(payload)

    def _on_own_state(self, payload: bytes) -> None:
        """Contradict a late will that calls this host dead (Sparkplug 3.0, 5.13)."""
        try:
            said = HostState.decode(payload)
        except ValueError:
            said = HostState(False, 0)
        if not said.online and not self._stopping.is_set():
            # Before this run the clock may have been ahead, and edges pass over what is older than that.
            if said.timestamp_ms > self._state_ms:
                self._state_ms = said.timestamp_ms + 1
            self._say(online=True)


def _nobody(_: Sequence[Message]) -> None:
    """Take messages that nobody waits for any more."""


def _steady_ms() -> int:
    """Return milliseconds of a clock nobody sets."""
    return round(time.monotonic() * 1000)


def _client(host_id: str, broker: BrokerConfig) -> BulkClient:
    client = BulkClient(
        CallbackAPIVersion.VERSION2,
        client_id=f"davylamp-host-{host_id}",
        clean_session=True,
        protocol=MQTTProtocolVersion.MQTTv311,
    )
    client.reconnect_delay_set(*RECONNECT_S)
    if broker.username is not None:
        password = secret_from(broker.password_file, None, "broker.password_file")
        client.username_pw_set(broker.username, None if password is None else password.get_secret_value())
    if broker.tls is not None:
        tls = broker.tls
        client.tls_set(str(tls.ca_file), _text(tls.cert_file), _text(tls.key_file))
    return client


def _text(path: object) -> str | None:
    return None if path is None else str(path)
