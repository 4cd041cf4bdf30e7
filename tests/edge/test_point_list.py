"""Integrators' point lists: what is read, what is refused with its row, and that the device then really answers."""

from pathlib import Path

import openpyxl
import pytest
from davylamp_edge.__main__ import BAD_INPUT, OK, main
from davylamp_edge.check import load_edge
from davylamp_edge.install import install
from davylamp_edge.point_list.addresses import modbus_address
from davylamp_edge.point_list.cells import TYPE_OF
from davylamp_edge.point_list.words import HEADINGS, MEANINGS, plain
from davylamp_edge.summary import summarise
from davylamp_wire.point import DataType, LimitKind, Point
from davylamp_wire.quality import GOOD
from support.field import plc, readings, registers, scanning

HEAD = "位号,名称,数据类型,地址,单位,量程,高报,高高报"
TANK = "1#LT-1101/A,储罐液位,REAL,40061,%,0~100,75,80"


def listed(folder: Path, *rows: str, encoding: str = "utf-8") -> Path:
    path = folder / "points.csv"
    path.write_bytes("\n".join(rows).encode(encoding))
    return path


def imported(path: Path, *more: str, address: str = "127.0.0.1:502") -> int:
    config = path.parent / "edge.toml"
    arguments = ["--device", "tank", "--hazard-source", "store-1", "--address", address, "--config", str(config)]
    return main(["import", str(path), *arguments, *more])


def only(folder: Path, name: str) -> Point:
    return load_edge(folder / "edge.toml")[1]["tank"].points[name]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_list_becomes_a_device_with_the_plants_own_tag_names(tmp_path: Path, encoding: str) -> None:
    path = listed(tmp_path, "某厂点表,,,,,,,", HEAD, TANK, encoding=encoding)
    assert imported(path) == OK
    level = only(tmp_path, "1_LT-1101_A")
    assert (level.plant_tag, level.zh, level.unit, level.range) == ("1#LT-1101/A", "储罐液位", "%", (0.0, 100.0))
    assert (level.type, level.address) == (DataType.FLOAT32, {"modbus": "holding:60"})
    assert {kind: limit.value for kind, limit in level.limits.items()} == {"H": 75.0, "HH": 80.0}


def test_s30_an_imported_limit_names_list_and_row_and_is_unverified(tmp_path: Path) -> None:
    imported(listed(tmp_path, HEAD, TANK))
    source = only(tmp_path, "1_LT-1101_A").limits[LimitKind.HH].source
    assert (source.standard, source.clause, source.basis) == ("点表 points.csv", "row 2", "proposal")
    assert not source.verified


def test_a_spreadsheet_reads_like_its_csv(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.title = "封面"
    sheet = book.create_sheet("IO")
    for row in (["位号", "地址", "数据类型"], ["TT-1", 40001.0, "INT"], [None, None, None], ["TT-2", "4x0002", "WORD"]):
        sheet.append(row)
    path = tmp_path / "points.xlsx"
    book.save(path)
    assert imported(path, "--sheet", "IO") == OK
    found = load_edge(tmp_path / "edge.toml")[1]["tank"].points
    assert {name: (p.address["modbus"], p.type) for name, p in found.items()} == {
        "TT-1": ("holding:0", "int16"),
        "TT-2": ("holding:1", "uint16"),
    }


def test_headings_in_two_rows_and_cells_that_say_nothing(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["液氯库 PLC 点表"],
        ["位号", "名称", "通讯地址", "功能码", "数据类型", "字节序", "单位", "量程", "报警值", None, "备注"],
        [*[None] * 8, "一级", "二级", None],
        ["GT/1105", "5#氯气", 40015, 3, "浮点数", "CD AB", "PPM", "0-10ppm", "1ppm", 3, "-"],
        ["GT-1106", "6#氯气", 40017, "03H", "REAL", 1234, "mg/m³", "0-30", 1.5, "——", None],
        ["P-1104", "碱液泵运行", 10001, 2, "DI", "/", "/", "/", None, "无", None],
    ):
        sheet.append(row)
    for merged in ("A1:K1", "A2:A3", "C2:C3", "I2:J2"):
        sheet.merge_cells(merged)
    book.save(tmp_path / "points.xlsx")
    assert imported(tmp_path / "points.xlsx") == OK
    first, second = only(tmp_path, "GT_1105"), only(tmp_path, "GT-1106")
    assert (first.kind, first.order, first.range) == ("gas", "CDAB", (0.0, 10.0))
    assert {kind: limit.value for kind, limit in first.limits.items()} == {"L1": 1.0, "L2": 3.0}
    assert (second.kind, second.order, list(second.limits)) == ("gas", "ABCD", ["L1"])
    assert (only(tmp_path, "P-1104").type, only(tmp_path, "P-1104").unit) == (DataType.BOOL, "")


@pytest.mark.parametrize("written", ["0-1,000", "0~1×10^3", "0-100%LEL", "±2", "0~10 / 0~50"])
def test_a_range_that_could_be_misread_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str
) -> None:
    assert imported(listed(tmp_path, HEAD, f'PT-1,压力,REAL,40061,%,"{written}",,')) == BAD_INPUT
    assert "write 0~100" in capsys.readouterr().err


