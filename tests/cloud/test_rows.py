"""Rows the driver writes are, value for value and type for type, what SQLAlchemy's own statements write."""

from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud.store import rows, schema
from davylamp_cloud.store.json_text import JsonText
from davylamp_cloud.store.state import State
from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, Table

TABLES = {table.name: table for table in schema.METADATA.sorted_tables}


def value(column: Column[Any], number: int) -> Any:
    """Return a value as the store hands it over: an integer for a real number, too, and JSON as text or not."""
    if isinstance(column.type, JsonText):
        return ['"气"', number, 0.1, None, True] if number else '{"as": "it is"}'
    if isinstance(column.type, Boolean):
        return bool(number)
    if isinstance(column.type, Float):
        return number if number else 0.1
    if isinstance(column.type, Integer):
        return number
    if isinstance(column.type, LargeBinary):
        return bytes([number])
    return f"气 'quoted' \"twice\" {number}"


def made(table: Table, number: int) -> dict[str, Any]:
    row = {column.name: value(column, number) for column in table.columns}
    return {**row, **{column.name: None for column in table.columns if column.nullable and number == 2}}


def stored(folder: Path, table: Table, write: Any) -> list[Any]:
    state = State(folder / "state.db")
    columns = ", ".join(f'"{column.name}", typeof("{column.name}")' for column in table.columns)
    with state.writing() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        write(connection)
        found = list(connection.exec_driver_sql(f"SELECT {columns} FROM {table.name} ORDER BY rowid").fetchall())
        connection.exec_driver_sql(f"DELETE FROM {table.name}")
    state.close()
    return found


@pytest.mark.parametrize("name", TABLES)
def test_inserted_rows_are_those_of_the_plain_statement(tmp_path: Path, name: str) -> None:
    table = TABLES[name]
    wanted = [made(table, number) for number in range(3)]
    plain = stored(tmp_path, table, lambda connection: connection.execute(table.insert(), wanted))
    assert stored(tmp_path, table, lambda connection: rows.insert(connection, table, wanted)) == plain


@pytest.mark.parametrize("name", TABLES)
def test_a_row_that_is_put_replaces_the_one_with_its_key(tmp_path: Path, name: str) -> None:
    table = TABLES[name]
    keys = {column.name: value(column, 1) for column in table.primary_key}
    first, second = {**made(table, 1), **keys}, {**made(table, 0), **keys}
    found = stored(tmp_path, table, lambda connection: rows.put(connection, table, [first, second]))
    assert found == stored(tmp_path, table, lambda connection: connection.execute(table.insert(), [second]))


def test_no_rows_are_no_statement(tmp_path: Path) -> None:
    table = schema.LINKS
    assert stored(tmp_path, table, lambda connection: rows.insert(connection, table, [])) == []
    assert stored(tmp_path, table, lambda connection: rows.put(connection, table, [])) == []


def test_a_row_that_lacks_what_the_first_one_has_is_refused(tmp_path: Path) -> None:
    table = schema.LINKS
    lacking = {name: said for name, said in made(table, 2).items() if name != "reason"}
    with pytest.raises(KeyError, match="reason"):
        stored(tmp_path, table, lambda connection: rows.insert(connection, table, [made(table, 1), lacking]))
