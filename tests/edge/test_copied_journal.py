"""A journal that is an older copy of itself: numbers that the cloud has already hide no record (SAFETY S26)."""

import shutil
from pathlib import Path

from support.edge_host import EdgeHost, edge_host
from support.services import Broker
from support.uplink import Edge, edge_on, values


def kept_by_the_cloud(host: EdgeHost) -> list[float]:
    """Return the values a cloud has: the first record of each number, for it drops the later ones as repeats."""
    first = {record.number: record for record in reversed(host.records) if record.device is not None}
    return [round(float(str(first[number].values[0])), 3) for number in sorted(first)]


def read_all(edge: Edge, host: EdgeHost, numbers: range) -> None:
    for number in numbers:
        edge.read(float(number))
    edge.written(host, len(numbers))


def test_s26_a_journal_restored_from_a_copy_gives_no_number_that_the_cloud_has(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """Twenty records after the copy was made; the restored journal goes on where the copy ends."""
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    with edge_host(mosquitto) as host:
        with edge_on(tmp_path, mosquitto) as edge:
            read_all(edge, host, range(10))
            host.wait(lambda: edge.journal.backlog() == 0, "all confirmed")
        shutil.copy(path, copy)
        with edge_on(tmp_path, mosquitto) as edge:
            read_all(edge, host, range(10, 30))
            host.wait(lambda: edge.journal.backlog() == 0, "all confirmed")
        shutil.copy(copy, path)
        with edge_on(tmp_path, mosquitto) as edge:
            read_all(edge, host, range(30, 40))
            host.wait(lambda: set(kept_by_the_cloud(host)) >= {*map(float, range(40))}, "the new readings")
            host.wait(lambda: edge.journal.backlog() == 0, "all confirmed")
            assert edge.journal.last_record >= 40
            assert edge.journal.holes == []


def test_s26_a_restored_journal_that_has_outgrown_the_cloud_unheard_loses_nothing_either(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """Offline it gave more numbers than the cloud has: nothing is beyond them, but its birth knew too little."""
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    with edge_host(mosquitto) as host:
        with edge_on(tmp_path, mosquitto) as edge:
            read_all(edge, host, range(10))
            host.wait(lambda: edge.journal.backlog() == 0, "all confirmed")
        shutil.copy(path, copy)
        with edge_on(tmp_path, mosquitto) as edge:
            read_all(edge, host, range(10, 15))
            host.wait(lambda: edge.journal.backlog() == 0, "all confirmed")
        shutil.copy(copy, path)
        host.say(False, later_ms=1)
        with edge_on(tmp_path, mosquitto) as edge:
            host.wait(lambda: edge.uplink.state == "waiting_host", "that the edge waits")
            read_all(edge, host, range(15, 35))
            host.say(True, later_ms=2)
            host.wait(lambda: set(kept_by_the_cloud(host)) >= {*map(float, range(35))}, "the readings of the cut")
            host.wait(lambda: edge.journal.backlog() == 0, "all confirmed")
            assert sorted(kept_by_the_cloud(host)) == [*map(float, range(35))], "nothing is kept twice"


def test_s26_a_confirmation_of_what_was_sent_moves_nothing(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host:
        for life in range(3):
            with edge_on(tmp_path, mosquitto) as edge:
                read_all(edge, host, range(10 * life, 10 * life + 10))
                host.wait(lambda edge=edge: edge.journal.backlog() == 0, "all confirmed")  # type: ignore[misc]
                assert edge.journal.last_record == 10 * life + 10
        assert values(host) == [*map(float, range(30))]
