"""A picture of each tag: its course, its limits before and after, and below when its alarms stood. Needs matplotlib.

Where no font on the machine has Chinese characters, a PNG is labelled in English; an SVG leaves fonts to its reader.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from davylamp_alarms.backtest.spans import Span
from davylamp_alarms.definition import LIMIT_KINDS, AlarmDef
from davylamp_wire.config import ConfigError, mistaken

from davylamp_cloud.backtest.answer import Answer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Format = Literal["svg", "png"]

FONTS = (
    "Noto Sans CJK SC",
    "Noto Serif CJK SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "SimHei",
)
SIZE_INCHES, DPI = (11.0, 5.0), 100
DAY_MS = 86_400_000
GAP = 5
"""Times the usual distance: what is farther apart is drawn as a gap."""

TICKS = ["%Y", "%m", "%d", "%H:%M", "%H:%M", "%S.%f"]
FIRSTS = ["", "%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M"]
DATES = ["", "%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d %H:%M"]
"""How matplotlib writes times, from years to seconds: in figures, which both languages read."""


@dataclass(frozen=True, slots=True)
class Colours:
    """What is drawn in which colour; `ground` is matplotlib's own where it is empty."""

    before: str
    after: str
    course: str
    ground: str = ""
    ink: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """Ground and ink as matplotlib's settings."""
        if not self.ground:
            return {}
        inked = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")
        grounds = ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor")
        return dict.fromkeys(inked, self.ink) | dict.fromkeys(grounds, self.ground)


Ground = Literal["light", "dark"]

COLOURS: Mapping[Ground, Colours] = {
    "light": Colours("#9a6700", "#0b57d0", "#444444"),
    "dark": Colours("#ffb052", "#8cc4ff", "#f4f7fa", "#131a22", "#f4f7fa"),
}
"""Dark: the console's own, that nobody is dazzled at night."""


@dataclass(frozen=True, slots=True)
class Look:
    """How pictures are made: in which form, by which clock, in which language, on which ground."""

    form: Format
    zone: tzinfo
    language: str
    ground: Ground = "light"

    @property
    def colours(self) -> Colours:
        """The colours on this ground."""
        return COLOURS[self.ground]


def ready(folder: Path, look: Look) -> Look:
    """Make the folder, and return the look this machine can give: asked before hours are computed for nothing.

    Raises:
        ConfigError: matplotlib is not there, or the folder cannot be made.
    """
    look = able(look)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return look


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    return mistaken(
        f"plots: {folder} cannot be written ({error.strerror}); name another folder, or make room",
        f"plots：{folder} 无法写入（{error.strerror}）；请换一个文件夹，或腾出空间",
    )


def draw(answer: Answer, folder: Path, look: Look) -> list[Path]:
    """Write a picture of every tag whose course is known into a folder that is `ready`; return them.

    Raises:
        ConfigError: The folder cannot be written.
    """
    try:
        return list(_pictures(answer, folder, look))
    except OSError as error:
        raise _unwritable(folder, error) from None


def able(look: Look) -> Look:
    """Return the look this machine can give.

    Raises:
        ConfigError: It has no matplotlib.
    """
    try:
        from matplotlib import font_manager
    except ImportError:
        raise mistaken(
            "plots: matplotlib is not installed here; pip install 'davylamp[backtest]', or ask for no pictures",
            "plots：此处未安装 matplotlib；请 pip install 'davylamp[backtest]'，或不要曲线图",
        ) from None
    there = {font.name for font in font_manager.fontManager.ttflist}
    if look.form == "png" and look.language == "zh" and not there.intersection(FONTS):
        return replace(look, language="en")
    return look


def _pictures(answer: Answer, folder: Path, look: Look) -> Iterator[Path]:
    from matplotlib import font_manager, rc_context

    assert answer.courses is not None
    there = {font.name for font in font_manager.fontManager.ttflist}
    family = [*(name for name in FONTS if name in there), "DejaVu Sans", "sans-serif"]
    fixed: Any = {"font.family": family, "svg.fonttype": "none", "svg.hashsalt": "davylamp"}
    with rc_context(fixed | look.colours.settings):
        for row, tag_id in enumerate(answer.courses.tag_ids):
            path = folder / f"{file_name(tag_id)}.{look.form}"
            _picture(answer, row, tag_id, path, look)
            yield path


