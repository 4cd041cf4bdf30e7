"""The cloud tells an edge whose journal is an older copy of itself which of its numbers are used (SAFETY S26)."""

import shutil
from pathlib import Path

from davylamp_cloud.app import App
from davylamp_cloud.config import BrokerConfig, CloudConfig, HttpConfig
from davylamp_cloud.edge_node import Journal, used_beyond
from davylamp_cloud.log import RecordKind
from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import decode
from support.cloud_process import JournalingEdge, until
from support.services import Broker


def test_numbers_beyond_what_an_edge_has_sent_are_used() -> None:
    journal = Journal("e1", Intervals.parse("1-20,25"), Intervals())
    assert used_beyond(journal, 25) == Intervals()
    assert used_beyond(journal, 30) == Intervals()
    assert used_beyond(journal, 18) == Intervals.parse("19-25")
    assert used_beyond(journal, None) == Intervals(), "an older edge does not say"
    assert used_beyond(Journal("e2", Intervals(), Intervals()), 0) == Intervals()


def levels(app: App) -> list[float]:
    """Return what the log holds of the level, in its order."""
    data = [record for record in app.cloud.log.read(0) if record.kind == RecordKind.DATA]
    readings = [metric for record in data for metric in decode(record.body).metrics if not metric.transient]
    return [float(str(metric.value)) for metric in readings]


def read(edge: JournalingEdge, numbers: range) -> None:
    for number in numbers:
        edge.read(level=float(number))
    until(lambda: edge.writer.appended >= len(numbers) and not edge.journal.backlog(), "all confirmed")


def test_s26_a_real_cloud_takes_every_reading_of_a_journal_restored_from_a_copy(
    tmp_path: Path, mosquitto: Broker
) -> None:
    path, copy = tmp_path / "edge-1.db", tmp_path / "copy.db"
    app = App(
        CloudConfig(data_dir=tmp_path / "cloud", broker=BrokerConfig(port=mosquitto.port), http=HttpConfig(port=0))
    )
    app.start()
    try:
        for life, numbers in enumerate((range(10), range(10, 15), range(15, 45))):
            edge = JournalingEdge(tmp_path, mosquitto)
            read(edge, numbers)
            edge.close()
            if life == 0:
                shutil.copy(path, copy)
            elif life == 1:
                shutil.copy(copy, path)
        assert set(levels(app)) == {*map(float, range(45))}
    finally:
        app.stop()
