"""What a transition says to a person, in Chinese and English (SAFETY S24).

level · unit · tag name (plant tag) · value against limit and unit · since when · first thing to do. Pure: the same
transition of the same tag always reads the same. No text orders an evacuation (SAFETY S21): that takes a person.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

from davylamp_alarms.definition import BLIND_KINDS, FALLING, LIMIT_KINDS, WARNING_KINDS, Kind, Priority
from davylamp_alarms.transition import Condition, Event, Transition
from davylamp_wire.point import Text

from davylamp_cloud.handling import Handling, general


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alarm is about. `lost` of `guarded` detectors are blind through it (SAFETY S12).

    A vote counts as many at the limit `voted` instead. `forecast` is what a warning found.
    """

    hazard_source: str
    device: Text
    tag: Text
    plant_tag: str = ""
    unit: str = ""
    handling: Handling | None = None
    lost: int = 0
    guarded: int = 0
    voted: Kind | None = None
    forecast: Text | None = None


LEVELS = {
    Priority.RED: Text(zh="监测报警·红", en="MONITORING RED"),
    Priority.ORANGE: Text(zh="监测报警·橙", en="MONITORING ORANGE"),
    Priority.YELLOW: Text(zh="监测报警·黄", en="MONITORING YELLOW"),
    Priority.BLUE: Text(zh="监测报警·蓝", en="MONITORING BLUE"),
}

KINDS = {
    Kind.HH: Text(zh="高高限", en="high-high"),
    Kind.H: Text(zh="高限", en="high"),
    Kind.L: Text(zh="低限", en="low"),
    Kind.LL: Text(zh="低低限", en="low-low"),
    Kind.L1: Text(zh="一级", en="level 1"),
    Kind.L2: Text(zh="二级", en="level 2"),
    Kind.OVER_RANGE: Text(zh="超量程", en="over range"),
    Kind.FAULT: Text(zh="仪表故障", en="instrument fault"),
    Kind.STALE: Text(zh="数据停止更新", en="no new data"),
    Kind.COMM: Text(zh="设备无应答", en="device does not answer"),
    Kind.LINK: Text(zh="边缘网关失联", en="edge link lost"),
    Kind.SYSTEM: Text(zh="监测系统自身", en="the monitoring system itself"),
    Kind.MASK: Text(zh="屏蔽开关未复位", en="mask switch left on"),
    Kind.VOTE: Text(zh="多台表决", en="vote"),
    Kind.VOTE_LOST: Text(zh="表决失效", en="vote lost"),
    Kind.BLIND: Text(zh="失去监视", en="blind"),
    Kind.CLOCK: Text(zh="网关时钟偏差", en="edge clock off"),
    Kind.TREND: Text(zh="趋势临限", en="early warning, trend"),
    Kind.RATE: Text(zh="变化过快", en="early warning, rate of change"),
    Kind.FROZEN: Text(zh="数值冻结", en="early warning, frozen value"),
    Kind.QUIET: Text(zh="波动过小", en="early warning, too quiet"),
    Kind.DEVIATION: Text(zh="测点偏差", en="early warning, deviation"),
    Kind.EWMA: Text(zh="均值偏移", en="early warning, shifted mean"),
    Kind.CUSUM: Text(zh="持续偏移", en="early warning, lasting shift"),
    Kind.NORMAL: Text(zh="偏离常态", en="early warning, off its normal"),
    Kind.UNIT: Text(zh="装置异常", en="early warning, unit unlike itself"),
    Kind.ROLLUP: Text(zh="多点异常", en="early warning, several points"),
    Kind.COMMAND: Text(zh="指令不符", en="early warning, command not followed"),
    Kind.EXPRESSION: Text(zh="组合条件", en="early warning, condition"),
}

EVENTS = {
    Event.RAISED: Text(zh="报警", en="raised"),
    Event.CLEARED: Text(zh="恢复正常", en="returned to normal"),
    Event.ACKNOWLEDGED: Text(zh="已确认", en="acknowledged"),
    Event.LATCHED: Text(zh="已回到限内，锁定待复位", en="back within limits, latched until reset"),
    Event.RESET: Text(zh="已复位", en="reset"),
    Event.RE_ALARMED: Text(zh="仍在报警", en="still standing"),
    Event.SHELVED: Text(zh="已搁置", en="shelved"),
    Event.UNSHELVED: Text(zh="结束搁置", en="unshelved"),
    Event.SUPPRESSED: Text(zh="按设计抑制", en="suppressed by design"),
    Event.UNSUPPRESSED: Text(zh="结束抑制", en="no longer suppressed"),
    Event.TAKEN_OUT: Text(zh="停用", en="taken out of service"),
    Event.RETURNED: Text(zh="恢复使用", en="returned to service"),
    Event.UPDATED: Text(zh="更新", en="updated"),
    Event.RECORDED: Text(zh="补传记录", en="recorded from backlog"),
    Event.CLOSED: Text(zh="因限值变更关闭", en="closed by limit change"),
}

FIELD_CHECK = Text(zh="请到现场核实", en="check the field")