def test_a_row_with_several_mistakes_has_all_of_them_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = "HS-1,错误行,REEL,待定,%,0至,八十,,小端"
    assert imported(listed(tmp_path, HEAD + ",字节序", row)) == BAD_INPUT
    said = capsys.readouterr().err
    assert "5 mistakes" in said
    assert all(f"'{cell}'" in said for cell in ("REEL", "待定", "0至", "八十", "小端"))


def test_the_sheet_that_has_the_points_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("点表").append(["位号", "地址"])
    book.save(tmp_path / "points.xlsx")
    assert imported(tmp_path / "points.xlsx") == BAD_INPUT
    assert "other sheets: 点表; name the one that has the points with --sheet" in capsys.readouterr().err


def test_check_names_some_limits_of_a_long_list_and_counts_the_rest(tmp_path: Path) -> None:
    rows = [f"LT-{n},液位,REAL,{40001 + 2 * n},%,0~100,75,80" for n in range(4)]
    assert imported(listed(tmp_path, HEAD, *rows)) == OK
    warnings = [line.strip() for line in summarise(*load_edge(tmp_path / "edge.toml")) if "warning" in line]
    assert len(warnings) == 6
    assert warnings[-1] == "warning: and 3 more limits of tank likewise"


async def test_an_imported_device_is_polled(tmp_path: Path) -> None:
    rows = (HEAD, "LT/1,液位,REAL,40001,%,0~100,75,80", "LT/2,液位,REAL,40003,%,0~100,75,80", "XS-1,阀,,10001,,,,")
    async with plc(holding=registers(">ff", 12.5, 50.25), discretes=[True]) as running:
        assert imported(listed(tmp_path, *rows), address=running.address) == OK
        config, profiles = load_edge(tmp_path / "edge.toml")
        (installed,) = install(config, profiles)
        async with scanning(config, profiles) as (_, collector):
            await collector.until(lambda: len(collector.rows(installed)) >= 4)
        seen = {row for result in collector.results for row in readings(installed, result)}
    assert {("LT_1", 12.5, GOOD), ("LT_2", 50.25, GOOD), ("XS-1", True, GOOD)} <= seen


def test_every_mistake_comes_at_once_with_its_row_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = listed(
        tmp_path,
        HEAD,
        TANK,
        "1#LT-1101/A,again,REAL,40063,%,,,",
        ",no tag,REAL,40065,%,,,",
        "PT-1,no address,REAL,,MPa,,,",
        "PT-2,odd type,REEL,40067,MPa,,,",
        "PT-3,limits wrong way,REAL,40069,MPa,0~1,0.9,0.8",
        "PT-4,no number,REAL,40071,MPa,0~1,high,",
        "PT-5,half a range,REAL,40073,MPa,0,,",
    )
    assert imported(path) == BAD_INPUT
    said = capsys.readouterr().err
    assert "7 mistakes" in said
    for row, what in ((3, "already"), (4, "no tag"), (5, "no address"), (6, "'REEL'"), (7, "order"), (8, "'high'")):
        assert any(f"row {row}" in line and what in line for line in said.splitlines()), (row, said)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["points.csv"]


def test_a_second_import_leaves_the_first_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = listed(tmp_path, HEAD, TANK)
    assert imported(path) == OK
    before = (tmp_path / "edge.toml").read_text(encoding="utf-8")
    assert imported(path) == BAD_INPUT
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "edge.toml").read_text(encoding="utf-8") == before
    assert imported(path, "--device", "tank-2") == OK
    config, _ = load_edge(tmp_path / "edge.toml")
    assert [device.name for device in config.devices] == ["tank", "tank-2"]


def test_what_the_check_refuses_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported(listed(tmp_path, HEAD, TANK), "--driver", "morse") == BAD_INPUT
    assert "there is no driver 'morse'" in capsys.readouterr().err
    assert not (tmp_path / "edge.toml").exists()
    assert not list(tmp_path.rglob("*.toml"))


def test_stations_are_devices_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = listed(tmp_path, "位号,地址,类型,站号", "A,40001,INT,1", "B,40001,INT,2")
    assert imported(path) == BAD_INPUT
    assert "stations 1, 2" in capsys.readouterr().err
    assert imported(path, "--station", "2") == OK
    config, profiles = load_edge(tmp_path / "edge.toml")
    assert config.devices[0].unit == 2
    assert list(profiles["tank"].points) == ["B"]


def test_names_that_cannot_be_ids_are_refused_in_plain_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(listed(tmp_path, HEAD, TANK), "--device", "液氯库", "--hazard-source", "1#库") == BAD_INPUT
    said = capsys.readouterr().err
    assert "--device: '液氯库' cannot be in a tag's id; write letters, digits, - and _ only" in said
    assert "--hazard-source: '1#库'" in said
    assert "there is no profile" not in said


