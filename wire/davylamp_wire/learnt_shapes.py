"""Whether what a training says that a watch learnt is whole: a file may have been written, or sealed, by hand."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Words = tuple[str, str]

OF_SHIFTS = ("mean", "home", "deviation", "limit")
OF_TAGS: Mapping[str, tuple[str, ...]] = {
    "ewma": OF_SHIFTS,
    "cusum": OF_SHIFTS,
    "normal": ("normal",),
    "unit": ("mean", "home", "deviation"),
}
"""Columns with one number a tag, by rule."""

MOST_TAGS, MOST_LAGS = 1000, 1000
"""Far above what trains, and far below what a model's head can say (warning/unit_model.py)."""


def unlearnt(learnt: Any) -> Words | None:
    """Return the first thing that is wrong with what a training's watches learnt, in Chinese and in English."""
    if not isinstance(learnt, list):
        return "缺少 learnt（各规则的训练结果）", "learnt, what its rules learnt, is missing"
    for place, one in enumerate(learnt):
        try:
            name, rule, wrong = _of(one)
        except (KeyError, TypeError, AttributeError):
            return f"learnt 第 {place + 1} 项不完整", f"entry {place + 1} of learnt is incomplete"
        if wrong is not None:
            zh, en = wrong
            return f"{name}（{rule}）：{zh}", f"{name} ({rule}): {en}"
    return None


def _of(one: Any) -> tuple[str, str, Words | None]:
    """Return an entry's watch and rule, and what is wrong with it."""
    rule, tags = one["watch"]["rule"], one["tags"]
    columns, lags = one["columns"], one["settings"].get("lags", 0)
    return str(one["watch"]["id"]), str(rule), _wrong(str(rule), tags, columns, lags)


def _wrong(rule: str, tags: Any, columns: Any, lags: Any) -> Words | None:
    if rule not in OF_TAGS:
        return "该规则没有可学的内容", "this rule learns nothing"
    if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags) and len(set(tags)) == len(tags) > 0):
        return "tags 应为互不相同的位号", "tags are not names, each once"
    if not isinstance(columns, dict):
        return "缺少 columns", "columns are missing"
    checks = [_column(columns, name, lambda found: _numbers(found, len(tags))) for name in OF_TAGS[rule]]
    if rule == "unit":
        checks += _of_unit(tags, columns, lags)
    return next(filter(None, checks), None)


def _of_unit(tags: Sequence[str], columns: Mapping[str, Any], lags: Any) -> list[Words | None]:
    if not isinstance(lags, int) or not 0 <= lags <= MOST_LAGS or len(tags) > MOST_TAGS:
        return [(f"tags 或 lags 过多或有误（{lags!r}）", f"too many tags or lags, or lags of {lags!r}")]
    variances = columns.get("variances")
    kept = len(variances) if isinstance(variances, list) else 0
    return [
        _column(columns, "variances", lambda found: _numbers(found, kept) and all(one > 0 for one in found)),
        _column(columns, "loadings", lambda found: _table(found, kept, len(tags) * (lags + 1))),
        _column(columns, "correlation", lambda found: _table(found, len(tags), len(tags))),
        _column(columns, "t2_limit", _number),
        _column(columns, "q_limit", lambda found: found is None or _number(found)),
    ]


def _column(columns: Mapping[str, Any], name: str, fits: Callable[[Any], bool]) -> Words | None:
    if name not in columns:
        return f"缺少 {name}", f"{name} is missing"
    if not fits(columns[name]):
        return f"{name} 的个数或数值不对", f"{name} has too many numbers, too few, or none in some place"
    return None


def _table(found: Any, rows: int, width: int) -> bool:
    return isinstance(found, list) and len(found) == rows and all(_numbers(row, width) for row in found)


def _numbers(found: Any, count: int) -> bool:
    return isinstance(found, list) and len(found) == count and all(map(_number, found))


def _number(found: Any) -> bool:
    """Return whether it is a number that arithmetic can be done with; JSON's true and 10 to the 400 are none."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    try:
        return math.isfinite(float(found))
    except OverflowError:
        return False
