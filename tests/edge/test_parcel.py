"""Records that go out in one write: as they were journaled, in their order, whatever dies in the middle of one."""

import itertools
from pathlib import Path

import pytest
from davylamp_edge.birth import Births
from davylamp_edge.check import load_edge
from davylamp_edge.install import install
from davylamp_edge.journal import Journal
from davylamp_edge.link import OUTSTANDING_MESSAGES, Connected, Drained, Link
from davylamp_edge.outgoing import Outgoing
from davylamp_edge.packet import packet
from davylamp_edge.publisher import MOST_TOGETHER, Publisher
from davylamp_edge.records import Entry, JournalClass
from davylamp_edge.report import utc_ms
from davylamp_edge.sending import Sending, monotonic_ms
from davylamp_wire.edge_session import EdgeSession
from davylamp_wire.payload import metrics_body
from davylamp_wire.reading import Readings
from davylamp_wire.topic import MessageType
from support.edge_host import Delivered, EdgeHost, edge_host
from support.edge_process import came, config_of, edge_process
from support.links import broker_that_stops_reading, connection, watcher
from support.services import Broker

RECORDS = 20 * MOST_TOGETHER


def test_a_packet_is_what_mqtt_says() -> None:
    """MQTT 3.1.1, 3.3: the type, the length of the rest in sevens of bits, the topic with its length, the payload."""
    assert packet(b"a/b", b"xyz") == bytes.fromhex("30 08 0003 612f62") + b"xyz"
    assert packet(b"a/b", bytes(200))[:7] == bytes.fromhex("30 cd01 0003 612f")


def queued(link: Link, together: int) -> int:
    """Queue as much as there is room for, so many messages in a write; return how many went."""
    count = 0
    while link.has_room:
        assert link.publish_together([packet(b"spBv1.0/davylamp/NDATA/edge-1", b"small")] * together)
        count += together
    return count


@pytest.mark.parametrize("together", [1, MOST_TOGETHER])
def test_live_data_never_wait_behind_more_messages_however_they_are_written(together: int) -> None:
    with broker_that_stops_reading() as port, watcher(port) as watching:
        assert watching.link.open(connection(watching.wait(Connected)))
        went = queued(watching.link, together)
        while went < 100 * OUTSTANDING_MESSAGES and any(isinstance(event, Drained) for event in watching.events):
            watching.events.clear()  # the socket's own buffers took them
            went += queued(watching.link, together)
        assert watching.link._messages <= OUTSTANDING_MESSAGES + together


def fill(config: Path, count: int) -> None:
    """Journal a counter's readings as an edge does that has no link."""
    edge, profiles = load_edge(config)
    with Journal.open(config.parent / "journal.db", edge.journal.max_bytes) as journal:
        tags = Births(journal, install(edge, profiles)).tags["rig"]
        alias = tags.aliases[tags.installed.names.index("count")]
        bodies = (metrics_body(Readings([alias], [1_795_000_000_000 + n], [n], [0]), tags.types) for n in range(count))
        journal.append([Entry("rig", JournalClass.LIVE, body, 1_795_000_000_000) for body in bodies])


def sessions(host: EdgeHost) -> list[list[Delivered]]:
    """Return the counter's records as they came, session by session."""
    births = [seen.at_s for seen in host.of(MessageType.NBIRTH)]
    ends = zip(births, [*births[1:], float("inf")], strict=True)
    filled = [each for each in host.records if each.number <= RECORDS]
    return [[each for each in filled if begin <= each.seen.at_s < end] for begin, end in ends]


def test_s26_over_a_one_way_link_a_parcel_that_no_session_takes_is_not_settled(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """The gate closes before the uplink hears that the link is lost: nobody would have sent these records again."""
    config = config_of(tmp_path, mosquitto, "127.0.0.1:1")
    fill(config, MOST_TOGETHER + 1)
    edge, profiles = load_edge(config)
    with Journal.open(config.parent / "journal.db", edge.journal.max_bytes) as journal:
        link = Link(edge, journal.next_bd_seq, lambda event: None, utc_ms)
        births = Births(journal, install(edge, profiles))
        session = EdgeSession(None)
        session.connect(1, utc_ms())
        session.connected()
        publisher = Publisher(edge, journal, births, session, link, utc_ms)
        sending = Sending(journal, Outgoing(1_000.0, repeats=1), publisher, lambda record: record)
        sending.outgoing.born(journal.last_record, journal.confirmed, monotonic_ms() - 1_000)
        sending.go(lambda: True)
        assert not sending.settle_repeats()
        assert not journal.confirmed


async def test_s26_kills_in_the_middle_of_a_parcel_lose_nothing_and_keep_the_order(
    tmp_path: Path, mosquitto: Broker
) -> None:
    config = config_of(tmp_path, mosquitto, "127.0.0.1:1")
    fill(config, RECORDS)
    with edge_host(mosquitto) as host, edge_process(config) as edge:
        await came(host, lambda: len(host.records) > RECORDS // 8, "a part of the backlog")
        edge.kill()
        edge.start()
        await came(host, lambda: len(host.of(MessageType.NBIRTH)) == 2, "the second birth")
        await came(host, lambda: len(sessions(host)[1]) > RECORDS // 8, "another part")
        mosquitto.kill()
        mosquitto.start()
        await came(host, lambda: not host.stored.missing(1, RECORDS), "every record")
    found = {each.number: each.values for each in host.records if each.number <= RECORDS}
    assert found == {n + 1: (n,) for n in range(RECORDS)}
    for session in sessions(host):
        assert all(a.number < b.number for a, b in itertools.pairwise(session))
