"""The host's session: every state meets every event, and the races that brokers and clocks make of them."""

from itertools import pairwise, product

import pytest
from davylamp_wire.host_session import TABLE, Act, NodeEvent, NodeState, step
from davylamp_wire.names import BD_SEQ, EPOCH, KEEPALIVE
from davylamp_wire.payload import (
    BirthMetric,
    SparkplugType,
    bd_seq_metric,
    birth_payload,
    command_payload,
    data_payload,
    death_payload,
    device_death_payload,
    mark_historical,
    metrics_body,
    record_metric,
)
from davylamp_wire.quality import GOOD
from davylamp_wire.reading import Readings
from davylamp_wire.session import (
    Born,
    Data,
    DeathReason,
    DeviceBorn,
    DeviceDied,
    Effect,
    HostSession,
    NodeDied,
    Patience,
    Quarantine,
    RequestRebirth,
)
from davylamp_wire.topic import MessageType, Topic
from support.readings import NOW

S, E, A = NodeState, NodeEvent, Act
T = SparkplugType

CHANGES = {
    **{(state, E.BIRTH): (S.ONLINE, A.TAKE) for state in S},
    (S.UNBORN, E.MESSAGE): (S.UNBORN, A.HOLD),
    (S.DEAD, E.MESSAGE): (S.DEAD, A.HOLD),
    (S.UNBORN, E.STORED): (S.SILENT, A.INTRODUCE),
    (S.DEAD, E.STORED): (S.SILENT, A.INTRODUCE),
    (S.ONLINE, E.MESSAGE): (S.ONLINE, A.SEQUENCE),
    (S.ONLINE, E.DEATH): (S.DYING, A.AWAIT),
    (S.ONLINE, E.SILENCE): (S.SILENT, A.FALL_SILENT),
    (S.DYING, E.MESSAGE): (S.DYING, A.SEQUENCE),
    (S.DYING, E.ALIVE): (S.ONLINE, A.SEQUENCE),
    (S.DYING, E.DEATH_DUE): (S.DEAD, A.BURY),
    (S.SILENT, E.MESSAGE): (S.ONLINE, A.REVIVE),
    (S.SILENT, E.DEATH): (S.DEAD, A.FORGET),
}


@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_every_event_in_every_state(state: NodeState, event: NodeEvent) -> None:
    assert step(state, event) == CHANGES.get((state, event), (state, A.IGNORE))


def test_the_table_names_every_state() -> None:
    assert set(TABLE) == set(S)


class Edge:
    """An edge node that speaks to a host session, one line per message."""

    def __init__(self, *, own: bool = True, patience: Patience | None = None) -> None:
        self.own = own
        self.host = HostSession(patience=patience or Patience())

    def _send(self, kind: str, payload: bytes, at: int, device: str | None = None) -> list[Effect]:
        return self.host.receive(Topic(MessageType(kind), "g", "n", device), payload, NOW + at)

    def nbirth(self, at: int, *, bd_seq: int = 1, seq: int = 0, sent: int | None = None) -> list[Effect]:
        metrics = [bd_seq_metric(bd_seq)]
        if self.own:
            metrics += [BirthMetric(EPOCH, T.STRING, None, "ab12"), BirthMetric(KEEPALIVE, T.INT32, None, 10)]
        return self._send("NBIRTH", birth_payload(metrics, seq=seq, sent_ms=NOW + (at if sent is None else sent)), at)

    def dbirth(self, at: int, seq: int, device: str = "d", sent: int | None = None) -> list[Effect]:
        metrics = [BirthMetric("level", T.DOUBLE, 20_000, None)]
        payload = birth_payload(metrics, seq=seq, sent_ms=NOW + (at if sent is None else sent))
        return self._send("DBIRTH", payload, at, device)

    def ddata(self, at: int, seq: int, device: str = "d", sent: int | None = None) -> list[Effect]:
        return self._send("DDATA", self.body(seq, at if sent is None else sent), at, device)

    def ndata(self, at: int, seq: int) -> list[Effect]:
        return self._send("NDATA", self.body(seq, at), at)

    def ddeath(self, at: int, seq: int, device: str = "d") -> list[Effect]:
        return self._send("DDEATH", device_death_payload(seq=seq, sent_ms=NOW + at), at, device)

    def ndeath(self, at: int, bd_seq: int = 1) -> list[Effect]:
        return self._send("NDEATH", death_payload(bd_seq, NOW), at)

    def tick(self, at: int) -> list[Effect]:
        return self.host.tick(NOW + at)

    @staticmethod
    def body(seq: int, sent: int) -> bytes:
        readings = Readings([20_000], [NOW + sent], [float(seq)], [GOOD])
        return data_payload(metrics_body(readings, {20_000: T.DOUBLE}), seq=seq, sent_ms=NOW + sent)

    def born(self) -> "Edge":
        """Bring node and device ``d`` into the world, with seq 0 and 1."""
        assert kinds(self.nbirth(0)) == [Born]
        assert kinds(self.dbirth(1, 1)) == [DeviceBorn]
        return self


