"""An XLSX as a person sees it: cells merged downwards count for each of their rows, and 80 % is not 0.8."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from davylamp_wire.config import ConfigError, Mistake, mistaken

if TYPE_CHECKING:
    from openpyxl import Workbook

SHOWN = 5
"""Most cells named in one mistake."""

_LITERAL = re.compile(r'"[^"]*"|\\.')
"""What a number's format shows as it stands: a sign of percent in it multiplies nothing."""


def workbook_rows(path: Path, content: bytes, sheet: str | None) -> list[list[str]]:
    """Return the rows of a sheet as text. Raises: ConfigError where cells cannot be taken for what a person sees."""
    book = _book(path, content, formulas=False)
    if sheet is not None and sheet not in book.sheetnames:
        en = f"{path}: there is no sheet {sheet!r}; it has {', '.join(book.sheetnames)}"
        raise mistaken(en, f"{path}：没有工作表 {sheet!r}；现有 {'、'.join(book.sheetnames)}")
    found = book[sheet or book.sheetnames[0]]
    _refuse_uncalculated(path, found, _book(path, content, formulas=True)[found.title])
    rows = [[_seen(cell) for cell in row] for row in found.iter_rows()]
    for merged in found.merged_cells.ranges:
        for at in range(merged.min_row, merged.max_row):
            rows[at][merged.min_col - 1] = rows[merged.min_row - 1][merged.min_col - 1]
    return rows


def sheet_names(path: Path, content: bytes) -> list[str]:
    """Return a workbook's sheets."""
    return list(_book(path, content, formulas=False).sheetnames)


def _book(path: Path, content: bytes, *, formulas: bool) -> "Workbook":
    try:
        import openpyxl
    except ImportError:
        way_out = "pip install 'davylamp[xlsx]'"
        raise mistaken(
            f"{path}: {way_out} to read it, or save it as .csv", f"{path}：请安装 {way_out}，或另存为 .csv"
        ) from None
    try:
        return openpyxl.load_workbook(io.BytesIO(content), data_only=not formulas)
    except Exception as error:  # openpyxl raises whatever its zip and XML readers raise
        en = f"{path}: is no .xlsx that can be read ({error}); save it anew, or as .csv"
        raise mistaken(en, f"{path}：不是可读的 .xlsx（{error}）；请重新保存，或另存为 .csv") from None


def _refuse_uncalculated(path: Path, values: Any, formulas: Any) -> None:
    """Raise a ConfigError for formulas whose results are not in the file: a limit would be left out unseen."""
    empty = list(_uncalculated(values, formulas))
    if empty:
        more = f" (+{len(empty) - SHOWN})" if len(empty) > SHOWN else ""
        cells = ", ".join(empty[:SHOWN]) + more
        en = f"{path}: {cells} hold formulas without a result; open the file in a spreadsheet program and save it"
        raise ConfigError([Mistake(en, f"{path}：{cells} 是没有结果的公式；请用表格软件打开并保存一次")])


def _uncalculated(values: Any, formulas: Any) -> Iterator[str]:
    for seen, written in zip(values.iter_rows(), formulas.iter_rows(), strict=True):
        for value, formula in zip(seen, written, strict=True):
            if value.value is None and formula.data_type == "f":
                yield str(value.coordinate)


def _seen(cell: Any) -> str:
    """Return a cell's text: a spreadsheet keeps 40001 as 40001.0, and 80 % as 0.8."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        percent = "%" in _LITERAL.sub("", cell.number_format)
        return f"{value * 100:.12g}%" if percent else _number(value)
    return str(value).strip()


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
