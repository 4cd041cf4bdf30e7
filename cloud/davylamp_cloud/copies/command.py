"""The commands `davylamp-cloud backup` and `davylamp-cloud restore`."""

import argparse
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from davylamp_cloud.config import CloudConfig
from davylamp_cloud.copies.backup import back_up
from davylamp_cloud.copies.manifest import Manifest
from davylamp_cloud.copies.restore import restore
from davylamp_cloud.historian import history_folder
from davylamp_cloud.retention import FolderTaken

OK, FAILED = 0, 1
Load = Callable[[Path], CloudConfig]

MADE = {
    "en": "{folder}: a backup as of {made}, {megabytes:.1f} MB in {files} files",
    "zh": "{folder}：备份完成，截至 {made}，共 {files} 个文件、{megabytes:.1f} MB",
}
BESIDE = {
    "en": "  not in it: secrets (files the config names){history}. Keep it on another disk; try a restore once a year",
    "zh": "  不含：配置所引用的密钥文件{history}。请存放在另一块磁盘，并每年试恢复一次",
}
ELSEWHERE = {"en": ", history (it is in {kind}: back that up as well)", "zh": "、历史数据（在 {kind} 中，请另行备份）"}
BACK = {
    "en": """{folder}: the backup of {made} is back. Start the cloud. What happened since then:
  readings      edges send them again, as far as they keep them (72 h); red alarms among them are announced as late
  done by hand  acknowledgements, shelves, masks, edits of limits, reviews since then are lost: do them again
  notices       what was still to be sent at that time is sent, maybe once more, under the same webhook-id
An alarm of the monitoring system says so to whoever is on duty, until it is acknowledged and reset.""",
    "zh": """{folder}：已恢复 {made} 的备份，请启动云端。此后发生的：
  读数      由各边缘网关补传（最多 72 小时）；其中的红色报警按“迟到”播报
  人工操作  此后的确认、搁置、屏蔽、限值修改、复核均已丢失，须重做
  通知      备份时尚未发出的会发出，可能重复一次，webhook-id 不变
启动后有一条监测系统自身的报警告知值班人员，确认并复位后消失。""",
}


def add_backup(backup: argparse.ArgumentParser, load: Load) -> None:
    """Describe the command to argparse."""
    backup.add_argument("file", type=Path, metavar="FILE", help="the cloud's config, TOML; the cloud may run meanwhile")
    backup.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder, or a backup to renew (备份目录)")
    backup.set_defaults(act=lambda given: _run(lambda: _backup(load(given.file), given.file, given.folder)))


def add_restore(back: argparse.ArgumentParser, load: Load) -> None:
    """Describe the command to argparse."""
    back.add_argument("file", type=Path, metavar="FILE", help="the cloud's config; its data_dir must be empty")
    back.add_argument("folder", type=Path, metavar="FOLDER", help="what `davylamp-cloud backup` wrote (备份目录)")
    back.set_defaults(act=lambda given: _run(lambda: _restore(load(given.file), given.folder)))


def _backup(config: CloudConfig, file: Path, folder: Path) -> None:
    made = back_up(config, file, folder, time.time_ns() // 1_000_000)
    language = config.language
    size = sum(made.files.values()) / 1e6
    print(MADE[language].format(folder=folder, made=made.made, megabytes=size, files=len(made.files)))
    print(BESIDE[language].format(history=_elsewhere(config, made)))


def _elsewhere(config: CloudConfig, made: Manifest) -> str:
    inside = history_folder(config.historian, config.data_dir) is not None
    return "" if inside else ELSEWHERE[config.language].format(kind=made.historian)


def _restore(config: CloudConfig, folder: Path) -> None:
    made = restore(config, folder)
    print(BACK[config.language].format(folder=config.data_dir, made=made.made))


def _run(act: Callable[[], None]) -> int:
    try:
        act()
    except (FolderTaken, OSError, sqlite3.Error) as error:
        print(f"davylamp-cloud: {error}", file=sys.stderr)
        return FAILED
    return OK
