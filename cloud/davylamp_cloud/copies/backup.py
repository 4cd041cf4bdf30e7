"""A backup: a folder with a cloud's files as they were together, made while the cloud runs.

History first, then what was told, then the log: each reader's cursor lies in what is copied after it, so that a cloud
that starts with the copy goes on from there as after a kill.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from davylamp_wire.config import ConfigError

from davylamp_cloud.config import CloudConfig
from davylamp_cloud.copies.database import copy_database, number
from davylamp_cloud.copies.history import copy_history
from davylamp_cloud.copies.manifest import NAME, Manifest
from davylamp_cloud.historian import HistorianUnavailable, history_folder
from davylamp_cloud.historian.duckdb_past import ROOM_BYTES

DATABASES = ("state.db", "log.db")
"""In the order they are copied."""

HISTORY = "history"
TRIES = 3


def back_up(config: CloudConfig, config_file: Path, target: Path, now_ms: int) -> Manifest:
    """Bring a backup in a folder to the present of a cloud, which may run; return what it says of itself.

    Raises:
        ConfigError: There is nothing to copy, no room, or something else in the folder.
    """
    _check(config, target)
    _part(target, NAME).touch()
    for _ in range(TRIES):
        history = _copy(config, target)
        if _reaches(target):
            break
    else:
        raise ConfigError(
            [f"{config.data_dir}: its log is trimmed as fast as it is copied; try again, or to a faster disk"]
        )
    shutil.copyfile(config_file, target / "cloud.toml")
    (target / NAME).unlink(missing_ok=True)
    for name in DATABASES:
        _part(target, name).replace(target / name)
    files = [*history, *(target / name for name in (*DATABASES, "cloud.toml"))]
    _to_disk(files)
    sizes = {str(path.relative_to(target)): path.stat().st_size for path in files}
    made = Manifest(made_ms=now_ms, historian=config.historian.kind, files=sizes)
    made.write(target)
    return made


def _copy(config: CloudConfig, target: Path) -> list[Path]:
    """Copy history, and the databases beside those of an older backup; return the files of history."""
    folder = history_folder(config.historian, config.data_dir)
    try:
        history = [] if folder is None else copy_history(folder, target / HISTORY)
    except HistorianUnavailable as error:
        raise ConfigError([str(error)]) from None
    for name in DATABASES:
        copy_database(config.data_dir / name, _part(target, name))
    return history


def _reaches(target: Path) -> bool:
    """Whether the log's copy has all that is behind the cursor of the other's."""
    cursor = number(_part(target, "state.db"), "SELECT seq FROM cursors WHERE name = 'monitor'")
    return number(_part(target, "log.db"), "SELECT min(seq) FROM records") <= cursor + 1


def _check(config: CloudConfig, target: Path) -> None:
    """Raise ConfigError where no backup can be made there; make the folder."""
    for name in DATABASES:
        if not (config.data_dir / name).is_file():
            raise ConfigError([f"{config.data_dir / name}: is not there; name the config of a cloud that has run"])
    if target.resolve().is_relative_to(config.data_dir.resolve()):
        raise ConfigError([f"{target}: lies in data_dir; name a folder on another disk"])
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not _is_backup(target)):
        raise ConfigError([f"{target}: holds something else; name a new folder, or one with a backup to renew"])
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError([f"{target}: cannot be made: {error.strerror}"]) from None
    needed = sum(path.stat().st_size for path in _sources(config)) - sum(p.stat().st_size for p in _days(target))
    if shutil.disk_usage(target).free < needed + ROOM_BYTES:
        raise ConfigError([f"{target}: needs {(needed + ROOM_BYTES) / 1e9:.1f} GB free; name another disk"])


def _is_backup(folder: Path) -> bool:
    """Whether a folder holds a backup, or what an interrupted one left."""
    return (folder / NAME).is_file() or _part(folder, NAME).is_file()


def _sources(config: CloudConfig) -> Iterable[Path]:
    yield from (config.data_dir / name for name in DATABASES)
    folder = history_folder(config.historian, config.data_dir)
    if folder is not None and folder.is_dir():
        yield from folder.glob("*.duckdb")


def _days(target: Path) -> Iterable[Path]:
    return (target / HISTORY).glob("*.duckdb")


def _part(target: Path, name: str) -> Path:
    return target / f"{name}.part"


def _to_disk(files: Iterable[Path]) -> None:
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
