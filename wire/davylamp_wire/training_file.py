"""The file that a training leaves behind: JSON that says of which format and version it is, sealed by its own SHA-256.

What it holds is the business of who trains (davylamp_alarms/watching) and of who runs with it (trained.py).
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from davylamp_wire.learnt_shapes import Words, unlearnt

FORMAT = "davylamp-training"
VERSION = 2
"""Of the file. It goes up with every change that an older program would misread."""


class ArtefactError(ValueError):
    """A file that cannot be used: what is wrong with it and what to do, in Chinese and in English."""

    def __init__(self, words: Words) -> None:
        super().__init__(words[1])
        self.words = words


def sealed_table(table: dict[str, Any]) -> str:
    """Return the text of the file: JSON, with the SHA-256 of all the rest."""
    return json.dumps({**table, "sha256": sha256_of(table)}, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def read_table(path: Path) -> dict[str, Any]:
    """Return what a file holds, without its seal.

    Raises:
        ArtefactError: It is not there, no training, of another version, changed since, or incomplete.
    """
    table = _table(path)
    if table.get("format") != FORMAT:
        raise unusable(
            path,
            "不是训练结果文件；请指定 davylamp-cloud train 生成的文件",
            "is no training; name a file that davylamp-cloud train wrote",
        )
    if table.get("version") != VERSION:
        raise _of_another_version(path, table.get("version"))
    said = table.pop("sha256", None)
    if not _is_sealed_by(said, table):
        raise unusable(
            path,
            "内容与其校验值不符：生成后被改动或传输损坏；请重新取得原文件，或重新训练",
            "does not match its own SHA-256: it was changed or damaged since; fetch the original, or train again",
        )
    if wrong := unlearnt(table.get("learnt")):
        zh, en = wrong
        raise unusable(path, f"不完整：{zh}；请重新训练", f"is incomplete: {en}; train again")
    return table


def sha256_of(table: Any) -> str:
    """Return the SHA-256 of JSON types, whatever the order of keys."""
    text = json.dumps(table, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_sealed_by(said: Any, table: dict[str, Any]) -> bool:
    """Return whether a digest is a table's; of one with NaN or half a character nobody ever made one."""
    try:
        return bool(said == sha256_of(table))
    except ValueError:
        return False


def unusable(path: Path, zh: str, en: str) -> ArtefactError:
    """Return that a file cannot be used, and why."""
    return ArtefactError((f"{path}：{zh}", f"{path}: {en}"))


def _table(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unusable(
            path,
            f"无法读取（{error.strerror}）；请指定 davylamp-cloud train 生成的文件，或把它放到此处",
            f"cannot be read ({error.strerror}); name a file that davylamp-cloud train wrote, or put it there",
        ) from None
    except (ValueError, RecursionError) as error:
        raise unusable(
            path,
            f"不是 JSON：{error}；文件可能不完整，请重新取得",
            f"is not JSON: {error}; it may be cut short: fetch it again",
        ) from None
    return found if isinstance(found, dict) else {}


def _of_another_version(path: Path, version: Any) -> ArtefactError:
    newer = isinstance(version, int) and version > VERSION
    zh, en = ("升级本程序", "update this program, or train again") if newer else ("重新训练", "train again")
    return unusable(
        path,
        f"是第 {version} 版格式，本程序读第 {VERSION} 版；请{zh}",
        f"is of version {version}, and this program reads version {VERSION}: {en}",
    )
