"""The publisher: one thread that owns the Sparkplug session and is the only one to give a seq.

    writer ─ offer ─► inbox ─┐
    paho ── events ─► inbox ─┴─► session, outgoing ─► births, records, heartbeats ─► link

It wakes when something happens or falls due, never to look around.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from davylamp_wire.edge_session import BIRTH_EVERY_MS, REBIRTH_GAP_MS, EdgeAction, EdgeSession
from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import CONFIRM, ENGINE, REBIRTH, RED, USED, Message, decode
from davylamp_wire.red import decode_reds
from davylamp_wire.topic import HostState, MessageType, Topic, host_of, parse_topic

from davylamp_edge.birth import Births
from davylamp_edge.clock import ClockOffset
from davylamp_edge.config import EdgeConfig
from davylamp_edge.confirm import confirmed_set
from davylamp_edge.expiry import Certificates
from davylamp_edge.inbox import Inbox
from davylamp_edge.journal import Journal
from davylamp_edge.link import Arrived, Connected, Connecting, Drained, Event, Link, Lost
from davylamp_edge.outgoing import Outgoing
from davylamp_edge.publisher import Published, Publisher
from davylamp_edge.records import Record
from davylamp_edge.reload import uplink_differs
from davylamp_edge.report import utc_ms
from davylamp_edge.sending import Sending, monotonic_ms
from davylamp_edge.standing import EngineWord
from davylamp_edge.ways import Ways

log = structlog.get_logger(__name__)

FAILED_S = 1.0
"""How long to leave it alone after an error."""

FULL_S = 0.01
"""How long the last words wait at a time for room on the link."""

LAST_WORDS_S = 2.0
"""How long a stop goes on sending what is live before it says goodbye."""


@dataclass(slots=True)
class UplinkCounters:
    """What happened to the session, for the status page."""

    connects: int = 0
    losses: int = 0
    confirmations: int = 0
    refused_commands: int = 0
    dropped_commands: int = 0
    failures: int = 0
    """Errors that ended the session from within, a config's secret that cannot be read included."""


def _as_it_is(record: Record) -> Record:
    return record