def kinds(effects: list[Effect]) -> list[type]:
    return [type(effect) for effect in effects]


def seqs(effects: list[Effect]) -> list[int | None]:
    return [effect.head.seq for effect in effects if isinstance(effect, Data)]


@pytest.mark.parametrize("own", [True, False])
def test_births_come_first_and_data_name_them(own: bool) -> None:
    edge = Edge(own=own)
    (born,) = edge.nbirth(0, bd_seq=9)
    (device,) = edge.dbirth(1, 1)
    (data,) = edge.ddata(2, 2)
    (node_data,) = edge.ndata(3, 3)
    assert isinstance(born, Born)
    assert isinstance(device, DeviceBorn)
    assert isinstance(data, Data)
    assert isinstance(node_data, Data)
    assert (born.bd_seq, born.epoch, born.again) == (9, "ab12" if own else None, False)
    assert (data.device, data.birth) == ("d", device.birth)
    assert (node_data.device, node_data.birth) == (None, born.birth)
    assert edge.host.own is own
    assert edge.host.devices == {"d": device.birth}


def test_data_tell_their_record_number_and_whether_they_are_backlog() -> None:
    edge = Edge().born()
    body = record_metric(16_384, 41, NOW) + metrics_body(Readings([20_000], [NOW], [1.0], [GOOD]), {20_000: T.DOUBLE})
    live = edge._send("DDATA", data_payload(body, seq=2, sent_ms=NOW + 2), 2, "d")
    old = edge._send("DDATA", data_payload(mark_historical(body), seq=3, sent_ms=NOW + 3), 3, "d")
    heads = [effect.head for effect in (*live, *old) if isinstance(effect, Data)]
    assert [(head.record, head.historical) for head in heads] == [(41, False), (41, True)]


@pytest.mark.parametrize("own", [True, False])
def test_seq_wraps_from_255_to_0_without_a_gap(own: bool) -> None:
    edge = Edge(own=own).born()
    for number in range(2, 600):
        assert seqs(edge.ddata(number, number % 256)) == [number % 256]
    assert edge.tick(10_000) == []
    assert edge.host.gaps == 0


def test_s01_a_gap_delays_no_data_of_our_own_edges() -> None:
    edge = Edge().born()
    assert seqs(edge.ddata(2, 3)) == [3]
    assert seqs(edge.ddata(3, 4)) == [4]


def test_a_gap_asks_for_a_rebirth_once_the_reorder_time_is_over() -> None:
    edge = Edge().born()
    edge.ddata(2, 3)
    assert edge.tick(501) == []
    assert edge.tick(502) == [RequestRebirth("seq 2 is missing")]
    assert edge.host.gaps == 1
    assert kinds(edge.ddata(600, 4)) == [Data]