def file_name(tag_id: str) -> str:
    """Return a tag's id as a file may be named."""
    return re.sub(r"[^\w.-]+", "_", tag_id)


def _picture(answer: Answer, row: int, tag_id: str, path: Path, look: Look) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    _course(above, answer, row, look.colours.course)
    _limits(above, answer, tag_id, look)
    _stood(below, answer, tag_id, look)
    of = answer.trial.after
    above.set_title(answer.names.get(tag_id, tag_id))
    above.set_ylabel(answer.units.get(tag_id, ""))
    below.set_xlim(_days(of.from_ms), _days(of.to_ms))
    locator = AutoDateLocator(tz=look.zone)
    below.xaxis.set_major_locator(locator)
    below.xaxis.set_major_formatter(ConciseDateFormatter(locator, look.zone, TICKS, DATES, zero_formats=FIRSTS))
    metadata: dict[str, Any] = {"Date": None} if look.form == "svg" else {}
    figure.savefig(path, format=look.form, metadata=metadata)


def _course(axes: "Axes", answer: Answer, row: int, colour: str) -> None:
    """Draw from the lowest to the highest of each stretch; a longer gap than usual stays one."""
    assert answer.courses is not None
    of = answer.courses.envelope
    there = np.flatnonzero(np.isfinite(of.lows[row]))
    if not there.size:
        return
    apart = np.diff(there, prepend=there[0])
    breaks = np.flatnonzero(apart > GAP * max(1.0, float(np.median(apart[1:])) if there.size > 1 else 1.0))
    times, lows, highs = of.times_ms()[there] / DAY_MS, of.lows[row][there], of.highs[row][there]
    times = np.insert(times, breaks, times[breaks])
    lows, highs = np.insert(lows, breaks, np.nan), np.insert(highs, breaks, np.nan)
    axes.fill_between(times, lows, highs, color=colour, linewidth=0.8)


def _limits(axes: "Axes", answer: Answer, tag_id: str, look: Look) -> None:
    """Draw the limits before and after; those that stay as they are once."""
    zh = look.language == "zh"
    before, after = _of(answer.before, tag_id), _of(answer.after, tag_id)
    for kind in sorted(before.keys() | after.keys()):
        was, now = before.get(kind), after.get(kind)
        if was is not None and was != now:
            axes.axhline(
                was, color=look.colours.before, linestyle="--", label=f"{kind} {was:g} {'原' if zh else 'before'}"
            )
        if now is not None:
            said = "" if was == now else " 新" if zh else " after"
            axes.axhline(now, color=look.colours.after, linewidth=1.0, label=f"{kind} {now:g}{said}")
    if before or after:
        axes.legend(loc="upper left", fontsize="small")


def _of(alarms: Mapping[str, AlarmDef], tag_id: str) -> dict[str, float]:
    return {
        str(alarm.kind): alarm.limit
        for name, alarm in alarms.items()
        if name.partition("#")[0] == tag_id and alarm.kind in LIMIT_KINDS
    }


def _stood(axes: "Axes", answer: Answer, tag_id: str, look: Look) -> None:
    """Draw when each alarm stood: above before, below it after."""
    sides = (answer.trial.before.spans, answer.trial.after.spans)
    mine = [[span for span in spans if span.alarm.partition("#")[0] == tag_id] for spans in sides]
    kinds = sorted({_kind(span) for spans in mine for span in spans})
    words = ("原", "新") if look.language == "zh" else ("before", "after")
    labels = [f"{kind} {word}" for kind in kinds for word in words]
    for place, kind in enumerate(kinds):
        for side, (spans, colour) in enumerate(zip(mine, (look.colours.before, look.colours.after), strict=True)):
            bars = [(_days(one.from_ms), _days(one.to_ms) - _days(one.from_ms)) for one in spans if _kind(one) == kind]
            axes.broken_barh(bars, (2 * place + side - 0.4, 0.8), color=colour)
    axes.set_yticks(range(len(labels)), labels, fontsize="small")
    axes.set_ylim(max(1, len(labels)) - 0.5, -0.5)


def _kind(span: Span) -> str:
    return span.alarm.partition("#")[2]


def _days(time_ms: int) -> float:
    """Return a time as matplotlib counts it, in days since 1970."""
    return time_ms / DAY_MS
