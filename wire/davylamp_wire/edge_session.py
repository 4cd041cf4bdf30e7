"""The edge's side of a Sparkplug session, as a table: when to be born, when to die, what number comes next.

Pure: the uplink tells it what happened and does what it answers. Everything that decides whether data may be sent
is in this file (Sparkplug 3.0, 5.4 to 5.11).
"""

from dataclasses import dataclass
from enum import StrEnum

from davylamp_wire.births import death_payload
from davylamp_wire.topic import HostState

BD_SEQS = 256
SEQS = 256

REBIRTH_GAP_MS = 1_000
"""Births are no closer than this, however often hosts ask: several hosts ask at once when one edge appears."""

BIRTH_EVERY_MS = 60_000
"""How often births come again over a link that carries nothing back: a host that restarts cannot ask for them."""


class EdgeState(StrEnum):
    """Where an edge is in its session."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    WAITING_HOST = "waiting_host"
    BIRTHING = "birthing"
    ONLINE = "online"


class EdgeEvent(StrEnum):
    """What can happen to it."""

    CONNECT = "connect"
    CONNECTED = "connected"
    CONNECTED_FREE = "connected_free"
    """Connected, and no primary host to wait for."""
    LOST = "lost"
    HOST_ONLINE = "host_online"
    HOST_OFFLINE = "host_offline"
    BORN = "born"
    REBIRTH = "rebirth"


class EdgeAction(StrEnum):
    """What the uplink does next."""

    BIRTH = "birth"
    """Publish the NBIRTH and every DBIRTH, each with `next_seq`, then call `born`."""
    END = "end"
    """Publish an NDEATH with `bd_seq`, disconnect, and connect again: the primary host is gone."""


class OutOfTurn(Exception):
    """The uplink called what its state does not allow: a mistake in the uplink."""


_S, _E, _A = EdgeState, EdgeEvent, EdgeAction
_DROP: dict[EdgeEvent, tuple[EdgeState, EdgeAction | None]] = {
    _E.CONNECT: (_S.CONNECTING, None),
    _E.LOST: (_S.OFFLINE, None),
}
TABLE: dict[EdgeState, dict[EdgeEvent, tuple[EdgeState, EdgeAction | None]]] = {
    _S.OFFLINE: {**_DROP},
    _S.CONNECTING: {
        **_DROP,
        _E.CONNECTED: (_S.WAITING_HOST, None),
        _E.CONNECTED_FREE: (_S.BIRTHING, _A.BIRTH),
    },
    _S.WAITING_HOST: {
        **_DROP,
        _E.HOST_ONLINE: (_S.BIRTHING, _A.BIRTH),
    },
    _S.BIRTHING: {
        **_DROP,
        _E.HOST_OFFLINE: (_S.OFFLINE, _A.END),
        _E.BORN: (_S.ONLINE, None),
    },
    _S.ONLINE: {
        **_DROP,
        _E.HOST_OFFLINE: (_S.OFFLINE, _A.END),
        _E.REBIRTH: (_S.BIRTHING, _A.BIRTH),
    },
}
"""What is not here changes nothing. A rebirth asked for while no session stands is answered by its birth anyway, and
must never put an NBIRTH behind an NDEATH (facts: races found by interop work)."""


@dataclass(slots=True)
class EdgeSession:
    """One edge node's session. Not thread-safe: it belongs to the one thread that publishes.

    Args:
        primary_host: The host without which nothing is sent; None sends whoever listens.
        birth_every_ms: Births come again after this long, for a host that cannot ask for them (`one_way`).
    """

    primary_host: str | None = None
    rebirth_gap_ms: int = REBIRTH_GAP_MS
    birth_every_ms: int | None = None
    state: EdgeState = EdgeState.OFFLINE
    bd_seq: int = 0
    rebirths: int = 0
    _seq: int = 0
    _born_ms: int | None = None
    _pending: bool = False
    _host: HostState | None = None

    @property
    def may_send(self) -> bool:
        """Whether data may be published now."""
        return self.state is EdgeState.ONLINE

    @property
    def rebirth_waits(self) -> bool:
        """Whether births were asked for too soon and wait for `tick`."""
        return self._pending

    def connect(self, bd_seq: int, now_ms: int) -> bytes:
        """Return the will of the CONNECT that is about to be sent; the births of this connection carry its bdSeq.

        `bd_seq` comes from the journal, one higher for every CONNECT, also the ones that failed (6.4.20).
        """
        self._step(EdgeEvent.CONNECT)
        self.bd_seq = bd_seq % BD_SEQS
        return death_payload(self.bd_seq, now_ms)

    def connected(self) -> EdgeAction | None:
        """Take note of the CONNACK. Subscriptions come before what this answers."""
        free = self.primary_host is None
        return self._step(EdgeEvent.CONNECTED_FREE if free else EdgeEvent.CONNECTED)

    def lost(self) -> None:
        """Take note that the connection is gone, whoever ended it."""
        self._step(EdgeEvent.LOST)

    def host_state(self, said: HostState) -> EdgeAction | None:
        """Take note of the primary host's STATE; one older than the last is the past and changes nothing."""
        if self._host is not None and said.timestamp_ms < self._host.timestamp_ms:
            return None
        self._host = said
        return self._step(EdgeEvent.HOST_ONLINE if said.online else EdgeEvent.HOST_OFFLINE)

    def rebirth(self, now_ms: int) -> EdgeAction | None:
        """Take note that a host asks for births. Too soon after the last, they wait for `tick`: at most one waits."""
        if self.state is not EdgeState.ONLINE:
            return None
        if self._too_soon(now_ms):
            self._pending = True
            return None
        self.rebirths += 1
        return self._step(EdgeEvent.REBIRTH)

    def tick(self, now_ms: int) -> EdgeAction | None:
        """Return the births that waited, or come again unasked, once they are due."""
        due = self._pending or self._due_again(now_ms)
        if not due or self.state is not EdgeState.ONLINE or self._too_soon(now_ms):
            return None
        self.rebirths += 1
        return self._step(EdgeEvent.REBIRTH)

    def born(self, now_ms: int) -> None:
        """Take note that all births are published; data may follow."""
        if self.state is not EdgeState.BIRTHING:
            return
        self._born_ms = now_ms
        self._step(EdgeEvent.BORN)

    def next_seq(self) -> int:
        """Return the seq of the message that is published next: 0 for the NBIRTH, 255 is followed by 0.

        Raises: OutOfTurn where nothing may be published.
        """
        if self.state not in (EdgeState.BIRTHING, EdgeState.ONLINE):
            raise OutOfTurn(f"nothing may be published while {self.state}")
        seq = self._seq
        self._seq = (seq + 1) % SEQS
        return seq

    def _too_soon(self, now_ms: int) -> bool:
        """A clock that was set back makes nothing wait."""
        return self._born_ms is not None and 0 <= now_ms - self._born_ms < self.rebirth_gap_ms

    def _due_again(self, now_ms: int) -> bool:
        if self.birth_every_ms is None or self._born_ms is None:
            return False
        return abs(now_ms - self._born_ms) >= self.birth_every_ms

    def _step(self, event: EdgeEvent) -> EdgeAction | None:
        self.state, action = TABLE[self.state].get(event, (self.state, None))
        if action is EdgeAction.BIRTH:
            self._seq = 0
        if action is EdgeAction.BIRTH or self.state in (EdgeState.OFFLINE, EdgeState.CONNECTING):
            self._pending = False
        return action
