"""The MQTT connection: paho in its own thread, made safe for a Sparkplug session.

What paho does in its thread becomes an event for the publisher; nothing else happens in its callbacks, and no
exception leaves them, for that would end the thread (paho 2.2). The gate closes before paho can reconnect, so that
data of one session never slips in front of the birth of the next.
"""

import contextlib
import functools
import random
import socket
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec

import paho.mqtt.client as mqtt
import structlog
from davylamp_wire.payload import death_payload
from davylamp_wire.topic import MessageType, Topic, state_topic
from paho.mqtt.enums import CallbackAPIVersion

from davylamp_edge.backoff import FIRST_S, LONGEST_S
from davylamp_edge.config import EdgeConfig
from davylamp_edge.dial import dial
from davylamp_edge.expiry import Certificates
from davylamp_edge.packet import packet
from davylamp_edge.tls import context_of, load_own
from davylamp_edge.ways import Ways

log = structlog.get_logger(__name__)

OUTSTANDING_BYTES = 512 * 1024
OUTSTANDING_MESSAGES = 256
"""Most that may wait in paho for the socket: its queue of QoS 0 messages knows no bound of its own."""

CONNECT_TIMEOUT_S = 5.0
STOP_S = 3.0
"""How long a stop waits for the last messages to leave before it cuts the connection."""


@dataclass(frozen=True, slots=True)
class Connecting:
    """A CONNECT is about to be sent; its will carries `bd_seq`."""

    bd_seq: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker took us in; `connection` is which of our connections this is."""

    connection: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended, or could not be made."""

    reason: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message for us, and when it came, by the wall's clock and by one that nobody sets."""

    topic: str
    payload: bytes
    at_ms: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Drained:
    """There is room for more."""


Event = Connecting | Connected | Lost | Arrived | Drained

P = ParamSpec("P")


def guarded(callback: Callable[P, None]) -> Callable[P, None]:
    """Keep an exception in a callback from ending paho's thread."""

    @functools.wraps(callback)
    def safe(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(*args, **kwargs)
        except Exception:
            log.exception("mqtt callback failed", callback=callback.__name__)

    return safe


def pause_s(failures: int, jitter: float) -> float:
    """Return how long to wait before the next attempt: 1 s, doubling to 30 s, drawn from its upper half.

    Without the jitter, every edge of a site would knock at the same moment when the broker is back.
    """
    longest_s = min(LONGEST_S, FIRST_S * 2.0 ** min(failures, 16))
    return max(FIRST_S, longest_s * (0.5 + jitter / 2))


class _Client(mqtt.Client):
    """paho's client on sockets of ours: it could bind its own to no interface, and never changes the server."""

    def __init__(self, opened: Callable[[], socket.socket], client_id: str) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True, protocol=mqtt.MQTTv311)
        self._opened = opened

    def _create_socket(self) -> socket.socket:
        return self._opened()

    def queue(self, packets: bytes) -> bool:
        """Queue PUBLISH packets of QoS 0; False where there is no connection. One `on_publish` tells of all of them.

        For each message by itself paho makes a dozen objects, wakes its thread and writes: 0.1 ms.
        """
        if self._sock is None:
            return False
        self._packet_queue(mqtt.PUBLISH, packets, 0, 0, mqtt.MQTTMessageInfo(0))
        return True


