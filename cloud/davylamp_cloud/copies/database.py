"""A SQLite file copied while another process writes to it: the copy is the file as it was at one moment."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from davylamp_wire.config import ConfigError


def copy_database(source: Path, target: Path) -> None:
    """Copy a database with all that was committed to it; whoever writes to it goes on meanwhile.

    Raises:
        ConfigError: What is on the disk is damaged.
    """
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(_only_read(source), uri=True)) as one, closing(sqlite3.connect(target)) as other:
        try:
            one.backup(other)
        except sqlite3.DatabaseError as error:
            raise ConfigError([f"{source}: cannot be copied: {error}"]) from None
    check_database(target)


def check_database(path: Path) -> None:
    """Raise ConfigError where a database is damaged."""
    try:
        with closing(sqlite3.connect(_only_read(path), uri=True)) as connection:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise ConfigError([f"{path}: is damaged ({found}); keep it, and take another copy"])


def number(path: Path, query: str) -> int:
    """Return the number a query answers, 0 where there is none."""
    with closing(sqlite3.connect(_only_read(path), uri=True)) as connection:
        row = connection.execute(query).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def _only_read(path: Path) -> str:
    return f"file:{quote(str(path))}?mode=ro"
