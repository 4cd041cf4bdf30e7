"""A backtest's answer for a person: what changed first, the figures beside each other, then one by one."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from unicodedata import east_asian_width

from davylamp_alarms.backtest.outcome import Outcome
from davylamp_alarms.backtest.spans import Span
from davylamp_alarms.definition import LIMIT_KINDS, AlarmDef
from davylamp_alarms.performance.kpis import Kpis
from davylamp_wire.point import Text

from davylamp_cloud.backtest.answer import Answer, Change, changes, positions

SHOWN = 20
"""Of each list so many are shown; `--json` has all."""

Say = Callable[[str, str], str]
"""Of a word in Chinese and English, the one in the reader's language."""

UNITS = ((86_400, "天", "d"), (3_600, "小时", "h"), (60, "分", "min"), (1, "秒", "s"))


def _readable(figure: float) -> str:
    """Return a figure with three digits; a large one with all before the point, not as a power of ten."""
    return f"{figure:.3g}" if figure < 1000 else f"{figure:,.0f}"


FIGURES: Sequence[tuple[Text, Callable[[Kpis], str]]] = (
    (Text(zh="报警数", en="alarms that sounded"), lambda kpis: f"{kpis.annunciated}"),
    (
        Text(zh="平均每小时报警数", en="in an hour, on average"),
        lambda kpis: _readable(kpis.per_hour),
    ),
    (Text(zh="10 分钟内最多报警数", en="most in 10 minutes"), lambda kpis: f"{kpis.most_in_10_min}"),
    (Text(zh="报警泛滥时间占比", en="share of the time in flood"), lambda kpis: f"{kpis.flooded:.1%}"),
    (Text(zh="抖动报警数", en="alarms that chatter"), lambda kpis: f"{len(kpis.chattering)}"),
    (Text(zh="瞬时报警数", en="fleeting alarms"), lambda kpis: f"{len(kpis.fleeting)}"),
    (Text(zh="持续超过一天的报警数", en="stood longer than a day"), lambda kpis: f"{len(kpis.stale)}"),
)


def lines(answer: Answer, zone: tzinfo, language: str) -> Iterator[str]:
    """Yield the answer line by line; times are of `zone`."""

    def say(zh: str, en: str) -> str:
        return zh if language == "zh" else en

    yield from _head(answer, zone, say)
    yield from _table(answer, say)
    changed = answer.trial.changed
    alone = (
        (say("新增", "added"), changed.added),
        (say("不再出现", "gone"), changed.gone),
    )
    for title, spans in alone:
        yield from _list(title, [_alone(span, answer, zone, say) for span in sorted(spans, key=_begins)], say)
    for title, pairs in ((say("提前", "earlier"), changed.earlier), (say("推后", "later"), changed.later)):
        yield from _list(title, [_moved(*pair, answer, zone, say) for pair in sorted(pairs, key=_pair_begins)], say)
    moved = [_change(one, answer, say) for one in changes(answer) if one.moved]
    yield from _list(say("各报警的次数与时长", "how often each came, how long it stood"), moved, say)
    yield from _floods(answer, zone, say)


def _head(answer: Answer, zone: tzinfo, say: Say) -> Iterator[str]:
    of, changed = answer.trial.after, answer.trial.changed
    span = f"{clock(of.from_ms, zone)} … {clock(of.to_ms, zone)} ({length(of.to_ms - of.from_ms, say)})"
    count = f"{len(answer.names)} {say('个位号', 'tags')}, {answer.readings:,} {say('个读数', 'readings')}"
    yield f"{answer.origin}  {span}  {count}"
    for note in answer.notes:
        yield f"  ! {say(note.zh, note.en)}"
    yield say(
        f"新增 {len(changed.added)}，不再出现 {len(changed.gone)}，提前 {len(changed.earlier)}，"
        f"推后 {len(changed.later)}，不变 {len(changed.same)}",
        f"{len(changed.added)} added, {len(changed.gone)} gone, {len(changed.earlier)} earlier, "
        f"{len(changed.later)} later, {len(changed.same)} the same",
    )


def _table(answer: Answer, say: Say) -> Iterator[str]:
    """Yield the figures before and after; of each operating position where there are several."""
    before, after = answer.trial.before, answer.trial.after
    yield ""
    yield _row("", say("原规则", "before"), say("新规则", "after"))
    stood = (length(_stood_ms(outcome), say) for outcome in (before, after))
    yield _row(say("报警总时长", "time in alarm, in all"), *stood)
    yield _row(say("报警泛滥次数", "floods"), str(len(before.floods)), str(len(after.floods)))
    found = positions(answer)
    for position, was, now in found:
        if len(found) > 1:
            yield f"{position}:"
        for text, figure in FIGURES:
            sides = ("0" if side is None else figure(side.kpis) for side in (was, now))
            yield _row(say(text.zh, text.en), *sides)


