"""From a training's file to what a warning of one tag carries: the numbers that were learnt, in its settings.

A profile or a site names the file (`model = "tank-1.json"`); the edge that reads it says the numbers in its births, so
that whoever hears them needs no file. Figures written by hand stand in the same settings.
"""

import base64
import math
import struct
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import byteorder
from typing import Any

from pydantic import BaseModel, ValidationError

from davylamp_wire.finding import Finding
from davylamp_wire.point import EarlyWarning, Source
from davylamp_wire.training_file import read_table, sha256_of, unusable

FIXED = ("every_s", "tau_s", "period_s", "allowance", "lags", "share", "day_s")
"""Settings that what was learnt hangs on: beside a model they are as they were in training."""

UNIT = "unit"
"""The rule whose model is of several tags together."""

LEARNT: Mapping[str, tuple[str, ...]] = {
    "ewma": ("mean", "deviation", "limit"),
    "cusum": ("mean", "deviation", "limit"),
    "normal": ("normal",),
    UNIT: ("model",),
}
"""What each rule that learns gets from training, by the names that its settings have."""

BY_HAND = ("limit",)
"""Of these a person may write another beside a model."""

SHOWN = 5
"""Most tags that a message names."""

DIGITS = 16
"""So many of a file's SHA-256 are written into a source: enough that no two trainings of a plant are taken for one."""

MARK = "SHA-256 "


class Lesson(BaseModel):
    """What one watch of a training learnt: `columns` by name, parallel to `tags`."""

    rule: str
    settings: dict[str, Any]
    tags: tuple[str, ...]
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Training:
    """A training's file, as far as rules run with it."""

    path: Path
    sha256: str
    lessons: tuple[Lesson, ...]

    def of(self, rule: str, tag: str) -> Lesson | None:
        """Return what the first watch with this rule learnt that looks at this tag."""
        return next((one for one in self.lessons if one.rule == rule and tag in one.tags), None)

    @property
    def mark(self) -> str:
        """What a source says of it."""
        return f"{MARK}{self.sha256[:DIGITS]}"


def read_training(path: Path) -> Training:
    """Return what rules can run with from a file.

    Raises:
        ArtefactError: The file is not there, no training, of another version, changed since, or incomplete.
    """
    table = read_table(path)
    try:
        lessons = tuple(Lesson.model_validate({**one, "rule": one["watch"]["rule"]}) for one in table["learnt"])
    except (KeyError, TypeError, ValidationError) as error:
        raise unusable(path, f"内容无法使用（{error}）；请重新训练", f"cannot be used ({error}); train again") from None
    return Training(path, sha256_of(table), lessons)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule stands: which of a device's points it warns of.

    Args:
        device: Its id, ``group/node/device``.
        point: Its name.
        node: The id of the node whose tags are known, and `tags` all of them; no others are judged.
    """

    device: str
    point: str
    node: str
    tags: Collection[str]

    @property
    def tag(self) -> str:
        """The tag's id."""
        return f"{self.device}/{self.point}"

    def full(self, name: str) -> str:
        """Return the id of an input: a name without a slash is a point of the same device."""
        return name if "/" in name else f"{self.device}/{name}"

    def short(self, tag: str) -> str:
        """Return how a rule of this point names a tag."""
        return tag.removeprefix(f"{self.device}/")

    def missing(self, tags: Sequence[str]) -> list[str]:
        """Return which of the tags this node should have, and has not."""
        return [tag for tag in tags if tag.startswith(f"{self.node}/") and tag not in self.tags]


def taught(rule: str, warning: EarlyWarning, place: Place, training: Training) -> EarlyWarning | list[Finding]:
    """Return a warning with what its model's file says of its tag, or everything that does not fit."""
    key = f"warnings.{rule}"
    lesson = training.of(rule, place.tag)
    if lesson is None:
        return [_unknown(key, rule, place.tag, training)]
    found = [
        *_settings_mistakes(f"{key}.settings", rule, warning.settings, lesson),
        *(_input_mistakes(f"{key}.inputs", warning.inputs, place, lesson) if rule == UNIT else ()),
        *_source_mistakes(f"{key}.source.clause", warning.source, training),
    ]
    if found:
        return found
    said = {**lesson.settings, **_numbers(rule, place.tag, lesson), **warning.settings}
    inputs = tuple(map(place.short, lesson.tags)) if rule == UNIT else ()
    source = warning.source.model_copy(update={"clause": _clause(warning.source.clause, training)})
    whole = {**dict(warning), "model": "", "settings": said, "inputs": inputs, "source": source}
    try:
        return EarlyWarning.model_validate(whole)
    except ValidationError as error:
        return [_unfit(f"{key}.model", training, error)]


def _unfit(key: str, training: Training, error: ValidationError) -> Finding:
    """Return that a file says what no rule takes, as one written by hand may."""
    places = list(dict.fromkeys(".".join(map(str, one["loc"][:2])) for one in error.errors()))
    return Finding(
        key,
        f"{training.path} says what no rule can take ({_listed(places)}); train again",
        f"{training.path} 中有规则无法接受的内容（{_listed(places)}）；请重新训练",
    )


