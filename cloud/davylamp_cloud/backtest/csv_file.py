"""A CSV of readings: which of two shapes it has, and its readings moment by moment.

```
wide: time,LT-1101,PT-1102        long: time,tag,value,quality
      03:10:00,15.2,0.41                03:10:00,LT-1101,15.2,good
```
"""

import csv
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from davylamp_wire.config import ConfigError, mistaken

from davylamp_cloud.backtest.cells import time_in

ENCODINGS = ("utf-8-sig", "gb18030")
"""A spreadsheet of a Chinese office writes the second."""

DELIMITERS = ",;\t"
TAG = ("tag", "tag_id", "point", "name", "位号", "点位", "测点")
VALUE = ("value", "val", "值", "数值")
QUALITY = ("quality", "质量")
LOOKED_AT = 1 << 16

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Span:
    """What of a file is wanted: ``from_ms <= time < to_ms``; None: from its beginning, to its end."""

    from_ms: int | None = None
    to_ms: int | None = None

    def has(self, time_ms: int) -> bool:
        """Return whether a time lies in it."""
        return (self.from_ms is None or time_ms >= self.from_ms) and not self.after(time_ms)

    def after(self, time_ms: int) -> bool:
        """Return whether a time lies behind it."""
        return self.to_ms is not None and time_ms >= self.to_ms


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A file that was looked at: its header, and how it is written."""

    path: Path
    zone: tzinfo
    encoding: str
    delimiter: str
    header: tuple[str, ...]

    @property
    def long(self) -> bool:
        """Whether each line is one reading."""
        return self.place(TAG) is not None and self.place(VALUE) is not None

    def place(self, names: Sequence[str]) -> int | None:
        """Return where a column is that is called by one of these names."""
        lower = [cell.lower() for cell in self.header]
        return next((lower.index(name) for name in names if name in lower), None)

    @contextmanager
    def rows(self) -> Iterator["CsvRows"]:
        """Open the file behind its header."""
        with self.path.open(encoding=self.encoding, newline="") as file:
            found = csv.reader(file, delimiter=self.delimiter)
            next(found)
            yield CsvRows(self, file, found, self.path.stat().st_size, found.line_num)


@dataclass(slots=True)
class CsvRows:
    """The lines of an open file; what went wrong with one names it. `line` is the number of the one read last."""

    of: CsvFile
    file: TextIO
    lines: Any  # csv.reader's type has no public name
    size: int
    line: int
    last: tuple[str, int] = ("", 0)

    def __iter__(self) -> Iterator[list[str]]:
        """Yield each line with as many cells as the header has; empty lines are none."""
        yield from self._rows(self.lines, 0)

    def blocks(self, lines: int) -> Iterator[list[str]]:
        """Yield lines as they are written, so many at a time; none of a cell that goes over several is cut off."""
        try:
            while block := list(islice(self.file, lines)):
                while sum(line.count('"') for line in block) % 2 and (more := self.file.readline()):
                    block.append(more)
                before = self.line
                yield block
                self.line = before + len(block)
        except UnicodeDecodeError as error:
            raise self._unreadable(error) from None

    def rows_in(self, block: Iterable[str]) -> Iterator[list[str]]:
        """Yield each line of a block with as many cells as the header has; empty lines are none."""
        yield from self._rows(csv.reader(block, delimiter=self.of.delimiter), self.line)

    def _rows(self, lines: Any, before: int) -> Iterator[list[str]]:
        cells = len(self.of.header)
        try:
            for row in lines:
                self.line = before + lines.line_num
                if len(row) != cells:
                    if not row:
                        continue
                    raise self.mistake(
                        f"has {len(row)} cells, the header has {cells}; mend the line, or the header",
                        f"有 {len(row)} 格，表头有 {cells} 格；请改正该行或表头",
                    )
                yield row
        except (csv.Error, UnicodeDecodeError) as error:
            raise self._unreadable(error) from None

    def time(self, cell: str) -> int:
        """Return a time; the same text as before is not read again."""
        if cell != self.last[0]:
            self.last = cell, self._read(cell)
        return self.last[1]

    def _read(self, cell: str) -> int:
        found = time_in(cell, self.of.zone)
        if found is None:
            raise self.mistake(
                f"{cell!r} is no time; write 2026-11-27T03:10:00 (or +08:00 behind it), or seconds",
                f"{cell!r} 不是时间；请写 2026-11-27T03:10:00（其后可加 +08:00），或秒数",
            )
        return found

    @property
    def done(self) -> float:
        """How much of the file was read, 0 to 1."""
        return min(1.0, self.file.buffer.tell() / max(1, self.size))

    def mistake(self, en: str, zh: str) -> ConfigError:
        """Return what is wrong with the line read last."""
        return mistaken(f"{self.of.path}: line {self.line}: {en}", f"{self.of.path}：第 {self.line} 行：{zh}")

    def _unreadable(self, error: Exception) -> ConfigError:
        return self.mistake(
            f"cannot be read ({error}); save the file as UTF-8, one reading or row a line",
            f"无法读取（{error}）；请存为 UTF-8，每行一个读数或一个时刻",
        )


@dataclass(slots=True)
class Doubts:
    """Cells that held no number, and counted as bad readings: how many, and the first (line, tag, cell)."""

    count: int = 0
    first: tuple[int, str, str] = (0, "", "")

    def note(self, line: int, tag: str, cell: str) -> None:
        """Count one."""
        self.count += 1
        if self.count == 1:
            self.first = line, tag, cell


def look_at(path: Path, zone: tzinfo) -> CsvFile:
    """Return how a file is written.

    Raises:
        ConfigError: It cannot be read, or its header names no tags.
    """
    try:
        with path.open("rb") as file:
            head = file.read(LOOKED_AT)
    except OSError as error:
        raise mistaken(
            f"{path}: cannot be read ({error.strerror}); name an existing file",
            f"{path}：无法读取（{error.strerror}）；请给出已有的文件",
        ) from None
    encoding = _encoding(head)
    first = head.decode(encoding, errors="ignore").partition("\n")[0].rstrip("\r")
    delimiter = max(DELIMITERS, key=first.count)
    header = tuple(cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), []))
    if len(header) < 2:
        raise mistaken(
            f"{path}: line 1: names no tags; write a header: time and one column per tag,"
            " or time,tag,value and if need be quality",
            f"{path}：第 1 行：没有位号；请写表头：时间加每个位号一列，或 时间,位号,值，需要时加质量",
        )
    if twice := [name for place, name in enumerate(header) if name in header[:place]]:
        raise mistaken(
            f"{path}: line 1: names {twice[0]!r} twice; give each column a name of its own",
            f"{path}：第 1 行：{twice[0]!r} 出现两次；每列应有自己的名称",
        )
    return CsvFile(path, zone, encoding, delimiter, header)


def _encoding(head: bytes) -> str:
    """Return the first encoding the beginning of a file is written in; its last character may be cut in two."""
    for encoding in ENCODINGS:
        try:
            getincrementaldecoder(encoding)().decode(head, final=len(head) < LOOKED_AT)
        except UnicodeDecodeError:
            continue
        return encoding
    return ENCODINGS[0]