class Uplink:
    """Sends what the journal holds, live first, and keeps what the cloud confirms.

    `stamped` gives a record the stamps it should have, at the moment it is sent.
    """

    def __init__(
        self,
        config: EdgeConfig,
        journal: Journal,
        births: Births,
        *,
        now_ms: Callable[[], int] = utc_ms,
        stamped: Callable[[Record], Record] = _as_it_is,
    ) -> None:
        self._config = config
        self._journal = journal
        self._births = births
        self._now_ms = now_ms
        self._stamped = stamped
        self._session = _session_of(config)
        self.certificates = Certificates()
        self.ways = Ways(config.broker)
        self._link = Link(
            config, journal.next_bd_seq, self._post, now_ms, certificates=self.certificates, ways=self.ways
        )
        self._inbox = Inbox(is_new=journal.last_record == 0)
        self._failed = False
        self._sending = self._made_sending(Published())
        self._thread = threading.Thread(target=self._run, name="uplink")
        self._lost_s: float | None = None
        self.clock = ClockOffset()
        self.engine = EngineWord()
        self.counters = UplinkCounters()

    def _made_sending(self, count: Published) -> Sending:
        publisher = Publisher(self._config, self._journal, self._births, self._session, self._link, self._now_ms, count)
        return Sending(self._journal, _outgoing_of(self._config), publisher, self._stamped)

    # From other threads

    def start(self) -> None:
        """Connect, and publish from now on."""
        self._thread.start()
        self._link.start()

    def offer(self, records: Sequence[Record]) -> None:
        """Take records that are on disk; while no session stands they are left to the backlog."""
        self._inbox.offer(records)

    def follow(self, config: EdgeConfig, births: Births) -> None:
        """Say what another config says, before any record that is offered from now on."""
        self._inbox.follow((config, births))

    def stop(self) -> None:
        """Send what is live, say goodbye with an NDEATH, disconnect."""
        self._inbox.stop()
        if self._thread.is_alive():
            self._thread.join()
        self._link.end()

    @property
    def state(self) -> str:
        """The session's state, as a word."""
        return self._session.state.value

    @property
    def published(self) -> Published:
        """What was published since the start."""
        return self._sending.publisher.count

    @property
    def in_flight(self) -> int:
        """Records sent and not confirmed."""
        return self._sending.outgoing.in_flight

    @property
    def backlog_rate(self) -> float:
        """Backlog records a second that the way to the cloud takes now."""
        return self._sending.outgoing.backlog_rate

    @property
    def resent(self) -> int:
        """Records sent again since the last birth."""
        return self._sending.outgoing.resent

    def _post(self, event: Event) -> None:
        self.counters.dropped_commands += self._inbox.post(event)

    # The publisher's thread

    @property
    def _publisher(self) -> Publisher:
        return self._sending.publisher

    def _run(self) -> None:
        rest_until_s: float | None = None
        while not self._inbox.wait(rest_until_s, heeds=not self._failed):
            try:
                if self._failed:
                    self._begin_anew()
                    self._failed = False
                rest_until_s = self._turn()
            except Exception:
                # An error nobody foresaw must not leave the edge mute: end the session, begin a new one.
                self._fail()
                rest_until_s = time.monotonic() + FAILED_S
        self._say_goodbye()

    def _fail(self) -> None:
        """Say it once, and have the session begin anew: again and again, for what failed may be the beginning."""
        if not self._failed:
            self.counters.failures += 1
            log.exception("uplink failed, starting its session anew")
        self._failed = True
        self._inbox.close()
        self._session.lost()

    def _turn(self) -> float | None:
        """Do everything there is to do; return when to wake at the latest."""
        self._follow_news()
        events, offered = self._inbox.take()
        self._sending.outgoing.offered(offered)
        for event in events:
            self._take(event)
        self._act(self._session.tick(self._now_ms()))
        if not self._session.may_send:
            return None
        self._publisher.beat(self.clock.ms)
        due_s = self._send_what_is_due()
        return None if self._went_back() else due_s

    def _follow_news(self) -> None:
        for config, births in self._inbox.take_news():
            changed = births.follow(self._births)
            self._births = self._publisher.births = births
            running, self._config = self._config, config
            if uplink_differs(running, config):
                self._connect_anew()
            for device in changed if self._session.may_send else ():
                self._publisher.device_birth(device)
            self._tell_deaths()

    def _connect_anew(self) -> None:
        """End the session as it was, and begin another with the broker and the settings of the new config."""
        log.info("broker settings changed, connecting anew", node=self._config.node)
        self._inbox.close()
        self._publisher.node_death()
        self._link.end()
        self._inbox.forget_events()
        self._session = _session_of(self._config)
        self._link.change(self._config)
        self._sending = self._made_sending(self._publisher.count)
        self._link.start()

    def _tell_deaths(self) -> None:
        """Tell the death of devices taken out of the config whose last records are confirmed now."""
        for device in self._births.settled() if self._session.may_send else ():
            self._publisher.device_death(device)

    def _send_what_is_due(self) -> float:
        """Send, and return when to wake at the latest."""
        rest_ms = self._sending.go(self._may_send)
        if self._sending.settle_repeats():
            self._tell_deaths()
        due_s = [self._publisher.beat_due_s]
        if rest_ms is not None:
            due_s.append(rest_ms / 1000)
        if self._session.rebirth_waits:
            due_s.append(time.monotonic() + REBIRTH_GAP_MS / 1000)
        return min(due_s)

    def _may_send(self) -> bool:
        return self._session.may_send and self._link.has_room and not self._inbox.something_came

    # Events

    def _take(self, event: Event) -> None:
        match event:
            case Connecting(bd_seq):
                self._session.connect(bd_seq, self._now_ms())
            case Connected(connection):
                self._connected(connection)
            case Lost(reason):
                self._lost(reason)
            case Arrived():
                self._arrived(event)
            case Drained():
                pass

    def _connected(self, connection: int) -> None:
        if not self._link.open(connection):
            return
        self.counters.connects += 1
        away_s = None if self._lost_s is None else round(time.monotonic() - self._lost_s, 1)
        way = self.ways.current.name if self.ways.idle else None
        log.info("broker connected", node=self._config.node, bd_seq=self._session.bd_seq, away_s=away_s, way=way)
        self._lost_s = None
        self._act(self._session.connected())

    def _lost(self, reason: str) -> None:
        self._inbox.close()
        self._session.lost()
        if self._lost_s is None:
            self._lost_s = time.monotonic()
            self.counters.losses += 1
            log.warning("broker lost", node=self._config.node, reason=reason)

    def _arrived(self, came: Arrived) -> None:
        topic, payload = came.topic, came.payload
        host = host_of(topic)
        try:
            if host is not None:
                if host == self._config.primary_host:
                    self._act(self._session.host_state(HostState.decode(payload)))
            else:
                self._command(parse_topic(topic), decode(payload), came)
        except ValueError as error:
            self.counters.refused_commands += 1
            log.warning("command refused", topic=topic, error=str(error))

    def _command(self, topic: Topic, message: Message, came: Arrived) -> None:
        """Obey the node's commands; whatever is addressed to a device is refused: we write to no plant (SAFETY S28)."""
        if topic.type is not MessageType.NCMD:
            self.counters.refused_commands += 1
            return
        self.clock.saw(message.timestamp or 0, came.at_ms)
        confirmed = message.value(CONFIRM)
        if isinstance(confirmed, str):
            self._confirm(confirmed)
        used = message.value(USED)
        if isinstance(used, str):
            self._sending.move_on_from((confirmed_set(used, self._journal.epoch) or Intervals()).highest or 0)
        age_ms = message.value(ENGINE)
        if isinstance(age_ms, int):
            self.engine.heard(age_ms, came.at_s)
        reds = message.value(RED)
        if isinstance(reds, str):
            self.engine.reds = decode_reds(reds)
        if message.value(REBIRTH) is True:
            self._act(self._session.rebirth(self._now_ms()))

    def _confirm(self, text: str) -> None:
        confirmed = confirmed_set(text, self._journal.epoch)
        if confirmed is None:
            self.counters.refused_commands += 1
            return
        self.counters.confirmations += 1
        self._sending.confirm(confirmed, in_session=self._session.may_send)
        self._tell_deaths()

    # Sessions

    def _act(self, action: EdgeAction | None) -> None:
        if action is EdgeAction.BIRTH:
            self._be_born()
        elif action is EdgeAction.END:
            log.warning("primary host offline, waiting for it", host=self._config.primary_host)
            self._begin_anew()

    def _be_born(self) -> None:
        """Publish all births; from here on new records are live, and all before are backlog; not a new edge's first."""
        self._inbox.open(self._now_ms() - self._config.broker.keepalive_s * 1000)
        # After `open`: a record made in between is both live and backlog. The other way round it would be neither.
        last_record = self._journal.last_record
        self._publisher.be_born(self.clock.ms)
        self._session.born(self._now_ms())
        self._sending.outgoing.born(last_record, self._journal.confirmed, monotonic_ms())

    def _begin_anew(self) -> None:
        """End this connection in good order and make another; its births wait for the host again."""
        self._inbox.close()
        self._publisher.node_death()
        self._link.end()
        self._session.lost()
        self._link.start()

    def _went_back(self) -> bool:
        """Take the first way again where it has been well for a while, and no alarm has to wait for it."""
        if not self._session.may_send or not self.ways.due_back() or self._sending.outgoing.grave_waits:
            return False
        log.info("going back to the first way to the broker", node=self._config.node)
        self.ways.go_back()
        self._begin_anew()
        return True

    @property
    def _live_waits(self) -> bool:
        """Whether anything live is still to be sent; a turn ends early when something else happens."""
        return self._inbox.has_records or self._sending.outgoing.live_waits

    def _say_goodbye(self) -> None:
        deadline = time.monotonic() + LAST_WORDS_S
        while self._session.may_send and self._live_waits and time.monotonic() < deadline:
            self._turn()
            if not self._link.has_room:
                time.sleep(FULL_S)
        if self._session.may_send:
            self._publisher.node_death()
        self._inbox.close()


def _session_of(config: EdgeConfig) -> EdgeSession:
    """Return a session; over a link that carries nothing back it waits for no host, and repeats its births unasked."""
    if config.one_way:
        return EdgeSession(None, birth_every_ms=BIRTH_EVERY_MS)
    return EdgeSession(config.primary_host)


def _outgoing_of(config: EdgeConfig) -> Outgoing:
    return Outgoing(config.backlog_rate, config.repeats if config.one_way else None)
