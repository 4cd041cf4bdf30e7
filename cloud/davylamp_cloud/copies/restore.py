"""Putting a backup back: into a folder without a cloud, whole, and so that the next start says so."""

import os
import shutil
from pathlib import Path

from davylamp_wire.config import ConfigError

from davylamp_cloud.config import CloudConfig
from davylamp_cloud.copies.backup import DATABASES, HISTORY
from davylamp_cloud.copies.database import check_database
from davylamp_cloud.copies.history import put_history
from davylamp_cloud.copies.manifest import Manifest
from davylamp_cloud.historian import history_folder
from davylamp_cloud.historian.days import days_in
from davylamp_cloud.restored import note_restored
from davylamp_cloud.retention import only_one


def restore(config: CloudConfig, source: Path) -> Manifest:
    """Put a backup into the folder a config names, which must have no cloud in it; return what the backup says.

    Raises:
        ConfigError: There is no whole backup, or the folder is in use by files of a cloud.
        FolderTaken: A cloud runs there.
    """
    made = Manifest.read(source)
    for name in DATABASES:
        check_database(source / name)
    folder = history_folder(config.historian, config.data_dir)
    config.data_dir.mkdir(parents=True, exist_ok=True)
    with only_one(config.data_dir):
        _check_empty(config.data_dir, folder)
        if folder is not None:
            put_history(source / HISTORY, folder)
        for name in reversed(DATABASES):
            _put(source / name, config.data_dir / name)
        note_restored(config.data_dir, made.made)
    return made


def _check_empty(data_dir: Path, history: Path | None) -> None:
    """Raise ConfigError where a cloud's files are: nothing is overwritten."""
    there = [str(data_dir / name) for name in DATABASES if (data_dir / name).exists()]
    if history is not None and history.is_dir() and days_in(history):
        there.append(str(history))
    if there:
        way_out = f"stop the cloud and move it aside first (mv {data_dir} {data_dir}.before); nothing was changed"
        raise ConfigError([f"{name}: is there already; {way_out}" for name in there])


def _put(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
