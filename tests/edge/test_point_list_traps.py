"""Point lists as integrators write them, where a plain reading would misread a cell or leave a limit out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from davylamp_edge.__main__ import BAD_INPUT, OK, main
from davylamp_edge.check import load_edge
from davylamp_wire.point import Point

HEAD = "位号,名称,数据类型,地址,单位,量程,高报,高高报"


def taken(path: Path, *more: str) -> int:
    config = str(path.parent / "edge.toml")
    asked = ["--device", "tank", "--hazard-source", "store-1", "--address", "127.0.0.1:502", "--config", config]
    return main(["import", str(path), *asked, *more])


def listed(folder: Path, *rows: str) -> Path:
    path = folder / "points.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def book(folder: Path, *rows: list[Any], change: Callable[[Any], object] = lambda sheet: None) -> Path:
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    change(sheet)
    made.save(folder / "points.xlsx")
    return folder / "points.xlsx"


def points(folder: Path) -> dict[str, Point]:
    return load_edge(folder / "edge.toml")[1]["tank"].points


def limits(point: Point) -> dict[str, float]:
    return {str(kind): limit.value for kind, limit in point.limits.items()}


def test_a_cell_merged_over_three_detectors_counts_for_each_of_them(tmp_path: Path) -> None:
    def merge(sheet: Any) -> None:
        for cells in ("C2:C4", "D2:D4", "E2:E4", "F2:F4"):
            sheet.merge_cells(cells)

    heads = ["位号", "地址", "数据类型", "单位", "一级报警", "二级报警"]
    rows = (heads, ["GT-1", 40001, "REAL", "ppm", 1, 3], ["GT-2", 40003], ["GT-3", 40005])
    assert taken(book(tmp_path, *rows, change=merge)) == OK
    assert {(p.kind, p.unit, tuple(limits(p).items())) for p in points(tmp_path).values()} == {
        ("gas", "ppm", (("L1", 1.0), ("L2", 3.0)))
    }
    assert len(points(tmp_path)) == 3


def test_a_limit_shown_in_percent_is_what_is_shown(tmp_path: Path) -> None:
    def in_percent(sheet: Any) -> None:
        sheet["F2"].number_format = "0%"
        sheet["F3"].number_format = '0"%"'

    heads = ["位号", "地址", "数据类型", "单位", "量程", "高报"]
    rows = (heads, ["A", 40001, "REAL", "%", "0~100", 0.8], ["B", 40003, "REAL", "%", "0~100", 70])
    assert taken(book(tmp_path, *rows, change=in_percent)) == OK
    assert [limits(point) for point in points(tmp_path).values()] == [{"H": 80.0}, {"H": 70.0}]


def test_a_formula_without_a_result_is_no_empty_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heads = ["位号", "地址", "数据类型", "单位", "量程", "高报"]
    assert taken(book(tmp_path, heads, ["A", 40001, "REAL", "%", "0~100", "=50+30"])) == BAD_INPUT
    said = capsys.readouterr().err
    assert "F2 hold formulas without a result" in said
    assert "没有结果的公式" in said


def test_a_column_that_may_hold_limits_is_never_left_out_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = listed(tmp_path, "位号,地址,数据类型,预报警点", "A,40001,REAL,80", "B,40003,REAL,")
    assert taken(path) == BAD_INPUT
    said = capsys.readouterr().err
    assert "'预报警点' may hold limits, and 1 cells" in said
    assert "“预报警点”一列可能是报警限值" in said
    assert taken(path, "--leave", "预报警") == BAD_INPUT
    assert "has no column '预报警'" in capsys.readouterr().err
    assert taken(path, "--leave", "预报警点") == OK
    assert "预报警点" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("headings", "kinds"),
    [
        ("低低限报警值,低限报警值,高限报警值,高高限报警值", ["LL", "L", "H", "HH"]),
        ("报警下下限,报警下限,报警上限,报警上上限", ["LL", "L", "H", "HH"]),
        ("LoLo,Lo,Hi,HiHi", ["LL", "L", "H", "HH"]),
        ("ＬＬ报警,L报警,Ｈ报警值,HH 报警", ["LL", "L", "H", "HH"]),
        ("L2报警值/L2,L2 报警,一级报警设定值,x", None),
    ],
)
def test_limits_by_the_names_that_lists_give_them(tmp_path: Path, headings: str, kinds: list[str] | None) -> None:
    path = listed(tmp_path, f"位号,地址,数据类型,量程,{headings}", "A,40001,REAL,0~100,5,10,80,90")
    assert taken(path) == (BAD_INPUT if kinds is None else OK)
    if kinds is not None:
        assert limits(points(tmp_path)["A"]) == dict(zip(kinds, [5.0, 10.0, 80.0, 90.0], strict=True))


def test_a_low_alarm_of_a_toxic_gas_is_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = "位号,地址,数据类型,单位,量程,低报,高报"
    assert taken(listed(tmp_path, head, "GT-1,40001,REAL,%LEL,0~100,25,50")) == BAD_INPUT
    said = capsys.readouterr().err
    assert "would alarm at clean air" in said
    assert "一级报警" in said
    assert taken(listed(tmp_path, head, "OT-1,40001,REAL,%VOL,0~30,19.5,23.5")) == OK
    assert limits(points(tmp_path)["OT-1"]) == {"L": 19.5, "H": 23.5}


def test_addresses_below_a_heading_that_says_hex_are_hexadecimal(tmp_path: Path) -> None:
    path = listed(tmp_path, "位号,寄存器地址(HEX),功能码,数据类型", "A,0064,3,INT", "B,0x65,3,INT", "C,66H,3,INT")
    assert taken(path, "--first", "0") == OK
    assert [p.address["modbus"] for p in points(tmp_path).values()] == ["holding:100", "holding:101", "holding:102"]


def test_wide_digits_and_letters_are_digits_and_letters_and_the_tag_stays_as_it_is(tmp_path: Path) -> None:
    row = "ＬＴ－１,液位,ＲＥＡＬ,４０００１,％,０～１００,８０,－"
    assert taken(listed(tmp_path, HEAD.replace("高高报", "ＨＨ"), row)) == OK
    (level,) = points(tmp_path).values()
    assert (level.plant_tag, level.type, level.address, level.range) == (
        "ＬＴ－１",
        "float32",
        {"modbus": "holding:0"},
        (0.0, 100.0),
    )
    assert limits(level) == {"H": 80.0}


def test_headings_repeated_on_each_printed_page_are_no_points(tmp_path: Path) -> None:
    assert taken(listed(tmp_path, HEAD, "A,x,REAL,40001,%,,,", HEAD, "B,x,REAL,40003,%,,,")) == OK
    assert list(points(tmp_path)) == ["A", "B"]


def test_an_address_may_name_all_its_registers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert taken(listed(tmp_path, HEAD, "A,x,REAL,40001-40002,%,,,", "B,x,INT,40003~40004,%,,,")) == BAD_INPUT
    said = capsys.readouterr().err
    assert "row 3 (B): '40003~40004' names 2 registers from 40003 on and its data type takes 1" in said
    assert "row 2" not in said
    assert taken(listed(tmp_path, HEAD, "A,x,REAL,40001-40002,%,,,")) == OK
    assert points(tmp_path)["A"].address == {"modbus": "holding:0"}


def test_a_range_upside_down_is_said_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert taken(listed(tmp_path, HEAD, "A,x,REAL,40001,%,100~0,80,90")) == BAD_INPUT
    said = capsys.readouterr().err
    assert "100 to 0 does not rise" in said
    assert "第 2 行（A）：量程 100 至 0" in said


def test_what_was_not_read_and_what_looks_alike_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def more(sheet: Any) -> None:
        sheet.parent.create_sheet("2#PLC")

    assert (
        taken(book(tmp_path, ["位号", "地址", "类型"], ["a-1", 40001, "INT"], ["A-1", 40002, "INT"], change=more)) == OK
    )
    said = capsys.readouterr().out
    assert "sheets not read" in said
    assert "2#PLC" in said
    assert "仅大小写或全半角不同的位号): a-1, A-1" in said
    assert "没有限值，永不报警): a-1, A-1" in said


def test_a_list_saved_as_unicode_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes("位号/Tag\t地址\t数据类型\nLT-1\t40001\tREAL\n".encode("utf-16"))
    assert taken(path) == OK
    assert list(points(tmp_path)) == ["LT-1"]


def test_lines_broken_in_a_cell_and_what_nobody_sees_are_not_part_of_it(tmp_path: Path) -> None:
    rows = (["位\n号", "名称", "地址", "数据类型"], ["LT-\n1101\u200b", "储罐\n液位", "400\n01", "RE\nAL\x7f"])
    path = tmp_path / "points.csv"
    path.write_text("\n".join(",".join(f'"{cell}"' for cell in row) for row in rows), encoding="utf-8")
    assert taken(path) == OK
    (level,) = points(tmp_path).values()
    assert (level.plant_tag, level.zh, level.type, level.address["modbus"]) == (
        "LT-1101",
        "储罐 液位",
        "float32",
        "holding:0",
    )


def test_a_config_that_cannot_be_read_or_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = listed(tmp_path, HEAD, "A,x,REAL,40001,%,,,")
    (tmp_path / "file").touch()
    (tmp_path / "gbk.toml").write_bytes("node = 'e' # 中文".encode("gbk"))
    (tmp_path / "flat.toml").write_text('node = "e"\nprofiles = "file"\n', encoding="utf-8")
    for config, says in (
        (tmp_path, "cannot be read"),
        (tmp_path / "file" / "edge.toml", "cannot be written"),
        (tmp_path / "gbk.toml", "is not UTF-8"),
        (tmp_path / "flat.toml", "cannot be written"),
    ):
        assert taken(path, "--config", str(config)) == BAD_INPUT
        assert says in capsys.readouterr().err


def test_a_config_keeps_its_mode(tmp_path: Path) -> None:
    path = listed(tmp_path, HEAD, "A,x,REAL,40001,%,,,")
    assert taken(path) == OK
    (tmp_path / "edge.toml").chmod(0o600)
    assert taken(path, "--device", "tank-2") == OK
    assert (tmp_path / "edge.toml").stat().st_mode & 0o777 == 0o600


def test_a_heading_over_several_columns_says_what_those_below_it_mean(tmp_path: Path) -> None:
    def merge(sheet: Any) -> None:
        for cells in ("A1:J1", "A2:A3", "B2:B3", "C2:C3", "D2:D3", "E2:F2", "G2:J2"):
            sheet.merge_cells(cells)

    rows = (
        ["某厂液氯库点表"],
        ["位号", "名称", "Modbus地址", "数据类型", "量程", None, "报警值", None, None, None],
        [None, None, None, None, "下限", "上限", "低低", "低", "高", "高高"],
        ["LT-1", "液位", 40001, "REAL", 0, 100, 5, 10, 80, 90],
    )
    assert taken(book(tmp_path, *rows, change=merge)) == OK
    (level,) = points(tmp_path).values()
    assert level.range == (0.0, 100.0)
    assert limits(level) == {"LL": 5.0, "L": 10.0, "H": 80.0, "HH": 90.0}