COUNTING = ("失去监视：", "BLIND:", "表决：", "VOTE:")
"""How the part of a sentence begins that counts points."""


class Sentence(NamedTuple):
    """What was told. No `Text`: checking it again costs as much as finding the words."""

    zh: str
    en: str


def tell(step: Transition, subject: Subject, zone: tzinfo = UTC) -> Sentence:
    """Return one transition as a sentence in each language; times are of the site's clock."""
    counted_zh, counted_en = _counted(step, subject)
    against_zh, against_en = _told(step, subject, zone)
    action = (subject.handling or general(step.kind)).action
    zh = (
        LEVELS[step.priority].zh,
        f"{subject.hazard_source} {subject.device.zh}".strip(),
        _named(subject.tag.zh, subject.plant_tag, "（", "）"),
        f"{KINDS[step.kind].zh}{EVENTS[step.event].zh}",
        counted_zh,
        against_zh,
        _since_zh(step, zone),
        action.zh,
    )
    en = (
        LEVELS[step.priority].en,
        f"{subject.hazard_source} {subject.device.en}".strip(),
        _named(subject.tag.en, subject.plant_tag, " (", ")"),
        f"{KINDS[step.kind].en}: {EVENTS[step.event].en}",
        counted_en,
        against_en,
        _since_en(step, zone),
        action.en,
    )
    return Sentence(" · ".join(filter(None, zh)), " · ".join(filter(None, en)))


def _counted(step: Transition, subject: Subject) -> tuple[str, str]:
    """Return in Chinese and English how many are blind, or over their limit; empty where nothing is counted."""
    lost, of = subject.lost, subject.guarded
    if step.kind in BLIND_KINDS and of:
        return f"失去监视：{of} 个测点中 {lost} 个", f"BLIND: {lost} of {of} points lost"
    if step.kind is Kind.VOTE and subject.voted:
        limit = KINDS[subject.voted]
        return f"表决：{of} 台中 {lost} 台达到{limit.zh}报警", f"VOTE: {lost} of {of} at {limit.en}"
    return "", ""


def _named(name: str, plant_tag: str, left: str, right: str) -> str:
    return f"{name}{left}{plant_tag}{right}" if plant_tag else name


def _told(step: Transition, subject: Subject, zone: tzinfo) -> tuple[str, str]:
    """Return the value against its limit; of a warning, as long as it stands, what it found when it was raised."""
    if step.kind not in WARNING_KINDS:
        return (_against(step, subject),) * 2
    value = "" if step.value is None else _figure(step.value, subject.unit)
    if subject.forecast is None or step.condition is not Condition.ACTIVE:
        return value, value
    zh, en = _as_of(step, subject.forecast, zone)
    return "，".join(filter(None, (value, zh))), ", ".join(filter(None, (value, en)))


def _as_of(step: Transition, forecast: Text, zone: tzinfo) -> Sentence:
    """Return a forecast, in what is told after the raise with the time it is of: what was to come may have passed."""
    if step.event is Event.RAISED:
        return Sentence(forecast.zh, forecast.en)
    began = clock(step.raised_ms, zone)
    return Sentence(f"{began} 时{forecast.zh}", f"at {began}: {forecast.en}")


def _against(step: Transition, subject: Subject) -> str:
    """Return the value against its limit, "12.5 ppm ≥ 10 ppm"; once it is back, only side by side."""
    if step.kind not in LIMIT_KINDS:
        return "" if step.value is None or step.kind is not Kind.OVER_RANGE else _figure(step.value, subject.unit)
    if step.value is None or step.limit is None:
        return ""
    if step.kind in FALLING:
        sign = "≤" if step.value <= step.limit else ">"
    else:
        sign = "≥" if step.value >= step.limit else "<"
    return f"{_figure(step.value, subject.unit)} {sign} {_figure(step.limit, subject.unit)}"


def _figure(value: float, unit: str) -> str:
    return f"{value:.6g} {unit}".strip()


def _since_zh(step: Transition, zone: tzinfo) -> str:
    began = clock(step.raised_ms, zone)
    if step.late:
        return f"断线期间发生于 {began}{_until(step, zone)}，{FIELD_CHECK.zh}"
    return f"自 {began} 起"


def _since_en(step: Transition, zone: tzinfo) -> str:
    began = clock(step.raised_ms, zone)
    if step.late:
        return f"occurred {began}{_until(step, zone)} during link loss, {FIELD_CHECK.en}"
    return f"since {began}"


def _until(step: Transition, zone: tzinfo) -> str:
    return "" if step.late_until_ms is None else f"–{clock(step.late_until_ms, zone, '%H:%M:%S')}"


def clock(time_ms: int, zone: tzinfo, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a moment by a site's clock; one that no calendar has as its number, for its alarm must be told."""
    return _second(time_ms // 1000, zone, form)


@lru_cache(maxsize=1 << 10)
def _second(time_s: int, zone: tzinfo, form: str) -> str:
    """Return a second of a site's clock; in a storm many alarms share it."""
    try:
        return datetime.fromtimestamp(time_s, zone).strftime(form)
    except (OverflowError, ValueError, OSError):
        return f"{time_s} s"