def test_whole_numbers_without_a_scale_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ("GT-1,氯气,WORD,40001,mg/m3,0~30,,,", "GT-2,氯气,WORD,40002,mg/m3,0~30,,,0.01")
    assert imported(listed(tmp_path, HEAD + ",系数", *rows)) == OK
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "without a scale" in line)
    assert line.endswith(": GT-1")


def test_what_was_guessed_or_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imported(listed(tmp_path, HEAD + ",备注", "GT-1,氯气,REAL,40001,ppm,0~20,,,见图"))
    said = capsys.readouterr().out
    assert "备注" in said
    assert "1 taken for gas detectors by their unit" in said
    assert "1 gas detectors without any limit (气体探测器没有限值): GT-1" in said
    assert only(tmp_path, "GT-1").kind == "gas"


@pytest.mark.parametrize(
    ("written", "function", "first", "address"),
    [
        ("40001", "", None, "holding:0"),
        ("400001", "", None, "holding:0"),
        ("4x0100", "", None, "holding:99"),
        ("30010", "", None, "input:9"),
        ("10001", "", None, "discrete:0"),
        ("00017", "", None, "coil:16"),
        ("40001.3", "", None, "holding:0.3"),
        ("holding:7", "", None, "holding:7"),
        ("100", "03", 0, "holding:100"),
        ("100", "3", 1, "holding:99"),
        ("0x64", "FC04", 0, "input:100"),
        ("100.15", "3", 0, "holding:100.15"),
        ("40001", "3", None, "holding:0"),
        ("40001", "3", 0, "holding:40001"),
        ("7", "1", 0, "coil:7"),
        ("100", "4x", 0, "holding:100"),
        ("100", "3区", 0, "input:100"),
        ("4x0100", "4x", 0, "holding:100"),
        ("100", "保持寄存器", 0, "holding:100"),
        ("100", "04 输入寄存器", 0, "input:100"),
        ("100", "03/16", 0, "holding:100"),
        ("7", "线圈", 0, "coil:7"),
        ("7", "离散量输入", 0, "discrete:7"),
        ("0x10", "1", 0, "coil:16"),
        ("0064H", "3", 0, "holding:100"),
        ("40000", "", 0, "holding:0"),
        ("40001", "", 1, "holding:0"),
    ],
)
def test_addresses_as_lists_write_them(written: str, function: str, first: int | None, address: str) -> None:
    assert modbus_address(written, function, first) == address


@pytest.mark.parametrize(
    ("written", "function", "first", "says"),
    [
        ("40000", "", None, "count from 1.*--first 0"),
        ("40001", "4", None, "correct one of them"),
        ("40001", "3区", None, "correct one of them"),
        ("100", "03 输入寄存器", 0, "means two things"),
        ("100", "4区 FC04", 0, "means two things"),
        ("100", "", None, "功能码"),
        ("100", "3", None, "--first 0 or --first 1"),
        ("0", "3", 1, "before the first"),
        ("100", "16", 0, "reads nothing"),
        ("D100", "3", 0, "no register number"),
    ],
)
def test_an_address_that_could_mean_two_things_is_asked_about(
    written: str, function: str, first: int | None, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        modbus_address(written, function, first)


def test_no_heading_and_no_type_name_means_two_things() -> None:
    headings = [(heading, meaning) for meaning, those in HEADINGS.items() for heading in those]
    assert [meaning for _, meaning in headings] == [MEANINGS[plain(heading)] for heading, _ in headings]
    assert set(TYPE_OF.values()) <= set(DataType)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("points.csv", b"", "no row among the first"),
        ("points.csv", "名称,单位\n液位,%".encode(), "heading for the tag"),
        ("points.csv", "位号,PLC位置\nTT-1,4".encode(), "row 1 has headings (位号, PLC位置), but none for the address"),
        ("points.csv", "位号,地址,仪表位号".encode(), "mean the same"),
        ("points.csv", "位号,地址".encode(), "no line below"),
        ("points.csv", b"\xff\xfe\x00\xd8\x00", "neither UTF-8 nor GBK"),
        ("points.xls", b"\xd0\xcf\x11\xe0", "save it as .xlsx"),
        ("points.xlsx", b"PK no zip", "no .xlsx that can be read"),
    ],
)
def test_a_file_that_is_no_list_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert imported(path) == BAD_INPUT
    assert says in capsys.readouterr().err


def test_limits_of_a_list_that_cannot_work_are_refused_with_row_and_tag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(listed(tmp_path, HEAD, TANK.replace("75,80", "80,80"))) == BAD_INPUT
    assert "points.csv: row 2 (1#LT-1101/A): limits.H: is 80 as limits.HH is" in capsys.readouterr().err
    assert not (tmp_path / "edge.toml").exists()