class Link:
    """One connection to the broker, kept up until stopped, by whichever way is to be taken.

    Args:
        bd_seq: Gives the bdSeq of each CONNECT, on disk before it returns.
        post: Takes events, from paho's thread.
        certificates: Learns when the broker's certificate ends.
        ways: Says which way to take, and learns how it went.
    """

    def __init__(
        self,
        config: EdgeConfig,
        bd_seq: Callable[[], int],
        post: Callable[[Event], None],
        now_ms: Callable[[], int],
        jitter: Callable[[], float] = random.random,
        certificates: Certificates | None = None,
        ways: Ways | None = None,
    ) -> None:
        self._config = config
        self._certificates = certificates or Certificates()
        self._ways = ways or Ways(config.broker)
        self._tls: dict[str, ssl.SSLContext] = {}
        self._bd_seq = bd_seq
        self._post = post
        self._now_ms = now_ms
        self._jitter = jitter
        self._gate = threading.Lock()
        self._connection = 0
        self._open = False
        self._parcels: deque[tuple[int, int]] = deque()
        """Messages and bytes of each write that waits in paho."""
        self._messages = self._outstanding = 0
        self._full = False
        self._failures = 0
        self._given_up = False
        self._client: _Client | None = None

    def change(self, config: EdgeConfig) -> None:
        """Connect as another config says, from the next `start` on."""
        self._config = config
        self._ways.become(config.broker)
        self._failures = 0

    def _make_client(self) -> _Client:
        broker = self._config.broker
        client = _Client(self._dial, f"davylamp-edge-{self._config.group}-{self._config.node}")
        password = broker.password()
        if broker.username is not None:
            client.username_pw_set(broker.username, password.get_secret_value() if password else None)
        self._tls = {way.name: context_of(way.tls) for way in self._ways.all if way.tls is not None}
        client.on_pre_connect = self._on_pre_connect
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    def start(self) -> None:
        """Connect, and again whenever the connection ends."""
        broker = self._config.broker
        # A client of its own for each start: paho forgets to close the pair of sockets of the one before.
        self._client = self._make_client()
        self._client.connect_async(broker.host, broker.port, keepalive=broker.keepalive_s)
        self._client.loop_start()

    def open(self, connection: int) -> bool:
        """Subscribe to what concerns us, then let messages through; False where that connection is gone already."""
        with self._gate:
            self._open = connection == self._connection and self._client is not None
            if self._open and self._client is not None and not self._config.one_way:
                self._client.subscribe([(topic, 1) for topic in self._topics()])
            return self._open

    def _topics(self) -> list[str]:
        group, node, host = self._config.group, self._config.node, self._config.primary_host
        commands = Topic(MessageType.NCMD, group, node).text
        of_devices = Topic(MessageType.DCMD, group, node, "every").text.removesuffix("every") + "+"
        return [commands, of_devices, *([state_topic(host)] if host is not None else [])]

    @property
    def has_room(self) -> bool:
        """Whether paho has little enough waiting; if not, a `Drained` follows."""
        with self._gate:
            self._full = self._outstanding >= OUTSTANDING_BYTES or self._messages >= OUTSTANDING_MESSAGES
            return not self._full

    def publish(self, topic: str, payload: bytes) -> bool:
        """Queue a message as `publish_together` does."""
        return self.publish_together([packet(topic.encode(), payload)])

    def publish_together(self, packets: Sequence[bytes]) -> bool:
        """Queue messages in their order, at QoS 0, unretained; False where the session is over (Sparkplug 3.0, 6.4)."""
        together = b"".join(packets)
        with self._gate:
            if not self._open or self._client is None:
                return False
            # Counted before it is queued: paho may have written it before queue() returns.
            self._parcels.append((len(packets), len(together)))
            self._messages += len(packets)
            self._outstanding += len(together)
            if not self._client.queue(together):
                self._close()
                return False
            return True

    def end(self) -> None:
        """Disconnect; what was published before leaves first. The broker then keeps our will to itself."""
        client, self._client = self._client, None
        if client is None:
            return
        with self._gate:
            self._open = False
        client.disconnect()
        self._join(client)
        with self._gate:
            self._close()
        # paho closes its pair of sockets when it is collected, and its callbacks are what keeps it from that.
        client.on_pre_connect = client.on_connect = client.on_connect_fail = None
        client.on_disconnect = client.on_message = client.on_publish = None

    def _join(self, client: mqtt.Client) -> None:
        """Wait for paho's thread; a broker that takes nothing any more must not hold us for a keepalive."""
        watchdog = threading.Timer(STOP_S, _cut, [client])
        watchdog.start()
        client.loop_stop()
        watchdog.cancel()
        watchdog.join()

    def _close(self) -> None:
        """Let nothing through any more; what paho holds is of a session that is over."""
        self._connection += 1
        self._open = False
        self._parcels.clear()
        self._messages = self._outstanding = 0

    # In paho's thread

    def _dial(self) -> socket.socket:
        way = self._ways.current
        return dial(way, self._tls.get(way.name), CONNECT_TIMEOUT_S)

    @guarded
    def _on_pre_connect(self, client: mqtt.Client, _userdata: Any) -> None:
        with self._gate:
            self._close()
        client.drop_out_messages()
        self._given_up = False
        self._renew()
        bd_seq = self._bd_seq()
        topic = Topic(MessageType.NDEATH, self._config.group, self._config.node).text
        client.will_set(topic, death_payload(bd_seq, self._now_ms()), qos=1, retain=False)
        self._post(Connecting(bd_seq))

    def _renew(self) -> None:
        """Take our certificate from its file again: a renewed one counts from this connection on."""
        way = self._ways.current
        if way.tls is None:
            return
        try:
            load_own(self._tls[way.name], way.tls)
        except OSError as error:
            log.warning("certificate cannot be loaded, going on with the one before", error=str(error))

    @guarded
    def _on_connect(self, client: mqtt.Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._failed(client, str(reason))
            return
        self._failures = 0
        self._ways.connected()
        self._post(Connected(self._connection))
        sock = client.socket()
        if isinstance(sock, ssl.SSLSocket) and (der := sock.getpeercert(binary_form=True)):
            self._certificates.saw("broker", der, self._now_ms())

    @guarded
    def _on_connect_fail(self, client: mqtt.Client, _userdata: Any) -> None:
        # Called while paho handles it: without its words nobody could tell a certificate from a cable.
        error = sys.exception()
        way = self._ways.current
        unreachable = f"broker {way.host}:{way.port} unreachable"
        self._failed(client, unreachable if error is None else f"{unreachable}: {error}")

    @guarded
    def _on_disconnect(self, client: mqtt.Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        # paho drops what the socket said and calls every loss unspecified.
        self._failed(client, "connection lost" if reason.getName() == "Unspecified error" else str(reason))

    def _failed(self, client: mqtt.Client, reason: str) -> None:
        with self._gate:
            self._close()
        # A refusal is told twice, as an answer and as an end; an end of our own is no fault of the way.
        if not self._given_up and client is self._client:
            self._given_up = True
            self._rest(client, at_once=self._ways.failed(reason))
        self._post(Lost(reason))

    def _rest(self, client: mqtt.Client, at_once: bool) -> None:
        """Tell paho how long to wait before it connects again."""
        pause = 0.0 if at_once else pause_s(self._failures, self._jitter())
        self._failures += not at_once
        # Equal ends make paho take this value as it is; it is annotated int and only ever added to a clock.
        client.reconnect_delay_set(pause, pause)  # type: ignore[arg-type]  # typed int, takes any number

    @guarded
    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        self._post(Arrived(message.topic, bytes(message.payload), self._now_ms(), time.monotonic()))

    @guarded
    def _on_publish(self, _client: mqtt.Client, _userdata: Any, _mid: int, _reason: Any, _properties: Any) -> None:
        with self._gate:
            if self._parcels:
                messages, size = self._parcels.popleft()
                self._messages -= messages
                self._outstanding -= size
            drained = self._full and self._messages < OUTSTANDING_MESSAGES // 2
            drained = drained and self._outstanding < OUTSTANDING_BYTES // 2
            self._full = self._full and not drained
        if drained:
            self._post(Drained())


def _cut(client: mqtt.Client) -> None:
    sock = client.socket()
    if isinstance(sock, socket.socket):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
