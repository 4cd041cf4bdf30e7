"""Many rows into one table, by the driver: naming each parameter of each row costs more than SQLite's own work.

Values are what the columns' types would take: enums and booleans as they are, JSON as values or as text.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Table

from davylamp_cloud.store.json_text import JsonText, json_text

Row = Mapping[str, Any]
Names = tuple[str, ...]


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows of two columns at least; each has what the first one has."""
    if rows:
        names = tuple(rows[0])
        connection.exec_driver_sql(_inserted(table, names), _values(table, names, rows))


def put(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, or replace those with the same key; each has what the first one has."""
    if rows:
        names = tuple(rows[0])
        connection.exec_driver_sql(_inserted(table, names) + _replaced(table, names), _values(table, names, rows))


def _values(table: Table, names: Names, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    found = list(map(itemgetter(*names), rows))
    places = [place for place, name in enumerate(names) if isinstance(table.c[name].type, JsonText)]
    return [_written(values, places) for values in found] if places else found


def _written(values: tuple[Any, ...], places: Sequence[int]) -> tuple[Any, ...]:
    """Return a row with its JSON as text."""
    texts = list(values)
    for place in places:
        texts[place] = json_text(texts[place])
    return tuple(texts)


@lru_cache
def _inserted(table: Table, names: Names) -> str:
    columns = ", ".join(f'"{table.c[name].name}"' for name in names)
    return f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join('?' * len(names))})"


@lru_cache
def _replaced(table: Table, names: Names) -> str:
    keys = [column.name for column in table.primary_key]
    changed = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
    return f" ON CONFLICT ({', '.join(keys)}) DO {f'UPDATE SET {changed}' if changed else 'NOTHING'}"
