"""Where a point list's headings are, and its lines under them by what each column means."""

import itertools
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from davylamp_wire.config import ConfigError, Mistake

from davylamp_edge.point_list.sheet import Rows
from davylamp_edge.point_list.words import COMMON, HEXADECIMAL, LIKE_A_LIMIT, meaning_of, plain

NEEDED = ("tag", "address")
LOOKED_AT = 20
"""Rows in which the headings are looked for; lists begin with titles, projects and dates."""
NOTHING = {"", "-", "--", "—", "——", "/", "\\", "无", "n/a", "none"}
"""What people write into a cell that is meant to be empty."""
VERBATIM = {"tag", "zh", "en", "action", "unit", "address"}
"""Cells that stay as they were typed; of the others ４０ is 40."""
NAMED = {"zh", "en", "action"}
"""Cells of whole words, between which a broken line is a blank."""
LIMITS = "低低报、低报、高报、高高报、一级报警、二级报警 (LL, L, H, HH, L1, L2)"


@dataclass(frozen=True, slots=True)
class Line:
    """One row under the headings: its number in the file, counted from 1, and its filled cells by meaning."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A list's lines, and the headings nobody knows the meaning of: they are named, not passed over in silence."""

    lines: tuple[Line, ...]
    unknown: tuple[str, ...]


def table_of(rows: Rows, origin: str, leave: Collection[str] = ()) -> Table:
    """Return a list's rows under their headings, which may take two rows where cells are merged.

    Args:
        leave: Headings of columns that are left out because a person says so.

    Raises: ConfigError where there are none, one comes twice, or one that may be a limit's is not understood.
    """
    for at in range(min(LOOKED_AT, len(rows))):
        headings, taken = _headings(rows, at)
        meanings = [None if cell in leave else meaning_of(cell) for cell in headings]
        if set(NEEDED) <= set(meanings):
            below = rows[at + taken :]
            mistakes = [
                *_twice(headings, meanings, f"{origin}: row {at + taken}"),
                *_unread_limits(headings, meanings, below, leave, origin),
                *(_no_such(heading, headings, origin) for heading in leave if heading not in headings),
            ]
            if mistakes:
                raise ConfigError(mistakes)
            unknown = tuple(c for c, meaning in zip(headings, meanings, strict=True) if c and meaning is None)
            return Table(tuple(_lines(below, headings, meanings, at + taken + 1)), unknown)
    raise ConfigError(_without_headings(rows[:LOOKED_AT], origin))


def _headings(rows: Rows, at: int) -> tuple[list[str], int]:
    """Return the headings that begin with this row, and how many rows they take.

    A row goes on the one above it where it has headings we know, not all that are needed, and nothing that makes no
    sense under those the upper row has already: "量程 | 报警值" over "下限 | 上限 | 高 | 高高".
    """
    upper, following = rows[at], rows[at + 1] if at + 1 < len(rows) else []
    lower = ["" if below == above else below for above, below in itertools.zip_longest(upper, following, fillvalue="")]
    pairs = list(itertools.zip_longest(upper, lower, fillvalue=""))
    both = list(_one_below_another(pairs))
    columns = [(above, below, heading) for (above, below), heading in zip(pairs, both, strict=True) if below]
    found = {meaning_of(heading) for _, _, heading in columns} - {None}
    covered = any(meaning_of(above) and heading == below for above, below, heading in columns)
    goes_on = any(upper) and found and not set(NEEDED) <= found and not covered
    return (both, 2) if goes_on else (upper, 1)