def _list(title: str, rows: Sequence[str], say: Say) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"{title} ({len(rows)}):"
    yield from (f"  {row}" for row in rows[:SHOWN])
    if len(rows) > SHOWN:
        yield say(f"  … 另有 {len(rows) - SHOWN} 项（--json 全部列出）", f"  … and {len(rows) - SHOWN} more (--json)")


def _alone(span: Span, answer: Answer, zone: tzinfo, say: Say) -> str:
    return f"{clock(span.from_ms, zone)}  {answer.name(span.alarm)}  {_stood(span, say)}"


def _begins(span: Span) -> int:
    return span.from_ms


def _pair_begins(pair: tuple[Span, Span]) -> int:
    return pair[0].from_ms


def _stood(span: Span, say: Say) -> str:
    lasted = length(span.to_ms - span.from_ms, say)
    if span.ended:
        return say(f"持续 {lasted}", f"for {lasted}")
    return say(f"持续 {lasted}，至结束仍未恢复", f"for {lasted}, until the end")


def _moved(was: Span, now: Span, answer: Answer, zone: tzinfo, say: Say) -> str:
    by = length(abs(now.from_ms - was.from_ms), say)
    word = say("提前", "earlier") if now.from_ms < was.from_ms else say("推后", "later")
    shift = say(f"{word} {by}", f"{by} {word}")
    return f"{clock(was.from_ms, zone)} → {clock(now.from_ms, zone)}  {answer.name(now.alarm)}  {shift}"


def _change(one: Change, answer: Answer, say: Say) -> str:
    times = f"{one.times[0]} → {one.times[1]}"
    stood = f"{length(one.stood_ms[0], say)} → {length(one.stood_ms[1], say)}"
    limits = _limits(answer.before.get(one.alarm), answer.after.get(one.alarm))
    return f"{answer.name(one.alarm)}{limits}: {say(f'{times} 次', f'{times} times')}, {stood}"


def _limits(was: AlarmDef | None, now: AlarmDef | None) -> str:
    """Return a limit before and after, "–" where there was none; nothing of an alarm that has no limit."""
    known = [side for side in (was, now) if side is not None]
    if not known or known[0].kind not in LIMIT_KINDS:
        return ""
    sides = ["–" if side is None else f"{side.limit:g}" for side in (was, now)]
    return f" {sides[0]}" if sides[0] == sides[1] else f" {sides[0]} → {sides[1]}"


def _floods(answer: Answer, zone: tzinfo, say: Say) -> Iterator[str]:
    for title, outcome in (
        (say("原规则的报警泛滥", "floods before"), answer.trial.before),
        (say("新规则的报警泛滥", "floods after"), answer.trial.after),
    ):
        rows = []
        for flood in outcome.floods:
            worst = ", ".join(f"{answer.name(alarm)} ×{count}" for alarm, count in flood.worst())
            until = clock(flood.ended_ms, zone) if flood.ended_ms else say("至结束", "until the end")
            counts = say(f"共 {flood.total}，峰值 {flood.peak}", f"{flood.total} in all, peak {flood.peak}")
            rows.append(f"{clock(flood.began_ms, zone)} … {until}  {counts}  {worst}")
        yield from _list(title, rows, say)


def _stood_ms(outcome: Outcome) -> int:
    return sum(span.to_ms - span.from_ms for span in outcome.spans)


def length(span_ms: int, say: Say) -> str:
    """Return a length of time in its two largest units."""
    left, parts = round(span_ms / 1000), []
    for size, zh, en in UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {say(zh, en)}")
        elif parts:
            break
    return " ".join(parts[:2]) or f"{span_ms / 1000:g} {say('秒', 's')}"


def clock(time_ms: int, zone: tzinfo) -> str:
    """Return a time as people read it."""
    return datetime.fromtimestamp(time_ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def _row(title: str, before: str, after: str) -> str:
    return f"  {_padded(title, 30)}{_padded(before, 18)}{after}".rstrip()


def _padded(text: str, width: int) -> str:
    """Return a text filled up with blanks; a Chinese character is two wide."""
    wide = sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
    return text + " " * max(1, width - wide)
