"""A point list as rows of text: XLSX or CSV, as an integrator's spreadsheet wrote it."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from davylamp_wire.config import ConfigError

if TYPE_CHECKING:
    from openpyxl import Workbook

Rows = list[list[str]]

SNIFFED = 4096
"""Characters looked at to tell the separator."""


def read_sheet(path: Path, sheet: str | None = None) -> Rows:
    """Return every row of a list, cells as stripped text. Raises: ConfigError that names the file and the way out.

    Args:
        sheet: Which sheet of an XLSX; the first one where none is named.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); name an existing list"]) from None
    if path.suffix.lower() == ".xls":
        raise ConfigError([f"{path}: the old .xls form is not read; save it as .xlsx or .csv"])
    return _xlsx(path, content, sheet) if path.suffix.lower() == ".xlsx" else _csv(path, content)


def other_sheets(path: Path, sheet: str | None) -> list[str]:
    """Return what else a workbook that was read has."""
    if path.suffix.lower() != ".xlsx":
        return []
    names = _book(path, path.read_bytes()).sheetnames
    return [name for name in names if name != (sheet or names[0])]


def _xlsx(path: Path, content: bytes, sheet: str | None) -> Rows:
    book = _book(path, content)
    names = book.sheetnames
    if sheet is not None and sheet not in names:
        raise ConfigError([f"{path}: there is no sheet {sheet!r}; it has {', '.join(names)}"])
    return _texts(book[sheet or names[0]].iter_rows(values_only=True))


def _book(path: Path, content: bytes) -> "Workbook":
    try:
        import openpyxl
    except ImportError:
        raise ConfigError([f"{path}: pip install 'davylamp[xlsx]' to read it, or save it as .csv"]) from None
    try:
        return openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    except Exception as error:  # openpyxl raises whatever its zip and XML readers raise
        raise ConfigError([f"{path}: is no .xlsx that can be read ({error}); save it anew, or as .csv"]) from None


def _csv(path: Path, content: bytes) -> Rows:
    """Return the rows of a CSV; Chinese spreadsheets save GBK, and any of three separators."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("gb18030")
        except UnicodeDecodeError:
            raise ConfigError([f"{path}: is neither UTF-8 nor GBK; save it as CSV UTF-8"]) from None
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:SNIFFED], delimiters=",;\t")
    except csv.Error:
        dialect = csv.excel
    return _texts(csv.reader(io.StringIO(text, newline=""), dialect))


def _texts(rows: Iterable[Iterable[object]]) -> Rows:
    return [[_text(cell) for cell in row] for row in rows]


def _text(cell: object) -> str:
    """Return a cell as a person reads it: a spreadsheet keeps 40001 as 40001.0."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip()
