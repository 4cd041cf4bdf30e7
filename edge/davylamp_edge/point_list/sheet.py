"""A point list as rows of text: XLSX or CSV, as an integrator's spreadsheet wrote it."""

import codecs
import csv
import io
import re
from pathlib import Path

from davylamp_wire.config import mistaken

from davylamp_edge.point_list.workbook import sheet_names, workbook_rows

Rows = list[list[str]]

_UNSEEN = re.compile(r"[\u200b-\u200f\u2060\ufeff\x00-\x08\x0b-\x1f\x7f]|_x000D_")
"""What copying from web pages and other programs leaves in a cell: nobody sees it, and two tags differ by it."""

SNIFFED = 4096
"""Characters looked at to tell the separator."""
MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How a spreadsheet's "Unicode text" begins."""


def read_sheet(path: Path, sheet: str | None = None) -> Rows:
    """Return every row of a list, cells as stripped text. Raises: ConfigError that names the file and the way out.

    Args:
        sheet: Which sheet of an XLSX; the first one where none is named.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        en = f"{path}: cannot be read ({error.strerror}); name an existing list"
        raise mistaken(en, f"{path}：无法读取（{error.strerror}）；请给出存在的点表") from None
    if path.suffix.lower() == ".xls":
        en = f"{path}: the old .xls form is not read; save it as .xlsx or .csv"
        raise mistaken(en, f"{path}：不支持旧的 .xls；请另存为 .xlsx 或 .csv")
    rows = workbook_rows(path, content, sheet) if path.suffix.lower() == ".xlsx" else _csv(path, content)
    return [[_UNSEEN.sub("", cell).strip() for cell in row] for row in rows]


def other_sheets(path: Path, sheet: str | None) -> list[str]:
    """Return what else a workbook that was read has."""
    if path.suffix.lower() != ".xlsx":
        return []
    names = sheet_names(path, path.read_bytes())
    return [name for name in names if name != (sheet or names[0])]


def _csv(path: Path, content: bytes) -> Rows:
    """Return the rows of a CSV; Chinese spreadsheets save GBK, and any of three separators."""
    text = _decoded(path, content)
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:SNIFFED], delimiters=",;\t")
    except csv.Error:
        dialect = csv.excel
    return list(csv.reader(io.StringIO(text, newline=""), dialect))


def _decoded(path: Path, content: bytes) -> str:
    encodings = ("utf-16",) if content.startswith(MARKS) else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    en = f"{path}: is neither UTF-8 nor GBK; save it as CSV UTF-8"
    raise mistaken(en, f"{path}：既不是 UTF-8 也不是 GBK；请另存为 CSV UTF-8")
