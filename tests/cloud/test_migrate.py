"""A state.db of an older version is completed and nothing in it rewritten; what cannot be completed is refused."""

import sqlite3
from pathlib import Path

import pytest
from davylamp_cloud.chain import Head, content_of, first_break, link
from davylamp_cloud.store import schema
from davylamp_cloud.store.history import history
from davylamp_cloud.store.migrate import FIRST_COLUMNS, default_of
from davylamp_cloud.store.state import State
from davylamp_cloud.store.verify import verify_chain
from davylamp_wire.config import ConfigError
from sqlalchemy.exc import OperationalError
from support.host import host

FIRST = Path(__file__).parent / "recorded" / "state-0.sql"
"""A state.db as the first schema had it (commit 9cb3257): alarms of every letter but H and I, an outbox, two chains."""


def first_state(folder: Path) -> Path:
    path = folder / "state.db"
    with sqlite3.connect(path) as db:
        db.executescript(FIRST.read_text())
    db.close()
    return path


def columns(path: Path) -> dict[str, list[str]]:
    db = sqlite3.connect(path)
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")] for table in tables}
    db.close()
    return found


def test_s29_a_state_of_the_first_schema_opens_with_every_row_and_its_chains_hold(tmp_path: Path) -> None:
    state = State(first_state(tmp_path))
    assert len(state.standing_alarms()) == 8
    assert len(state.transitions(limit=1000)) == 23
    assert verify_chain(state) is None
    state.close()
    there = columns(tmp_path / "state.db")
    for table in schema.METADATA.sorted_tables:
        assert set(there[table.name]) == {column.name for column in table.columns}, table.name


def test_a_state_of_the_first_schema_tells_its_kpis_as_well(tmp_path: Path) -> None:
    state = State(first_state(tmp_path))
    with state.reading() as connection:
        found = history(connection, "park", 0, 2_000_000_000_000, 0)
    stored = [row for row in state.transitions(limit=1000) if row["alarm_id"].startswith("park/")]
    state.close()
    assert len(found.columns.at_ms) == len(stored)
    assert int(found.columns.raised.sum()) == sum(row["event"] == "raised" for row in stored)
    assert set(found.alarms) == {row["alarm_id"] for row in stored}


def test_who_only_looks_completes_nothing_and_is_told_which_version_to_ask(tmp_path: Path) -> None:
    path = first_state(tmp_path)
    before = columns(path)
    with pytest.raises(ConfigError, match="is missing: a cloud of another version wrote it"):
        State(path, looking=True)
    assert columns(path) == before
    State(path).close()
    state = State(path, looking=True)
    assert len(state.standing_alarms()) == 8
    with pytest.raises(OperationalError, match="readonly"), state.writing() as connection:
        connection.execute(schema.ALARMS.delete())
    state.close()


def test_every_column_that_came_later_has_a_default_or_may_be_empty(tmp_path: Path) -> None:
    before = columns(first_state(tmp_path))
    for table in schema.METADATA.sorted_tables:
        if table.name not in before:
            continue
        for column in table.columns:
            later = column.name not in before[table.name]
            assert not later or column.nullable or default_of(column) is not None, f"{table.name}.{column.name}"


def test_s29_the_chained_tables_keep_the_columns_they_began_with(tmp_path: Path) -> None:
    before = columns(first_state(tmp_path))
    for table, names in FIRST_COLUMNS.items():
        assert names == set(before[table])


def test_a_missing_table_column_and_index_are_added_and_what_is_stored_stays(tmp_path: Path) -> None:
    path = first_state(tmp_path)
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE refusals")
        db.execute("DROP INDEX outbox_by_state")
        db.execute("ALTER TABLE outbox DROP COLUMN last_error")
        db.execute("ALTER TABLE outbox DROP COLUMN delivered_ms")
        before = db.execute("SELECT id, transition, body FROM outbox").fetchall()
    db.close()
    State(path).close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT id, transition, body FROM outbox").fetchall() == before
    assert set(db.execute("SELECT last_error, delivered_ms FROM outbox")) == {("", None)}
    assert db.execute("SELECT count(*) FROM refusals").fetchone() == (0,)
    assert "outbox_by_state" in {row[1] for row in db.execute("PRAGMA index_list(outbox)")}
    db.close()


REFUSED = {
    "a newer schema": ("PRAGMA user_version = 99", "its schema is 99"),
    "an unknown column": ("ALTER TABLE alarms ADD COLUMN mood TEXT", "column alarms.mood is unknown"),
    "a missing column without default": ("ALTER TABLE alarms DROP COLUMN letter", "alarms.letter is missing"),
    "a column of another type": (
        "ALTER TABLE alarms DROP COLUMN value; ALTER TABLE alarms ADD COLUMN value TEXT",
        "column alarms.value is TEXT",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_another_version_wrote_is_refused_with_the_way_out_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    statement, words = REFUSED[name]
    path = first_state(tmp_path)
    with sqlite3.connect(path) as db:
        db.executescript(f"DROP TABLE refusals; {statement}")
    db.close()
    before = columns(path)
    with pytest.raises(ConfigError, match=words) as caught:
        State(path)
    assert str(path) in str(caught.value)
    assert "put back the copy of data_dir" in str(caught.value)
    assert columns(path) == before, "half a migration would be worse than none"


def test_s29_a_column_that_came_later_breaks_no_older_row_and_is_hashed_in_newer_ones() -> None:
    later = {"comment": ""}
    old, head = link(Head(), {"number": 1, "value": 3.0})
    new, end = link(head, {"number": 2, "value": 4.0, "comment": "pump"}, later)
    rows = [{**old, "comment": ""}, new]
    assert first_break("tank", rows, "number", end, later) is None
    for forged in ({**old, "comment": "x"}, {**new, "comment": ""}, {**new, "comment": "y"}):
        changed = [forged if row["number"] == forged["number"] else row for row in rows]
        found = first_break("tank", changed, "number", end, later)
        assert found is not None
        assert found.number == forged["number"]
    assert content_of(rows[0], later) == {"number": 1, "value": 3.0}


def test_a_cloud_of_this_version_goes_on_with_a_state_of_the_first(tmp_path: Path) -> None:
    first_state(tmp_path)
    with host(tmp_path, now_ms=1_760_000_100_000) as running:
        running.act("acknowledge", occurrence="cl2-store-98", version=1)
        running.settle()
        assert verify_chain(running.state) is None
