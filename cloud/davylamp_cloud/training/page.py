"""What a training says to a person and to a program: what was learnt, or why the window was refused."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from itertools import groupby
from pathlib import Path
from typing import Any

from davylamp_alarms.watching.artefact import Artefact
from davylamp_alarms.watching.learnt import JOINT, Learnt
from davylamp_alarms.watching.window import Reason, Refusal
from davylamp_wire.training_file import sha256_of

SHOWN = 8
"""Lines of one kind; of more only how many there are is said."""

WAYS_OUT: Mapping[Reason, tuple[str, str]] = {
    Reason.ALARM: (
        "请换一个正常运行的时段；确需使用时加 --despite-alarms，结果中会永久注明",
        "name a window of normal operation; or --despite-alarms, which the training says for ever",
    ),
    Reason.EMPTY: ("请用 --tags 排除该位号，或换一个时段", "leave the tag out by --tags, or name another window"),
    Reason.FEW_SAMPLES: (
        "请延长时段，或用 --least-samples 放宽",
        "name a longer window, or allow fewer by --least-samples",
    ),
    Reason.MISSING: (
        "请换时段、用 --every 加大间隔，或用 --most-missing 放宽",
        "name another window, wider rows by --every, or allow more by --most-missing",
    ),
    Reason.GAP: (
        "请换一个不含中断的时段，或用 --longest-gap 放宽",
        "name a window without it, or allow it by --longest-gap",
    ),
    Reason.NOT_GOOD: (
        "请先修复仪表或换时段，或用 --most-not-good 放宽",
        "mend the instrument, name another window, or allow more by --most-not-good",
    ),
}
"""What a person can do about each reason."""


def refusal_lines(refusals: Sequence[Refusal], language: str) -> Iterator[str]:
    """Yield why a window is none to learn from, and what to do, reason by reason."""
    zh = language == "zh"
    yield "拒绝用该时段训练：" if zh else "this window is none to learn from:"
    order = list(WAYS_OUT)
    for reason, group in groupby(sorted(refusals, key=lambda one: order.index(one.reason)), key=lambda one: one.reason):
        yield from _some([one.zh if zh else one.en for one in group], zh)
        yield f"    → {WAYS_OUT[reason][0 if zh else 1]}"


def refusals_as_dict(refusals: Sequence[Refusal]) -> dict[str, Any]:
    """Return the same for a program."""
    said = [{"reason": one.reason.value, "of": one.of, "zh": one.zh, "en": one.en} for one in refusals]
    return {"trained": False, "refused": said}


def lines(found: Artefact, path: Path, zone: tzinfo, language: str) -> Iterator[str]:
    """Yield what was learnt, and from what."""
    zh = language == "zh"
    made = clock(found.made_ms, zone)
    yield f"{path}：{found.made_by} 于 {made} 训练" if zh else f"{path}: trained by {found.made_by} at {made}"
    from_, to, tags = clock(found.from_ms, zone), clock(found.to_ms, zone), len(found.seen)
    if zh:
        yield f"  时段 {from_} 至 {to}，间隔 {found.every_s:g} 秒，{found.rows} 行，{tags} 个位号"
    else:
        yield f"  from {from_} to {to}, {found.rows} rows {found.every_s:g} s apart, {tags} tags"
    if found.alarms is None:
        yield (
            "  注意：CSV 不含报警记录，请自行确认该时段运行正常"
            if zh
            else ("  note: a CSV knows of no alarms; make sure yourself that nothing was wrong in it")
        )
    elif found.alarms:
        count = len(found.alarms)
        yield f"  注意：时段内有 {count} 次报警" if zh else f"  note: alarms that stood in the window: {count}"
    yield from (f"  {line}" for one in found.learnt for line in _learnt(one, zh))
    if not found.learnt:
        yield "  什么也没有学到" if zh else "  nothing was learnt"
    yield f"  SHA-256 {sha256_of(found.model_dump(mode='json'))}"
    untaught = [f"{one.watch} {one.tag}".rstrip() + (f"：{one.zh}" if zh else f": {one.en}") for one in found.untaught]
    if untaught:
        yield "未能学习：" if zh else "nothing could be learnt for:"
        yield from _some(untaught, zh)


def as_dict(found: Artefact, path: Path) -> dict[str, Any]:
    """Return the same for a program; what was learnt is in the file."""
    table = found.model_dump(mode="json")
    learnt = [{"watch": one.watch.id, "rule": one.watch.rule, "tags": list(one.tags)} for one in found.learnt]
    return {"trained": True, "file": str(path), "sha256": sha256_of(table), **table, "learnt": learnt}


def _learnt(one: Learnt, zh: bool) -> Iterator[str]:
    count = len(one.tags)
    said = f"{one.watch.id} ({one.watch.rule}): {count} " + ("个位号" if zh else "tags")
    if one.watch.rule in JOINT:
        kept = len(one.columns["variances"])
        said += f"，{kept} 个主元" if zh else f", {kept} components"
    yield said


def _some(texts: Sequence[str], zh: bool) -> Iterator[str]:
    yield from (f"  {text}" for text in texts[:SHOWN])
    if len(texts) > SHOWN:
        more = len(texts) - SHOWN
        yield f"  …另有 {more} 项（--json 列出全部）" if zh else f"  … and {more} more (--json lists all)"


def clock(time_ms: int, zone: tzinfo) -> str:
    """Return a time as people read it."""
    return datetime.fromtimestamp(time_ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")