def _one_below_another(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield what each column is called by two rows: by the lower, by both together, or by the upper alone.

    An upper heading reaches over the columns to its right that have none of their own.
    """
    over = ""
    for above, below in pairs:
        over = above or over
        together = over + below
        if below and meaning_of(together) and not (meaning_of(below) and not meaning_of(over)):
            yield together
        else:
            yield below or above


def _without_headings(rows: Rows, origin: str) -> list[str]:
    """Return what is missing: in the row that comes nearest to a row of headings, or altogether."""
    missing: tuple[str, ...] = NEEDED
    known = [{meaning_of(cell) for cell in row} - {None} for row in rows]
    nearest = max(range(len(rows)), key=lambda at: len(known[at]), default=None)
    if nearest is None or not known[nearest] & set(NEEDED):
        where, zh = f"no row among the first {LOOKED_AT} has a heading", f"前 {LOOKED_AT} 行都没有"
    else:
        said = ", ".join(filter(None, rows[nearest]))
        where = f"row {nearest + 1} has headings ({said}), but none"
        zh = f"第 {nearest + 1} 行是表头（{said}），但没有"
        missing = tuple(needed for needed in NEEDED if needed not in known[nearest])
    names = {"tag": "位号", "address": "地址"}
    return [
        Mistake(
            f"{origin}: {where} for the {meaning}; write one of {COMMON[meaning]}",
            f"{origin}：{zh}{names[meaning]}一列；请写其中之一：{COMMON[meaning]}",
        )
        for meaning in missing
    ]


def _twice(row: list[str], meanings: list[str | None], where: str) -> Iterator[Mistake]:
    found: dict[str, str] = {}
    for heading, meaning in zip(row, meanings, strict=True):
        if meaning is None:
            continue
        if meaning in found:
            en = f"{where}: {found[meaning]!r} and {heading!r} mean the same; keep one, or leave one out with --leave"
            yield Mistake(en, f"{where}：{found[meaning]} 与 {heading} 含义相同；保留一列，或用 --leave 略去一列")
        found[meaning] = heading


def _unread_limits(
    headings: list[str], meanings: list[str | None], rows: Rows, leave: Collection[str], origin: str
) -> Iterator[Mistake]:
    """Yield a mistake for each filled column that may hold limits and is not understood: they would never alarm."""
    for at, (heading, meaning) in enumerate(zip(headings, meanings, strict=True)):
        if meaning is not None or heading in leave or not LIKE_A_LIMIT.search(plain(heading)):
            continue
        filled = sum(at < len(row) and not _is_nothing(row[at]) for row in rows)
        if filled:
            en = f"{origin}: column {heading!r} may hold limits, and {filled} cells of it would be left out"
            zh = f"{origin}：“{heading}”一列可能是报警限值，其中 {filled} 格会被略去，永不报警"
            yield Mistake(
                f"{en} and never alarm; call it {LIMITS}, or say --leave '{heading}'",
                f"{zh}；请改名为 {LIMITS}，或写明 --leave '{heading}'",
            )


def _no_such(heading: str, headings: list[str], origin: str) -> Mistake:
    has = ", ".join(filter(None, headings))
    en = f"--leave: {origin} has no column {heading!r}; it has {has}"
    return Mistake(en, f"--leave：{origin} 没有“{heading}”一列；现有 {has}")


def _lines(rows: Rows, headings: list[str], meanings: list[str | None], first: int) -> Iterator[Line]:
    in_hex = {
        m for m, heading in zip(meanings, headings, strict=True) if m == "address" and HEXADECIMAL.search(heading)
    }
    for number, row in enumerate(rows, first):
        cells = {
            m: _as_hex(cell) if m in in_hex else _as_typed(m, cell)
            for m, cell in zip(meanings, row, strict=False)
            if m and not _is_nothing(cell)
        }
        if cells and not _is_headings(cells):
            yield Line(number, cells)


def _is_headings(cells: Mapping[str, str]) -> bool:
    """True for headings once more: lists made for printing repeat them on each page."""
    return all(needed in cells and meaning_of(cells[needed]) == needed for needed in NEEDED)


def _is_nothing(cell: str) -> bool:
    return unicodedata.normalize("NFKC", cell).strip().lower() in NOTHING


def _as_typed(meaning: str, cell: str) -> str:
    """Return a cell as it was meant: a line broken for its column's width is one line."""
    written = cell if meaning in VERBATIM else unicodedata.normalize("NFKC", cell)
    return (" " if meaning in NAMED else "").join(part.strip() for part in written.splitlines())


def _as_hex(cell: str) -> str:
    """Return an address under a heading that says hexadecimal, marked as one."""
    bare = unicodedata.normalize("NFKC", cell).strip().lower().removeprefix("0x").removesuffix("h")
    return f"{bare}h"
