"""Bringing a state.db to the schema of this version: what is missing is added, anything else is refused by name.

Nothing stored is rewritten, so that hash chains hold over every version: a row from before a column was there has the
column's default in it, and a default that came later is left out of what is hashed (`later_defaults`).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from davylamp_wire.config import ConfigError
from sqlalchemy import Boolean, Column, Connection, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import ColumnDefault, CreateIndex

from davylamp_cloud.store import schema
from davylamp_cloud.store.json_text import JsonText

SCHEMA: Final = 1
"""In SQLite's ``user_version`` from the first migration on; it rises only where a change is not an addition."""

DIALECT = sqlite.dialect()

_FIRST_TRANSITIONS = """
    id source_no seq alarm_id lane occurrence version hazard_source tag tag_id kind priority event condition quality
    acknowledged latched suppressions letter value limit time_ms due_ms raised_ms late late_until_ms scan_ms actor
    comment at_ms body prev_hash hash
"""
_FIRST_AUDIT = "number at_ms seq actor action subject before after prev_hash hash"

FIRST_COLUMNS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"transitions": frozenset(_FIRST_TRANSITIONS.split()), "audit": frozenset(_FIRST_AUDIT.split())}
)
"""Columns the chained tables began with. Their values are always hashed, those of later ones unless by default."""


def migrate(connection: Connection, path: Path) -> None:
    """Create or complete the schema, in the caller's one transaction.

    Raises:
        ConfigError: The file has what this version does not know; the message names it and the way out.
    """
    found = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    faults = [f"its schema is {found}, this version knows {SCHEMA}"] if found > SCHEMA else []
    faults += [fault for table in schema.METADATA.sorted_tables for fault in _complete(connection, table)]
    if faults:
        raise ConfigError([f"{path}: {'; '.join(faults)}. {WAY_OUT}"])
    schema.METADATA.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")


def check(connection: Connection, path: Path) -> None:
    """See that the schema is this version's; for who only looks, and may not complete it.

    Raises:
        ConfigError: Another version wrote the file; the message names what is missing.
    """
    faults = [fault for table in schema.METADATA.sorted_tables for fault in _missing(connection, table)]
    if faults:
        raise ConfigError([f"{path}: {faults[0]}: a cloud of another version wrote it. Ask with that version"])


def _missing(connection: Connection, table: Table) -> Iterator[str]:
    stored = {row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table.name})")}
    if not stored:
        yield f"table {table.name} is missing"
        return
    yield from (
        f"column {table.name}.{column.name} is missing" for column in table.columns if column.name not in stored
    )


WAY_OUT = (
    "Another version of Davylamp wrote this file: start that version, or put back the copy of data_dir from before "
    "the change of version (edges send again what it lacks). Nothing was changed"
)


def later_defaults(table: Table) -> Mapping[str, Any]:
    """Return name and default of every column a chained table got after its first version."""
    first = FIRST_COLUMNS[table.name]
    return {column.name: default_of(column) for column in table.columns if column.name not in first}


def default_of(column: Column[Any]) -> Any:
    """Return what a row written before the column was there says; None where nothing can be said."""
    default = column.default
    return default.arg if isinstance(default, ColumnDefault) and default.is_scalar else None


def _complete(connection: Connection, table: Table) -> Iterator[str]:
    """Add a stored table's missing columns and indexes; yield what cannot be brought into line."""
    stored = {row[1]: row for row in connection.exec_driver_sql(f"PRAGMA table_info({table.name})")}
    if not stored:
        return  # a table that is missing altogether is created with its indexes afterwards
    yield from (f"column {table.name}.{name} is unknown" for name in stored if name not in table.columns)
    for column in table.columns:
        if column.name in stored:
            yield from _fault(column, stored[column.name])
        elif column.primary_key or (not column.nullable and default_of(column) is None):
            yield f"column {table.name}.{column.name} is missing and has no default"
        else:
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {_definition(column)}")
    _add_indexes(connection, table)


def _add_indexes(connection: Connection, table: Table) -> None:
    there = {row[1] for row in connection.exec_driver_sql(f"PRAGMA index_list({table.name})")}
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.name not in there:
            connection.execute(CreateIndex(index))


def _fault(column: Column[Any], stored: Any) -> Iterator[str]:
    """Yield where a stored column (a row of ``table_info``) is not what the schema says."""
    _, name, kind, required, _, key = stored
    wanted = (column.type.compile(DIALECT), not column.nullable, column.primary_key)
    if (kind, bool(required), bool(key)) != wanted:
        words = f"{kind}{' NOT NULL' if required else ''}{' PRIMARY KEY' if key else ''}"
        yield f"column {column.table.name}.{name} is {words}"


def _definition(column: Column[Any]) -> str:
    kind = column.type.compile(DIALECT)
    rest = "" if column.nullable else f" NOT NULL DEFAULT {_literal(column)}"
    return f'"{column.name}" {kind}{rest}'


def _literal(column: Column[Any]) -> str:
    value = default_of(column)
    if isinstance(column.type, Boolean):
        return str(int(value))
    text = json.dumps(value, ensure_ascii=False) if isinstance(column.type, JsonText) else str(value)
    return text if isinstance(value, int | float) else "'" + text.replace("'", "''") + "'"
