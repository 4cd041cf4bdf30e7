"""Many rows into one table, by the driver: naming each parameter of each row costs more than SQLite's own work.

Values are what the columns' types would take: enums and booleans as they are, JSON as values or as text.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table

from davylamp_cloud.store.json_text import JsonText, json_text

Row = Mapping[str, Any]
Names = tuple[str, ...]


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows; each has what the first one has."""
    if rows:
        names = tuple(rows[0])
        connection.exec_driver_sql(_inserted(table, names), _values(table, names, rows))


def put(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, or replace those with the same key; each has what the first one has."""
    if rows:
        names = tuple(rows[0])
        connection.exec_driver_sql(_inserted(table, names) + _replaced(table, names), _values(table, names, rows))


def _values(table: Table, names: Names, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    places = [place for place, name in enumerate(names) if isinstance(table.c[name].type, JsonText)]
    return [_row(row, names, places) for row in rows]


def _row(row: Row, names: Names, places: Sequence[int]) -> tuple[Any, ...]:
    values = [row[name] for name in names]
    for place in places:
        values[place] = json_text(values[place])
    return tuple(values)


@lru_cache
def _inserted(table: Table, names: Names) -> str:
    columns = ", ".join(f'"{table.c[name].name}"' for name in names)
    return f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join('?' * len(names))})"


@lru_cache
def _replaced(table: Table, names: Names) -> str:
    keys = [column.name for column in table.primary_key]
    changed = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
    return f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changed}"
