"""The words for why an alarm stands or does not, in both languages: one sentence for each reason. Pure."""

from collections.abc import Callable
from datetime import datetime, tzinfo

from davylamp_alarms.conditions import Phase
from davylamp_alarms.definition import FALLING, LIMIT_KINDS, WARNING_KINDS, Kind
from davylamp_alarms.explain import Because, Explained
from davylamp_alarms.transition import Suppression
from davylamp_wire.point import Text

SECOND_MS = 1000


def reason(told: Explained, unit: str = "") -> Text:
    """Return the one thing that decides whether an alarm stands, with its figures."""
    return _WORDS[told.because](told, unit)


def ending(told: Explained, unit: str = "") -> Text | None:
    """Return what would end an alarm that stands; None where it does not, or where no limit says."""
    if told.because is Because.AT_EDGE and told.phase is not Phase.ACTIVE:
        return None
    standing = told.because not in (Because.NOT_MET, Because.BAD, Because.NO_VALUE, Because.HEARD, Because.LINK_LOST)
    if not standing or told.because is Because.ON_DELAY:
        return None
    if told.because is Because.AT_EDGE:
        return Text(zh="边缘站测到限内的良好值后恢复", en="a good value inside, measured by its edge, ends it")
    if told.of.kind in WARNING_KINDS:
        zh = "规则以良好的新值判定已恢复后结束"
        return Text(zh=zh, en="its rule ends it, when new good values show it gone")
    if told.of.kind not in LIMIT_KINDS or told.leave is None:
        return Text(zh="收到正常的实时数据后恢复", en="a good live value ends it")
    sign, at, off_s = _back(told.of.kind), _number(told.leave, unit), told.off_delay_ms / SECOND_MS
    zh = f"需要 {sign} {at} 的良好实时值" + (f"，持续 {off_s:g} 秒" if off_s else "")
    return Text(zh=zh, en=f"a good live value {sign} {at}" + (f" for {off_s:g} s" if off_s else ""))


def hiding(told: Explained, zone: tzinfo) -> list[Text]:
    """Return what hides an alarm: how, by whom, until when and why."""
    found = []
    for hidden in told.of.hidden:
        until = datetime.fromtimestamp(hidden.until_ms / SECOND_MS, zone).strftime("%Y-%m-%d %H:%M:%S")
        zh, en = _HIDDEN[hidden.suppression]
        found.append(
            Text(
                zh=f"{zh}至 {until}，操作人 {hidden.by}：{hidden.reason}",
                en=f"{en} until {until} by {hidden.by}: {hidden.reason}",
            )
        )
    return found


_HIDDEN = {
    Suppression.SHELVED: ("已搁置", "shelved"),
    Suppression.BY_DESIGN: ("已屏蔽", "masked"),
    Suppression.OUT_OF_SERVICE: ("已停用", "out of service"),
}


def _number(value: float | None, unit: str) -> str:
    return "?" if value is None else f"{value:g} {unit}".strip()


def _into(kind: Kind) -> str:
    return "≤" if kind in FALLING else "≥"


def _back(kind: Kind) -> str:
    return "≥" if kind in FALLING else "≤"


def _seconds(told: Explained) -> str:
    return f"{(told.left_ms or 0) / SECOND_MS:.1f}"


def _stands(told: Explained, unit: str) -> Text:
    if told.of.kind in LIMIT_KINDS:
        words = f"{_number(told.value, unit)} {_into(told.of.kind)} {_number(told.limit, unit)}"
        return Text(zh=f"条件成立：{words}", en=f"the condition is met: {words}")
    if told.value is not None and told.limit is not None:
        words = f"{told.value:g} / {told.limit:g}"
        return Text(zh=f"条件成立：{words}", en=f"the condition is met: {words}")
    return Text(zh="条件成立", en="the condition is met")


def _on_delay(told: Explained, unit: str) -> Text:
    first = _stands(told, unit) if told.met else None
    left = _seconds(told)
    zh = f"报警延时还剩 {left} 秒" + (f"（{first.zh}）" if first else "（最新值不可信，延时继续）")
    en = f"the on-delay has {left} s to go" + (f" ({first.en})" if first else " (the newest value is doubtful)")
    return Text(zh=zh, en=en)


def _off_delay(told: Explained, unit: str) -> Text:
    left = _seconds(told)
    return Text(
        zh=f"已回到限内，恢复延时还剩 {left} 秒，仍在报警",
        en=f"back inside, the off-delay has {left} s to go; it stands until then",
    )


def _in_deadband(told: Explained, unit: str) -> Text:
    at, leave = _number(told.value, unit), _number(told.leave, unit)
    return Text(zh=f"{at} 仍在回差内，须到 {leave}", en=f"{at} is inside the deadband; it must get to {leave}")


def _not_met(told: Explained, unit: str) -> Text:
    if told.of.kind not in LIMIT_KINDS or told.value is None or told.limit is None:
        return Text(zh="条件不成立", en="the condition is not met")
    away, falling = abs(told.value - told.limit), told.of.kind in FALLING
    at, limit, by = _number(told.value, unit), _number(told.limit, unit), _number(away, unit)
    zh = f"{at}，比限值 {limit} {'高' if falling else '低'} {by}"
    return Text(zh=zh, en=f"{at} is {by} {'above' if falling else 'below'} the limit {limit}")


def _at_edge(told: Explained, unit: str) -> Text:
    if told.phase is Phase.ACTIVE:
        return Text(zh="由边缘站判定：边缘站报告条件仍成立", en="its edge decides, and says that it stands")
    return Text(zh="由边缘站判定：边缘站未报告报警", en="its edge decides, and has not said that it stands")


def _heard(told: Explained, unit: str) -> Text:
    left = _seconds(told)
    return Text(zh=f"数据在更新；再静默 {left} 秒才报警", en=f"heard; after {left} s more of silence it alarms")


def _rule_failed(told: Explained, unit: str) -> Text:
    """Say by what a statistical rule failed; what stands because of it goes on standing (SAFETY S4, S14)."""
    zh = f"该统计规则已停用（{told.note}）：既不报警也不恢复"
    return Text(zh=zh, en=f"its statistical rule is left out ({told.note}): it neither raises nor clears")


def _plain(zh: str, en: str) -> Callable[[Explained, str], Text]:
    return lambda told, unit: Text(zh=zh, en=en)


_WORDS: dict[Because, Callable[[Explained, str], Text]] = {
    Because.STANDS: _stands,
    Because.ON_DELAY: _on_delay,
    Because.OFF_DELAY: _off_delay,
    Because.IN_DEADBAND: _in_deadband,
    Because.DOUBT: _plain("最新值不可信：只有良好的值才能恢复", "the newest value is not good: only a good one clears"),
    Because.BACKLOG: _plain("只有补传数据显示已恢复：补传不能解除报警", "backlog alone shows it gone: it never clears"),
    Because.NOT_MET: _not_met,
    Because.BAD: _plain("最新值无效：既不报警也不恢复", "the newest value is bad: that neither raises nor clears"),
    Because.NO_VALUE: _plain("尚未收到任何值", "no value has come yet"),
    Because.AT_EDGE: _at_edge,
    Because.HEARD: _heard,
    Because.RULE_FAILED: _rule_failed,
    Because.LINK_LOST: _plain(
        "网关失联期间不计静默，由失联报警代替",
        "its edge's link is lost and alarms itself; silence is not counted",
    ),
}
