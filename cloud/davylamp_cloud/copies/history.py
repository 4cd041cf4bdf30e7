"""Day files of history, from one folder into another; days that are there already stay."""

import os
import shutil
from pathlib import Path

from davylamp_cloud.historian.days import days_in, path_of, wal_of
from davylamp_cloud.historian.duckdb_past import copy_day


def copy_history(source: Path, target: Path) -> list[Path]:
    """Copy the days that are new or have changed since the last copy, newest first; return the files there are then.

    The newest carries the store's cursor: what is fed again from there each older file skips, as far as it has it. So
    none may be older than it.
    """
    target.mkdir(parents=True, exist_ok=True)
    days = days_in(source) if source.is_dir() else []
    kept = [path for day in reversed(days) for path in _kept(path_of(source, day), path_of(target, day))]
    for path in {*target.glob("*.duckdb"), *target.glob("*.duckdb.wal")} - {*kept}:
        path.unlink()
    return kept


def put_history(source: Path, target: Path) -> None:
    """Copy day files nobody has open into a folder that has none."""
    target.mkdir(parents=True, exist_ok=True)
    for day in days_in(source) if source.is_dir() else []:
        for path in _both(path_of(source, day)):
            shutil.copyfile(path, target / path.name)


def _kept(path: Path, copy: Path) -> list[Path]:
    """Return the files of a day's copy, made anew unless it is what it was; none where the day is gone meanwhile."""
    try:
        at = _changed(path)
        if not copy.is_file() or _changed(copy) != at or wal_of(path).is_file():
            copy_day(path, copy)
            os.utime(copy, ns=(at[1], at[1]))
    except FileNotFoundError:
        return []
    return _both(copy)


def _both(path: Path) -> list[Path]:
    return [file for file in (path, wal_of(path)) if file.is_file()]


def _changed(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
