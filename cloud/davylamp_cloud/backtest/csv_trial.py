"""A backtest over a CSV, without a cloud: its readings, led through the live engine with rules before and after."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

import numpy as np
from davylamp_alarms.backtest.envelope import Envelope
from davylamp_alarms.backtest.ticks import with_ticks
from davylamp_alarms.backtest.trial import Both
from davylamp_alarms.batch import Batch
from davylamp_alarms.definition import Register, TagDef
from davylamp_wire.config import ConfigError, mistaken
from davylamp_wire.point import MAX_SILENCE_S, Text

from davylamp_cloud.backtest import csv_long, csv_wide
from davylamp_cloud.backtest.answer import Answer, Courses, Source
from davylamp_cloud.backtest.csv_file import CsvFile, Doubts, Progress, Span, look_at
from davylamp_cloud.backtest.plant import Column, name_of, register_of, units_of
from davylamp_cloud.backtest.rules import NO_RULES, Rules, unmatched

Moments = Callable[[Sequence[str]], Iterator[Batch]]
"""Of some tags, their readings moment by moment."""


@dataclass(slots=True)
class Met:
    """What was met on the way: when the first and the last reading was, how many there were, and of how many tags the
    course is wanted."""

    first_ms: int = 0
    last_ms: int = 0
    readings: int = 0
    doubts: Doubts = field(default_factory=Doubts)
    envelope: Envelope | None = None

    def count(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Let batches pass."""
        for batch in batches:
            self.last_ms = int(batch.time_ms[0])
            self.first_ms = self.first_ms if self.readings else self.last_ms
            self.readings += len(batch)
            if self.envelope is not None:
                self.envelope.take(batch)
            yield batch


@dataclass(frozen=True, slots=True)
class AskedOfCsv:
    """What is asked of a CSV. `courses`: whether pictures are wanted."""

    path: Path
    zone: tzinfo
    span: Span
    rules: Rules
    against: Rules = NO_RULES
    courses: bool = False


def over_csv(asked: AskedOfCsv, told: Progress) -> Answer:
    """Return what rules would have changed over a CSV, against others, or against none at all.

    Raises:
        ConfigError: The file or a rule is wrong; the message says where, and what to do.
    """
    file, met = look_at(asked.path, asked.zone), Met()
    columns, moments = _long(file, asked.span, told, met) if file.long else _wide(file, asked.span, told, met)
    columns = _meant(columns, asked.rules, asked.against)
    before, after = register_of(columns, asked.against), register_of(columns, asked.rules)
    met.envelope = Envelope(np.arange(len(columns))) if asked.courses else None
    try:
        both = Both(before, after)
    except ValueError as error:
        raise ConfigError([f"{asked.rules.origin}: {error}"]) from None
    for record in with_ticks(sorted({column.node for column in columns}), met.count(moments(_names(columns)))):
        both.take(record)
    if not met.readings:
        raise mistaken(
            f"{asked.path}: has no reading of these tags in this span; widen --from and --to",
            f"{asked.path}：该时间段内没有这些位号的读数；请放宽 --from 和 --to",
        )
    return Answer(
        origin=asked.path.name,
        source=Source.CSV,
        trial=both.end(met.first_ms, met.last_ms + 1),
        readings=met.readings,
        names={column.tag_id: name_of(column.tag_id) for column in columns},
        units=units_of(columns, asked.rules),
        before={alarm.id: alarm for alarm in before.alarms},
        after={alarm.id: alarm for alarm in after.alarms},
        notes=tuple(_notes(columns, after, met)),
        courses=None if met.envelope is None else Courses(tuple(c.tag_id for c in columns), met.envelope),
    )


def _long(file: CsvFile, span: Span, told: Progress, met: Met) -> tuple[list[Column], Moments]:
    readings = csv_long.read(file, span, told, met.doubts)
    columns = list(map(Column, readings.names, readings.periods_s()))
    return columns, lambda tags: csv_long.moments(readings, tags)


def _wide(file: CsvFile, span: Span, told: Progress, met: Met) -> tuple[list[Column], Moments]:
    columns = list(map(Column, csv_wide.names(file), csv_wide.periods_s(file, span)))
    return columns, lambda tags: csv_wide.moments(file, tags, span, told, met.doubts)


def _meant(columns: Sequence[Column], *of: Rules) -> list[Column]:
    """Return the columns that any rule is about or looks at; a pattern that means none is a mistake."""
    names = [(column.name, column.tag_id) for column in columns]
    if mistakes := [line for rules in of for line in unmatched(rules, names)]:
        raise ConfigError(mistakes)
    inputs = frozenset[str]().union(*(rules.inputs for rules in of))
    return [column for column in columns if _is_meant(column, of) or inputs.intersection((column.name, column.tag_id))]


def _is_meant(column: Column, of: Sequence[Rules]) -> bool:
    return any(rules.of(column.name, column.tag_id) for rules in of)


def _names(columns: Sequence[Column]) -> list[str]:
    return [column.name for column in columns]


def _notes(columns: Sequence[Column], register: Register, met: Met) -> Iterator[Text]:
    if met.doubts.count:
        count, (line, name, cell) = met.doubts.count, met.doubts.first
        yield Text(
            zh=f"不是数值的单元格按坏质量读数处理：{count} 个，例如第 {line} 行 {name}：{cell!r}",
            en=f"cells without a number count as bad readings: {count}, such as line {line}, {name}: {cell!r}",
        )
    slow = [(tag, column) for tag, column in zip(register.tags, columns, strict=True) if _slow(tag, column)]
    if slow:
        (tag, column), more = slow[0], len(slow) - 1
        others = (f"等 {more + 1} 个位号", f" and {more} more") if more else ("", "")
        yield Text(
            zh=f"{column.name}{others[0]} 约每 {column.period_s:g} 秒一个读数，"
            f"无数据超过 {tag.silence_ms * 3 // 1000} 秒才算停止更新（可用 max_silence_s 指定）",
            en=f"{column.name}{others[1]}: a reading about each {column.period_s:g} s, so silence is no new data only"
            f" after {tag.silence_ms * 3 // 1000} s (max_silence_s says otherwise)",
        )


def _slow(tag: TagDef, column: Column) -> bool:
    """Return whether a tag may be silent for longer than its kind says, because the file reports that seldom."""
    return tag.silence_ms == round(column.period_s * 1000) > 1000 * min(MAX_SILENCE_S.values())
