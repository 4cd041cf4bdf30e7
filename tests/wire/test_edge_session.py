"""The edge's session: every state meets every event, and the rules of births, numbers and hosts."""

from itertools import product

import pytest
from davylamp_wire.edge_session import TABLE, EdgeAction, EdgeEvent, EdgeSession, EdgeState, OutOfTurn
from davylamp_wire.payload import decode
from davylamp_wire.topic import HostState
from support.readings import NOW

S, E, A = EdgeState, EdgeEvent, EdgeAction

CHANGES = {
    (S.CONNECTING, E.CONNECTED): (S.WAITING_HOST, None),
    (S.CONNECTING, E.CONNECTED_FREE): (S.BIRTHING, A.BIRTH),
    (S.WAITING_HOST, E.HOST_ONLINE): (S.BIRTHING, A.BIRTH),
    (S.BIRTHING, E.HOST_OFFLINE): (S.OFFLINE, A.END),
    (S.BIRTHING, E.BORN): (S.ONLINE, None),
    (S.ONLINE, E.HOST_OFFLINE): (S.OFFLINE, A.END),
    (S.ONLINE, E.REBIRTH): (S.BIRTHING, A.BIRTH),
    **{(state, E.CONNECT): (S.CONNECTING, None) for state in S},
    **{(state, E.LOST): (S.OFFLINE, None) for state in S},
}


def at(state: EdgeState, host: str | None = None) -> EdgeSession:
    return EdgeSession(primary_host=host, state=state)


def cause(session: EdgeSession, event: EdgeEvent) -> EdgeAction | None:
    """Bring an event about the way the uplink does."""
    match event:
        case E.CONNECT:
            session.connect(3, NOW)
        case E.CONNECTED | E.CONNECTED_FREE:
            return session.connected()
        case E.LOST:
            session.lost()
        case E.HOST_ONLINE | E.HOST_OFFLINE:
            return session.host_state(HostState(event is E.HOST_ONLINE, NOW))
        case E.BORN:
            session.born(NOW)
        case E.REBIRTH:
            return session.rebirth(NOW)
    return None


@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_every_event_in_every_state(state: EdgeState, event: EdgeEvent) -> None:
    session = at(state, host=None if event is E.CONNECTED_FREE else "davylamp")
    action = cause(session, event)
    assert (session.state, action) == CHANGES.get((state, event), (state, None))


def test_the_table_names_every_state() -> None:
    assert set(TABLE) == set(S)


def online(host: str | None = None, now_ms: int = NOW) -> EdgeSession:
    session = EdgeSession(primary_host=host)
    session.connect(7, now_ms)
    session.connected()
    if host:
        session.host_state(HostState(True, now_ms))
    session.next_seq()
    session.born(now_ms)
    return session


def test_the_will_carries_the_bdseq_of_its_connect() -> None:
    session = EdgeSession()
    message = decode(session.connect(255, NOW))
    assert (message.value("bdSeq"), message.seq, session.bd_seq) == (255, None, 255)
    assert decode(session.connect(256, NOW)).value("bdSeq") == 0


def test_seq_begins_at_0_with_the_birth_and_wraps_from_255_to_0() -> None:
    session = EdgeSession()
    session.connect(7, NOW)
    session.connected()
    assert [session.next_seq() for _ in range(258)] == [*range(256), 0, 1]


@pytest.mark.parametrize("state", [S.OFFLINE, S.CONNECTING, S.WAITING_HOST])
def test_nothing_is_numbered_while_nothing_may_be_published(state: EdgeState) -> None:
    with pytest.raises(OutOfTurn, match=state):
        at(state).next_seq()
    assert not at(state).may_send


def test_a_rebirth_keeps_bdseq_and_begins_at_seq_0() -> None:
    session = online()
    session.next_seq()
    assert session.rebirth(NOW + 5_000) is A.BIRTH
    assert not session.may_send
    assert (session.bd_seq, session.next_seq()) == (7, 0)


def test_births_asked_for_many_times_at_once_come_once() -> None:
    session = online()
    assert [session.rebirth(NOW + 10 + k) for k in range(5)] == [None] * 5
    assert session.tick(NOW + 999) is None
    assert session.tick(NOW + 1_000) is A.BIRTH
    session.born(NOW + 1_001)
    assert session.tick(NOW + 9_000) is None
    assert session.rebirths == 1


def test_a_rebirth_asked_for_before_a_disconnect_is_not_answered_after_it() -> None:
    session = online()
    session.rebirth(NOW + 10)
    session.lost()
    assert session.tick(NOW + 5_000) is None
    session.connect(8, NOW + 6_000)
    session.connected()
    session.born(NOW + 6_001)
    assert session.tick(NOW + 9_000) is None


def test_a_clock_set_back_delays_no_birth() -> None:
    session = online()
    assert session.rebirth(NOW - 3_600_000) is A.BIRTH


def test_an_edge_with_a_primary_host_waits_for_it() -> None:
    session = EdgeSession(primary_host="davylamp")
    session.connect(1, NOW)
    assert session.connected() is None
    assert session.state is S.WAITING_HOST
    assert session.host_state(HostState(False, NOW)) is None
    assert session.host_state(HostState(True, NOW + 1)) is A.BIRTH


def test_a_state_with_an_older_timestamp_is_ignored() -> None:
    session = online("davylamp")
    assert session.host_state(HostState(False, NOW - 1)) is None
    assert session.state is S.ONLINE
    assert session.host_state(HostState(False, NOW)) is A.END
    assert session.host_state(HostState(True, NOW - 1)) is None


def test_the_retained_state_seen_before_opens_the_next_session_too() -> None:
    session = online("davylamp")
    session.lost()
    session.connect(8, NOW + 1)
    session.connected()
    assert session.host_state(HostState(True, NOW)) is A.BIRTH


def test_births_come_again_unasked_where_nobody_can_ask_for_them() -> None:
    session = EdgeSession(birth_every_ms=60_000)
    session.connect(7, NOW)
    session.connected()
    session.born(NOW)
    assert session.tick(NOW + 59_999) is None
    assert session.tick(NOW + 60_000) is A.BIRTH
    assert (session.bd_seq, session.next_seq()) == (7, 0)
    session.born(NOW + 60_010)
    assert session.tick(NOW + 60_011) is None
    assert session.tick(NOW - 3_600_000) is A.BIRTH