def test_rebirth_requests_are_debounced() -> None:
    edge = Edge().born()
    edge.ddata(2, 3)
    assert kinds(edge.tick(502)) == [RequestRebirth]
    edge.ddata(600, 6)
    assert edge.tick(1_200) == []
    assert edge.tick(5_501) == []
    assert kinds(edge.tick(5_502)) == [RequestRebirth]
    assert edge.tick(10_502) == []
    edge.nbirth(10_600)
    assert edge.tick(60_000) == [] or edge.host.state is S.SILENT


def test_requests_without_an_answer_grow_rare() -> None:
    edge = Edge(own=False).born()
    edge.ddata(2, 3)
    asked = [at for at in range(0, 300_000, 500) if RequestRebirth in kinds(edge.tick(at))]
    gaps = [b - a for a, b in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (5_000, 60_000)


def test_a_hosts_clock_that_is_set_back_puts_no_request_off() -> None:
    edge = Edge().born()
    edge.ddata(2, 3)
    assert kinds(edge.tick(502)) == [RequestRebirth]
    assert kinds(edge.tick(-3_600_000)) == [RequestRebirth]


def test_a_foreign_edges_data_wait_for_the_gap_to_close() -> None:
    edge = Edge(own=False).born()
    assert edge.ddata(2, 3) == []
    assert edge.ddata(3, 4) == []
    assert seqs(edge.ddata(4, 2)) == [2, 3, 4]
    assert edge.tick(1_000) == []


def test_a_gap_closes_over_the_wrap_as_anywhere() -> None:
    edge = Edge(own=False).born()
    for number in range(2, 254):
        edge.ddata(2, number)
    assert [edge.ddata(3, number) for number in (255, 0, 1, 2)] == [[]] * 4
    assert seqs(edge.ddata(4, 254)) == [254, 255, 0, 1, 2]
    assert edge.tick(1_000) == []
    assert edge.host.gaps == 0


def test_a_reorder_buffer_gives_up_after_its_time_and_loses_nothing() -> None:
    edge = Edge(own=False).born()
    assert edge.ddata(2, 4) == []
    assert edge.ddata(100, 3) == []
    found = edge.tick(502)
    assert seqs(found) == [3, 4]
    assert found[-1] == RequestRebirth("seq 2 is missing")
    assert seqs(edge.ddata(600, 5)) == [5]


def test_a_closed_gap_of_our_own_tells_nothing_twice() -> None:
    edge = Edge().born()
    assert seqs(edge.ddata(2, 3)) == [3]
    assert seqs(edge.ddata(3, 2)) == [2]
    assert seqs(edge.ddata(4, 4)) == [4]
    assert edge.tick(2_000) == []


def test_a_straggler_behind_is_delivered_and_moves_nothing() -> None:
    edge = Edge().born()
    edge.ddata(2, 3)
    edge.tick(502)
    assert seqs(edge.ddata(600, 2)) == [2]
    assert seqs(edge.ddata(601, 4)) == [4]
    assert edge.host.gaps == 1


@pytest.mark.parametrize("own", [True, False])
def test_a_dbirth_before_its_nbirth_is_held(own: bool) -> None:
    edge = Edge(own=own)
    assert edge.dbirth(0, 1, sent=3) == []
    assert kinds(edge.nbirth(5, sent=2)) == [Born, DeviceBorn]
    assert seqs(edge.ddata(6, 2)) == [2]


@pytest.mark.parametrize("own", [True, False])
def test_a_dbirth_before_its_nbirth_is_held_at_a_node_that_lives(own: bool) -> None:
    edge = Edge(own=own).born()
    edge.ddata(2, 2)
    assert edge.dbirth(100, 1, sent=100) == []
    assert kinds(edge.nbirth(101, sent=99)) == [Born, DeviceBorn]
    assert kinds(edge.dbirth(102, 2, device="e")) == [DeviceBorn]
    assert seqs(edge.ddata(103, 3)) == [3]


def test_a_dbirth_from_behind_counts_when_no_nbirth_follows() -> None:
    edge = Edge().born()
    edge.ddata(2, 2)
    assert edge.dbirth(100, 1, device="e") == []
    assert kinds(edge.tick(600)) == [DeviceBorn]


def test_a_birth_of_the_same_millisecond_counts_as_of_this_session() -> None:
    edge = Edge()
    edge.dbirth(0, 1, sent=2)
    assert kinds(edge.nbirth(5, sent=2)) == [Born, DeviceBorn]


def test_data_before_any_birth_ask_for_one_at_once_and_are_held_for_it() -> None:
    edge = Edge()
    assert edge.ddata(0, 40) == [RequestRebirth("DDATA before NBIRTH")]
    assert edge.ddata(1, 41) == []
    assert kinds(edge.nbirth(50)) == [Born]
    assert kinds(edge.dbirth(51, 1)) == [DeviceBorn, Data, Data]


def test_foreign_data_from_before_the_birth_are_not_read_with_it() -> None:
    edge = Edge(own=False)
    edge.ddata(0, 40)
    assert kinds(edge.nbirth(50)) == [Born, Quarantine]


def test_data_whose_birth_never_comes_go_to_quarantine() -> None:
    edge = Edge()
    edge.ddata(0, 40)
    (quarantine,) = [effect for effect in edge.tick(10_000) if isinstance(effect, Quarantine)]
    assert quarantine.reason == "its birth did not come"
    assert quarantine.topic.device == "d"


def test_no_more_is_held_than_patience_allows() -> None:
    edge = Edge(patience=Patience(held=2))
    found = [effect for number in range(4) for effect in edge.ddata(number, number)]
    assert kinds(found) == [RequestRebirth, Quarantine, Quarantine]


def test_data_of_a_device_nobody_knows_wait_for_its_birth() -> None:
    edge = Edge().born()
    assert edge.ddata(2, 2, device="e") == []
    assert edge.tick(502) == [RequestRebirth("a birth is missing")]
    assert kinds(edge.dbirth(600, 3, device="e")) == [DeviceBorn, Data]


def test_a_node_that_dies_is_stale_after_the_hold() -> None:
    edge = Edge().born()
    assert edge.ndeath(100) == []
    assert edge.tick(349) == []
    assert edge.tick(350) == [NodeDied(DeathReason.WILL, 1, NOW + 350)]
    assert edge.host.devices == {}
    assert edge.tick(5_000) == []


def test_a_late_will_with_an_old_bdseq_is_ignored() -> None:
    edge = Edge().born()
    edge.nbirth(100, bd_seq=2)
    assert edge.ndeath(150, bd_seq=1) == []
    assert edge.tick(1_000) == []
    assert (edge.host.state, edge.host.late_wills) == (S.ONLINE, 1)


def test_a_will_with_the_same_bdseq_is_dropped_when_a_birth_arrives_within_the_hold() -> None:
    edge = Edge().born()
    edge.ndeath(100)
    assert kinds(edge.nbirth(349)) == [Born]
    assert edge.tick(1_000) == []
    assert edge.host.state is S.ONLINE


def test_a_will_right_behind_a_birth_with_the_same_bdseq_is_disproved_by_what_follows() -> None:
    edge = Edge()
    edge.nbirth(0)
    edge.ndeath(5)
    assert kinds(edge.dbirth(6, 1)) == [DeviceBorn]
    assert edge.tick(1_000) == []
    assert edge.host.state is S.ONLINE


def test_a_will_long_after_the_birth_is_not_disproved_by_a_straggler() -> None:
    edge = Edge().born()
    edge.ndeath(5_000)
    assert seqs(edge.ddata(5_001, 2)) == [2]
    assert kinds(edge.tick(5_250)) == [NodeDied]


def test_what_waited_for_a_gap_is_delivered_before_the_death() -> None:
    edge = Edge(own=False).born()
    edge.ddata(100, 3)
    edge.ndeath(101)
    assert kinds(edge.tick(351)) == [Data, NodeDied]


def test_a_rebirth_keeps_bdseq_and_numbers_its_births_anew() -> None:
    edge = Edge().born()
    (born,) = edge.nbirth(100)
    assert isinstance(born, Born)
    assert (born.bd_seq, born.birth) == (1, 3)
    assert edge.host.devices == {}
    (device,) = edge.dbirth(101, 1)
    assert isinstance(device, DeviceBorn)
    assert device.birth == 4


def test_data_of_the_session_before_are_read_with_the_births_of_the_session_before() -> None:
    edge = Edge(own=False).born()
    edge.ddata(100, 3)
    found = edge.nbirth(200, bd_seq=2)
    assert kinds(found) == [Data, Born]
    assert isinstance(found[0], Data)
    assert found[0].birth == 2


def test_a_straggler_of_the_session_before_is_read_if_it_is_ours_and_set_aside_if_not() -> None:
    ours, foreign = Edge().born(), Edge(own=False).born()
    for edge in (ours, foreign):
        edge.nbirth(200, bd_seq=2)
        edge.dbirth(201, 1)
    assert kinds(ours.ddata(210, 77, sent=150)) == [Data]
    assert kinds(foreign.ddata(210, 77, sent=150)) == [Quarantine]
    assert ours.tick(1_000) == foreign.tick(1_000) == []


def test_an_edge_whose_clock_was_set_back_goes_on() -> None:
    for edge in (Edge().born(), Edge(own=False).born()):
        assert seqs(edge.ddata(100, 2, sent=-3_600_000)) == [2]
        assert seqs(edge.ddata(101, 3, sent=-3_599_999)) == [3]
        assert edge.tick(1_000) == []


def test_a_device_that_was_removed_is_dead() -> None:
    edge = Edge().born()
    assert edge.ddeath(100, 2) == [DeviceDied("d", NOW + 100)]
    assert edge.host.devices == {}


def test_s03_silence_of_one_and_a_half_keepalives_is_a_lost_link_by_the_hosts_clock() -> None:
    edge = Edge().born()
    for at in range(0, 15_001, 1_000):
        assert edge.tick(at) == []
    assert edge.tick(15_002) == [NodeDied(DeathReason.SILENCE, 1, NOW + 15_002)]
    assert edge.tick(16_000) == []


def test_a_node_that_was_silent_is_there_again_with_its_first_word() -> None:
    edge = Edge().born()
    for at in range(0, 17_000, 1_000):
        edge.tick(at)
    again = edge.ddata(20_000, 2)
    assert kinds(again) == [Born, DeviceBorn, Data]
    assert [effect.again for effect in again if isinstance(effect, Born | DeviceBorn)] == [True, True]
    assert edge.host.state is S.ONLINE


def test_the_will_of_a_silent_node_says_nothing_new() -> None:
    edge = Edge().born()
    for at in range(0, 17_000, 1_000):
        edge.tick(at)
    assert edge.ndeath(20_000) == []
    assert edge.host.state is S.DEAD


def test_s03_a_host_that_stood_still_blames_no_edge() -> None:
    edge = Edge().born()
    edge.tick(1_000)
    assert edge.tick(300_000) == []
    for at in range(301_000, 313_000, 1_000):
        assert edge.tick(at) == []
    assert kinds(edge.tick(315_000)) == [NodeDied]


def test_s03_a_hosts_clock_that_is_set_back_puts_no_silence_off() -> None:
    edge = Edge().born()
    edge.tick(1_000)
    back = -3_600_000
    for at in range(back + 1_000, back + 14_000, 1_000):
        assert edge.tick(at) == []
    told = [effect for at in range(back + 14_000, back + 18_000, 1_000) for effect in edge.tick(at)]
    assert kinds(told) == [NodeDied]


def test_a_foreign_edges_silence_is_the_brokers_to_judge() -> None:
    edge = Edge(own=False).born()
    for at in range(0, 100_000, 1_000):
        assert edge.tick(at) == []


def test_what_cannot_be_read_goes_to_quarantine_with_its_reason() -> None:
    edge = Edge().born()
    (quarantine,) = edge._send("DDATA", b"\x12\xff", 5, "d")
    assert isinstance(quarantine, Quarantine)
    assert "not a Sparkplug payload" in quarantine.reason
    assert seqs(edge.ddata(6, 2)) == [2]


def test_a_hosts_own_commands_are_passed_over() -> None:
    payload = command_payload([BirthMetric(BD_SEQ, T.INT64, None, 1)], NOW)
    assert Edge()._send("NCMD", payload, 0) == []


def test_a_foreign_edge_without_numbers_is_heard_all_the_same() -> None:
    edge = Edge(own=False).born()
    unnumbered = edge.body(0, 5)[:-2]
    assert seqs(edge._send("DDATA", unnumbered, 5, "d")) == [None]
    assert edge.tick(1_000) == []


def test_a_will_without_bdseq_is_believed() -> None:
    edge = Edge(own=False).born()
    edge._send("NDEATH", command_payload([], NOW), 100)
    assert kinds(edge.tick(350)) == [NodeDied]


def stored(edge: Edge, kind: str, at: int, device: str | None = None) -> list[Effect]:
    """Let the broker tell a birth or data it has kept."""
    if kind == "NBIRTH":
        payload = birth_payload([bd_seq_metric(1)], seq=0, sent_ms=NOW)
    elif kind == "DBIRTH":
        payload = birth_payload([BirthMetric("level", T.DOUBLE, 20_000, 7.0)], seq=1, sent_ms=NOW)
    else:
        payload = edge.body(2, 0)
    return edge.host.receive_stored(Topic(MessageType(kind), "g", "n", device), payload, NOW + at)


@pytest.mark.parametrize("order", [("NBIRTH", "DBIRTH"), ("DBIRTH", "NBIRTH")])
def test_s02_births_that_the_broker_has_kept_introduce_and_the_first_word_makes_it_live(order: tuple[str, str]) -> None:
    edge = Edge(own=False)
    effects = [each for kind in order for each in stored(edge, kind, 0, "d" if kind == "DBIRTH" else None)]
    assert sorted(kind.__name__ for kind in kinds(effects)) == ["Born", "DeviceBorn", "RequestRebirth"]
    assert all(each.stored for each in effects if isinstance(each, Born))
    born = [each for each in effects if isinstance(each, DeviceBorn)]
    assert all(metric.historical for each in born for metric in each.message.metrics)
    assert edge.host.state is S.SILENT
    again = [*edge.ddata(60_000, 50), *edge.tick(60_600)]
    assert kinds(again) == [Born, DeviceBorn, Data, RequestRebirth], "a foreign edge's data wait for the gap"
    assert [each.stored for each in again if isinstance(each, Born)] == [False]


def test_what_the_broker_has_kept_of_a_node_that_is_there_changes_nothing() -> None:
    edge = Edge(own=False).born()
    assert stored(edge, "NBIRTH", 10) == stored(edge, "DBIRTH", 11, "e") == []
    assert kinds(edge.ddata(12, 2)) == [Data]


def test_data_that_the_broker_has_kept_are_set_aside() -> None:
    edge = Edge(own=False).born()
    (effect,) = stored(edge, "DDATA", 10, "d")
    assert isinstance(effect, Quarantine)
    assert "kept by the broker" in effect.reason


def test_a_birth_of_ours_is_never_kept_and_is_not_taken_from_the_broker() -> None:
    edge = Edge()
    payload = birth_payload([BirthMetric(EPOCH, T.STRING, None, "ab12")], seq=0, sent_ms=NOW)
    assert edge.host.receive_stored(Topic(MessageType.NBIRTH, "g", "n"), payload, NOW) == []
    assert edge.host.state is S.UNBORN
