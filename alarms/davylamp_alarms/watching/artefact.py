"""What one training left behind: a file that says from what it was made, and that it is still what was made.

`load` is what a cloud calls that runs with it.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from davylamp_alarms.batch import Floats, Ints
from davylamp_alarms.warning.rule import Settings
from davylamp_alarms.warning.words import Words
from davylamp_alarms.watching.learnt import Learnt
from davylamp_alarms.watching.watch import Watch
from davylamp_alarms.watching.window import Demands, Seen, Stood

FORMAT = "davylamp-training"
VERSION = 1
"""Of the file. It goes up with every change that an older program would misread."""


class ArtefactError(ValueError):
    """A file that cannot be used: what is wrong with it and what to do, in Chinese and in English."""

    def __init__(self, words: Words) -> None:
        super().__init__(words[1])
        self.words = words


class Untaught(Settings):
    """A watch, or one tag of it, that nothing could be learnt for."""

    watch: str
    tag: str = ""
    zh: str
    en: str


class Artefact(Settings):
    """All that a training was made from, and what it learnt.

    Args:
        made_by: The person, as the command knew them.
        source: Where the rows came from.
        from_ms: Of the window, which ends before `to_ms`.
        every_s: How far apart the rows are; each is the mean of the readings in its stretch.
        about: Of the plan.
        watches: The plan's, all of them.
        seen: What the window held of each tag.
        despite_alarms: Whether a person wanted it although alarms stood in the window.
        alarms: Those that did; None: the source of the rows knows of no alarms (a CSV).
        data_sha256: Of tags, times and values as training saw them.
        settings_sha256: Of plan, demands and spacing: the same settings on the same rows learn the same.
    """

    format: str = FORMAT
    version: int = VERSION
    made_ms: int
    made_by: str
    made_with: str
    source: str
    from_ms: int
    to_ms: int
    every_s: float
    rows: int
    about: str
    watches: tuple[Watch, ...]
    demands: Demands
    seen: tuple[Seen, ...]
    despite_alarms: bool
    alarms: tuple[Stood, ...] | None
    data_sha256: str
    settings_sha256: str
    learnt: tuple[Learnt, ...]
    untaught: tuple[Untaught, ...]

    def watch(self, name: str) -> Learnt:
        """Return what the watch of this id learnt.

        Raises:
            KeyError: It is not in the plan, or learnt nothing; the message says which did.
        """
        for one in self.learnt:
            if one.watch.id == name:
                return one
        raise KeyError(f"no watch {name} learnt anything; those that did: {', '.join(o.watch.id for o in self.learnt)}")

    def of(self, rule: str, tag: str) -> Learnt | None:
        """Return what the first watch with this rule learnt that looks at this tag."""
        return next((one for one in self.learnt if one.watch.rule == rule and tag in one.tags), None)


def sealed(artefact: Artefact) -> str:
    """Return the text of the file: JSON, with the SHA-256 of all the rest."""
    table = artefact.model_dump(mode="json")
    return json.dumps({**table, "sha256": sha256_of(table)}, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def load(path: Path) -> Artefact:
    """Return what a file holds.

    Raises:
        ArtefactError: It is not there, no training, of another version, changed since, or incomplete.
    """
    table = _table(path)
    if table.get("format") != FORMAT:
        raise _wrong(
            path,
            "不是训练结果文件；请指定 davylamp-cloud train 生成的文件",
            "is no training; name a file that davylamp-cloud train wrote",
        )
    if table.get("version") != VERSION:
        raise _of_another_version(path, table.get("version"))
    said = table.pop("sha256", None)
    if said != sha256_of(table):
        raise _wrong(
            path,
            "内容与其校验值不符：生成后被改动或传输损坏；请重新取得原文件，或重新训练",
            "does not match its own SHA-256: it was changed or damaged since; fetch the original, or train again",
        )
    try:
        return Artefact.model_validate(table)
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise _wrong(path, f"内容无法使用（{where}）；请重新训练", f"cannot be used ({where}); train again") from error


def sha256_of(table: Any) -> str:
    """Return the SHA-256 of JSON types, whatever the order of keys."""
    text = json.dumps(table, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_rows(tags: Sequence[str], time_ms: Ints, value: Floats) -> str:
    """Return the SHA-256 of rows: names, times, values, every missing one alike, on any machine."""
    found = hashlib.sha256(json.dumps(list(tags)).encode())
    found.update(np.ascontiguousarray(time_ms, "<i8").tobytes())
    found.update(np.where(np.isnan(value), np.nan, value).astype("<f8").tobytes())
    return found.hexdigest()


def _table(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(path, f"无法读取（{error.strerror}）", f"cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise _wrong(
            path,
            f"不是 JSON：{error}；文件可能不完整，请重新取得",
            f"is not JSON: {error}; it may be cut short: fetch it again",
        ) from None
    return found if isinstance(found, dict) else {}


def _of_another_version(path: Path, version: Any) -> ArtefactError:
    newer = isinstance(version, int) and version > VERSION
    zh, en = ("升级本程序", "update this program, or train again") if newer else ("重新训练", "train again")
    return _wrong(
        path,
        f"是第 {version} 版格式，本程序读第 {VERSION} 版；请{zh}",
        f"is of version {version}, and this program reads version {VERSION}: {en}",
    )


def _wrong(path: Path, zh: str, en: str) -> ArtefactError:
    return ArtefactError((f"{path}：{zh}", f"{path}: {en}"))
