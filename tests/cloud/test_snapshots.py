"""Snapshots over a change of version: their form is recorded with its number, and one of another form is not read."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from davylamp_alarms import book, definition, edge_heard
from davylamp_alarms.columns import Fields
from davylamp_alarms.performance import advice, first_out, firsts, flood, watch
from davylamp_alarms.snapshot import VERSION
from davylamp_alarms.warning import RULES, load
from davylamp_alarms.warning.thin import Said, Stretches
from davylamp_cloud import monitor, snapshots
from davylamp_cloud.store.snapshots import load_snapshot
from davylamp_cloud.store.verify import verify_chain
from support.cloud_process import until
from support.host import Host, host
from support.speaker import SOURCE, Speaker, gas_point

RATE = {"settings": {"window_s": 3, "limit": 60}, "source": SOURCE}
RECORDED = Path(__file__).parent / "recorded" / "snapshot-form.json"

KEPT: tuple[Any, ...] = (
    book.OpenMask, book.Out, book.Record, book.Review, book.Shelf, definition.AlarmDef, definition.GroupDef,
    definition.MaskDef, definition.Member, edge_heard.Heard, advice.Advice, advice.Adviser, advice.Seen,
    first_out.FirstOuts, first_out.Upset, firsts.Candidate, firsts.Firsts, flood.Flood, flood.Floods, flood.Position,
    watch.Performance,
)  # fmt: skip
"""What a snapshot holds as JSON, field by field."""


def leak(running: Host, edge: Speaker, value: float) -> None:
    edge.now_ms = running.now_ms
    running.hear(*edge.birth())
    edge.now_ms = running.now_ms = running.now_ms + 1000
    running.hear(edge.data([value]))
    running.settle()


@contextmanager
def upgraded(folder: Path, now_ms: int, *, trimmed: bool) -> Iterator[Host]:
    """A host on what another version left: snapshots of another form, and perhaps no log from before them."""
    with sqlite3.connect(folder / "state.db") as db:
        db.execute("UPDATE snapshots SET engine_version = engine_version - 1")
    db.close()
    if trimmed:
        with sqlite3.connect(folder / "log.db") as db:
            db.execute("DELETE FROM records WHERE seq < (SELECT max(seq) FROM records)")
        db.close()
    with host(folder, now_ms=now_ms) as running:
        yield running


def _columns() -> Iterator[tuple[str, Fields]]:
    """Yield the columns of every statistical rule's memory, and those that thinned ones have beside them."""
    yield from ((name, load(name).state.FIELDS) for name in RULES)
    yield from (("stretches", Stretches.FIELDS), ("said", Said.FIELDS))


def test_the_form_of_a_snapshot_is_the_one_recorded_for_its_version(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        leak(running, Speaker(points={"gas": gas_point(warnings={"rate": RATE})}), 5.0)
        running.monitor.stop()
        with running.state.reading() as connection:
            found = load_snapshot(connection, running.state.cursor())
    assert found is not None
    parts = {name: "bytes" if isinstance(part, bytes) else str(part.dtype) for name, part in found[1].items()}
    named = {kind.__name__: list(kind.__annotations__) for kind in KEPT}
    rules = {name: {at: np.dtype(kind).name for at, (kind, _) in columns.items()} for name, columns in _columns()}
    form = {"version": VERSION, "parts": parts, "fields": named, "rules": rules}
    assert form == json.loads(RECORDED.read_text()), "raise VERSION, and record the new form with it"


def test_a_snapshot_of_another_version_is_replaced_by_a_replay_of_the_log(tmp_path: Path) -> None:
    with host(tmp_path) as running:
        leak(running, Speaker(), 5.0)
        standing, now_ms = running.standing(), running.now_ms
    with upgraded(tmp_path, now_ms + 1000, trimmed=False) as running:
        running.settle()
        assert running.standing() == standing
        row = standing["L2 live"]
        assert running.act("acknowledge", occurrence=row["occurrence"], version=row["version"]).refusal is None


def test_s23_without_a_snapshot_and_with_a_trimmed_log_no_occurrence_has_the_number_of_another(tmp_path: Path) -> None:
    """A receiver drops a version it has of an occurrence: the same number again would silence a red."""
    edge = Speaker()
    with host(tmp_path) as running:
        leak(running, edge, 5.0)
        now_ms = running.now_ms
    with upgraded(tmp_path, now_ms + 1000, trimmed=True) as running:
        leak(running, edge, 0.1)
        leak(running, edge, 5.0)
        raised = [row["occurrence"] for row in running.state.transitions() if row["event"] == "raised"]
        assert raised == [f"cl2-store-{number}-run" for number in (1, 2, 3, 4)]
        assert verify_chain(running.state) is None


@pytest.mark.parametrize("error", [MemoryError("no room"), ZeroDivisionError("a mistake")])
def test_s14_a_snapshot_that_fails_in_any_way_is_an_alarm_until_one_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(*_: Any) -> None:
        raise error

    monkeypatch.setattr(monitor, "SNAPSHOT_RECORDS", 1)
    edge = Speaker()
    with host(tmp_path) as running:
        with monkeypatch.context() as broken:
            broken.setattr(snapshots, "write_snapshot", failing)
            leak(running, edge, 0.5)
            until(lambda: "SYSTEM live" in running.standing(), "the alarm")
            alarm = running.standing()["SYSTEM live"]
            assert alarm["alarm_id"].endswith("@snapshot")
            assert type(error).__name__ in alarm["comment"]
            assert type(error).__name__ in running.monitor.status()["snapshot_failure"]
            assert not running.failures

        def goes_on() -> bool:
            leak(running, edge, 0.6)
            return bool(running.standing()["SYSTEM live"]["event"] == "cleared")

        until(goes_on, "that one was stored")
        assert running.monitor.status()["snapshot_failure"] == ""
