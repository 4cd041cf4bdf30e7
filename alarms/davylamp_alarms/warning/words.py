"""What a rule found, in words: the evidence of one row as a sentence in Chinese and in English."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from davylamp_alarms.warning.bank import Bank

Words = tuple[str, str]
Row = Mapping[str, Any]

SPANS = (
    (1.0, 90.0, "秒", "s"),
    (60.0, 5400.0, "分钟", "min"),
    (3600.0, 172_800.0, "小时", "h"),
    (86_400.0, math.inf, "天", "d"),
)
"""Seconds in a unit of time, until when it is used, and its names."""

PER = {1.0: ("秒", "s"), 60.0: ("分钟", "min"), 3600.0: ("小时", "h"), 86_400.0: ("天", "d")}
"""Spans that a rate is told by without a number."""

LEVELS = (("无", "none"), ("蓝", "blue"), ("黄", "yellow"), ("橙", "orange"), ("红", "red"))


def words(rule: str, bank: Bank, row: int, unit: str = "", tags: Sequence[str] = ()) -> Words:
    """Return what the rule of this name has found in a row, in Chinese and in English.

    Args:
        unit: Of the tag, as people write it.
        tags: What people call the inputs, for a rule over several.
    """
    columns = bank.evidence(np.array([row]))
    said = {name: column[..., 0] for name, column in columns.items()}
    return sentence(rule, bank.settings, said, unit, tags)


def sentence(rule: str, settings: Any, said: Row, unit: str = "", tags: Sequence[str] = ()) -> Words:
    """Return what evidence says, in Chinese and in English: figures by the rule's own names, NaN where unknown."""
    return SENTENCES[rule](settings, said, f" {unit}" if unit else "", tags)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _span(seconds: float) -> tuple[str, str, float]:
    """Return a span of time in both languages, and the seconds of the unit it is told in."""
    size, _, zh, en = next(span for span in SPANS if seconds < span[1])
    return f"{seconds / size:.0f} {zh}", f"{seconds / size:.0f} {en}", size


def _trend(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    limit = f"{said.get('towards', '')} {_number(said['limit'])}{unit}".strip()
    in_s, late_s = float(said["in_s"]), float(said["late_s"])
    if not math.isfinite(in_s):
        return "目前未趋向限值", "moves towards no limit now"
    if in_s == 0:
        return f"趋势已到限值 {limit}", f"its trend is at the limit of {limit}"
    zh, en, size = _span(in_s)
    late = f"{late_s / size:.0f}" if math.isfinite(late_s) else "…"
    between = f"{said['early_s'] / size:.0f}–{late}"
    return f"预计 {zh}（{between}）后达到 {limit}", f"reaches {limit} in {en} ({between})"


def overdue(towards: str, limit: float, unit: str, ago_s: float) -> Words:
    """Return that a forecast time has passed: what was to come is never told as coming once it should be there."""
    zh, en, _ = _span(max(ago_s, 1.0))
    name = f"{towards} {_number(limit)} {unit}".strip()
    return f"按最近一次预测，{zh}前应已达到 {name}", f"was to reach {name} {en} ago, by its newest forecast"


def _rate(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    zh, en = PER.get(settings.per_s) or _span(settings.per_s)[:2]
    rate, limit = f"{said['rate']:+.3g}{unit}", f"{_number(said['limit'])}{unit}"
    return f"每{zh}变化 {rate}，限值 {limit}", f"changes by {rate} per {en}, limit {limit}"


def _frozen(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    zh, en, _ = _span(float(said["still_s"]))
    return f"数值 {zh} 未变：{_number(said['low'])}{unit}", f"has not moved for {en}: {_number(said['low'])}{unit}"


def _quiet(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    seen, least = f"{_number(said['deviation'])}{unit}", f"{_number(said['least'])}{unit}"
    return f"波动 {seen}，正常不小于 {least}", f"deviates by {seen}, a live instrument by {least} at least"


def _deviation(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    apart = np.where(np.isfinite(said["apart"]), np.abs(said["apart"]), -1.0)
    which, limit = int(apart.argmax()), f"{_number(said['limit'])}{unit}"
    tag, off = _name(tags, which), f"{said['apart'][which]:+.3g}{unit}"
    return f"{tag} 偏差 {off}，限值 {limit}", f"{tag} is off by {off}, limit {limit}"


def _ewma(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    now, usual = f"{_number(said['now'])}{unit}", f"{_number(said['usual'])}{unit}"
    return f"近来约 {now}，通常 {usual}", f"about {now} lately, {usual} as a rule"


def _cusum(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    above, usual = said["above"] >= said["below"], f"{_number(said['usual'])}{unit}"
    return f"持续{'高' if above else '低'}于通常值 {usual}", f"stays {'above' if above else 'below'} the usual {usual}"


def _normal(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    percent, normal = f"{abs(said['percent']):.0f} %", f"{_number(said['normal'])}{unit}"
    above, days = said["percent"] >= 0, settings.days
    zh = f"比 {days} 天常态 {normal} {'高' if above else '低'} {percent}"
    return zh, f"{percent} {'above' if above else 'below'} the {days}-day normal of {normal}"


def _unit(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    by_q = said["q"] / said["q_limit"] > said["t2"] / said["t2_limit"]
    of, statistic = (said["q_of"], "q") if by_q else (said["t2_of"], "t2")
    times = _number(said[statistic] / said[f"{statistic}_limit"])
    most = [_name(tags, int(at)) for at in np.argsort(-of)[:3]]
    name = "Q" if by_q else "T²"
    return (
        f"{name} 为限值的 {times} 倍，主要来自 {'、'.join(most)}",
        f"{name} is {times} times its limit, most of it by {', '.join(most)}",
    )


def _rollup(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    zh, en = LEVELS[int(said["level"])]
    blue, yellow, orange = (int(said[name]) for name in ("blue", "yellow", "orange"))
    zh = f"按计数升级为{zh}：蓝及以上 {blue}，黄及以上 {yellow}，橙及以上 {orange}"
    return zh, f"{en} by count: {blue} blue or above, {yellow} yellow or above, {orange} orange or above"


def _command(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    zh, en, _ = _span(float(said["apart_s"]))
    command, actual = _number(said["command"]), _number(said["actual"])
    return f"指令 {command}，实际 {actual}，已 {zh}", f"commanded {command}, is {actual}, for {en}"


def _expression(settings: Any, said: Row, unit: str, tags: Sequence[str]) -> Words:
    pairs = zip(settings.inputs, said["values"], strict=True)
    values = ", ".join(f"{name} = {'?' if math.isnan(value) else _number(value)}" for name, value in pairs)
    return f"{settings.text}（{values}）", f"{settings.text} ({values})"


def _name(tags: Sequence[str], at: int) -> str:
    return tags[at] if at < len(tags) else f"#{at + 1}"


SENTENCES: Mapping[str, Callable[[Any, Row, str, Sequence[str]], Words]] = {
    "rate": _rate,
    "frozen": _frozen,
    "quiet": _quiet,
    "deviation": _deviation,
    "ewma": _ewma,
    "cusum": _cusum,
    "trend": _trend,
    "normal": _normal,
    "unit": _unit,
    "rollup": _rollup,
    "command": _command,
    "expression": _expression,
}
"""What each rule's evidence says, by the rule's name."""
