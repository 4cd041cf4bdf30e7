"""The journal that `python -m benchmarks backlog` sends: what it says it holds is what it holds."""

from pathlib import Path

from davylamp_edge.check import load_edge
from davylamp_edge.journal import Journal
from davylamp_simulators.fleet import profile_text
from davylamp_wire.payload import data_payload, decode

from benchmarks.cut import fill
from benchmarks.processes import edge_config, stage

SECONDS = 30


def test_a_journal_is_filled_with_one_record_a_device_and_second(tmp_path: Path) -> None:
    with stage(tmp_path) as site:
        file = Path(edge_config(site, ["127.0.0.1:1502", "127.0.0.1:1503"], profile_text(3))[0])
    said = fill(file, SECONDS)
    journal_of = load_edge(file)[0].journal
    with Journal.open(journal_of.path, journal_of.max_bytes) as journal:
        records = journal.unconfirmed(0, 1000)
    assert (said["records"], said["readings"], said["lost"]) == (2 * SECONDS, 6 * SECONDS, 0)
    assert len(records) == said["records"]
    assert {record.first_ms for record in records} == {said["began_ms"] + 1000 * n for n in range(SECONDS)}
    last = decode(data_payload(records[-1].body, seq=0, sent_ms=0))
    assert [round(float(metric.value or 0), 3) for metric in last.metrics] == [29.0, 29.001, 29.002]