def _unknown(key: str, rule: str, tag: str, training: Training) -> Finding:
    tags = list(dict.fromkeys(one for lesson in training.lessons if lesson.rule == rule for one in lesson.tags))
    if not tags:
        rules = ", ".join(sorted({lesson.rule for lesson in training.lessons})) or "nothing"
        return Finding(
            f"{key}.model",
            f"{training.path} holds nothing of the rule {rule} (it holds {rules}); train with a plan that has it",
            f"{training.path} 中没有规则 {rule} 的训练结果（有 {rules}）；请用含该规则的方案训练",
        )
    known = _listed(tags)
    if not any("/" in one for one in tags):
        return Finding(
            f"{key}.model",
            f"{training.path} names its tags as a CSV did ({known}); name that column {tag}, and train again",
            f"{training.path} 中是 CSV 的列名（{known}）；请把该列改名为 {tag} 后重新训练",
        )
    return Finding(
        f"{key}.model",
        f"{training.path} does not know {tag} (it knows {known}); train with this tag, or name another file",
        f"{training.path} 中没有位号 {tag}（有 {known}）；请用含该位号的数据训练，或改用别的文件",
    )


def _settings_mistakes(key: str, rule: str, settings: Mapping[str, Any], lesson: Lesson) -> Iterator[Finding]:
    for name, value in settings.items():
        if name in LEARNT[rule] and name not in BY_HAND:
            yield Finding(f"{key}.{name}", "comes from the model; leave it out", "由训练结果给出；请删去")
        elif name in FIXED and value != lesson.settings.get(name):
            had = lesson.settings.get(name, "as the rule has it")
            yield Finding(
                f"{key}.{name}",
                f"is {value} here and was {had} in training; leave it out, or train again",
                f"此处为 {value}，训练时为 {had}；请删去，或重新训练",
            )


def _input_mistakes(key: str, inputs: Sequence[str], place: Place, lesson: Lesson) -> Iterator[Finding]:
    if gone := place.missing(lesson.tags):
        yield Finding(
            key,
            f"the model looks at {_listed(gone)}, and this site has no such points; train again without them",
            f"训练结果中的 {_listed(gone)} 在本站不存在；请去掉后重新训练",
        )
    named = [place.full(name) for name in inputs]
    more, less = sorted(set(named) - set(lesson.tags)), sorted(set(lesson.tags) - set(named))
    if inputs and (more or less):
        en = [f"it lacks {_listed(less)}"] if less else []
        zh = [f"缺少 {_listed(less)}"] if less else []
        en += [f"the model does not know {_listed(more)}"] if more else []
        zh += [f"训练结果中没有 {_listed(more)}" if more else ""] if more else []
        yield Finding(
            key,
            f"are other than the model's: {', and '.join(en)}; leave inputs out, or train again",
            f"与训练结果的位号不同：{'，'.join(zh)}；请删去 inputs，或重新训练",
        )


def _source_mistakes(key: str, source: Source, training: Training) -> Iterator[Finding]:
    for word in source.clause.partition(MARK)[2].split()[:1]:
        digest = word.strip(".,;")
        if not training.sha256.startswith(digest.lower()):
            mark = training.mark
            yield Finding(
                key,
                f"names the training {digest}, and {training.path} is {mark}; look what changed"
                " (davylamp-cloud trained FILE), then write the new one",
                f"写的是训练结果 {digest}，而 {training.path} 为 {mark}；请先查看变化"
                "（davylamp-cloud trained 文件），再改写",
            )


def _clause(clause: str, training: Training) -> str:
    return clause if MARK in clause else "; ".join(filter(None, (clause, training.mark)))


def _numbers(rule: str, tag: str, lesson: Lesson) -> dict[str, Any]:
    if rule == UNIT:
        return {"model": packed(lesson)}
    at = lesson.tags.index(tag)
    return {name: lesson.columns[name][at] for name in LEARNT[rule]}


def packed(lesson: Lesson) -> str:
    """Return the model of a unit as text: davylamp_alarms/warning/unit_model.py says how, and reads it."""
    columns, inputs = lesson.columns, len(lesson.tags)
    q_limit = columns["q_limit"]
    exact = [*columns["mean"], *columns["home"], *columns["deviation"], *columns["variances"], columns["t2_limit"]]
    rounded = [number for component in columns["loadings"] for number in component]
    rounded += [number for at, row in enumerate(columns["correlation"]) for number in row[: at + 1]]
    head = struct.pack("<3H", inputs, int(lesson.settings.get("lags", 0)), len(columns["variances"]))
    body = _bytes("d", [*exact, math.inf if q_limit is None else q_limit]) + _bytes("f", rounded)
    return f"1:{base64.b64encode(head + body).decode()}"


def _bytes(kind: str, numbers: Sequence[float]) -> bytes:
    found = array(kind, numbers)
    if byteorder == "big":
        found.byteswap()
    return found.tobytes()


def _listed(tags: Sequence[str]) -> str:
    more = f", … (+{len(tags) - SHOWN})" if len(tags) > SHOWN else ""
    return ", ".join(tags[:SHOWN]) + more
