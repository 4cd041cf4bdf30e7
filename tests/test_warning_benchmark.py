"""The proof of early warning: its reading, its parts, its configurations, and a whole run where the data are there."""

import csv
import gzip
import importlib.util
import math
import tomllib
from pathlib import Path

import numpy as np
import pytest
from davylamp_alarms.watching import watch
from davylamp_alarms.watching.recorded import Recorded, follow
from davylamp_alarms.watching.watch import Plan
from davylamp_wire.config import load

from benchmarks.warning import DATA, run
from benchmarks.warning.listing import DataError, Entry, listing
from benchmarks.warning.measures import MEASURES, NAIVE
from benchmarks.warning.parts import SPLIT, SPLIT_ROW, TUNED_ON, Part, belongs, folder
from benchmarks.warning.predictions import HERE, plans, predict, write
from benchmarks.warning.reading import FORMATS, places, read, room

DEFAULTS = Path(watch.__file__).with_name("defaults.toml")
CONFIGURATIONS = [*sorted(HERE.glob("*.toml")), DEFAULTS]
HEAD = "file,dataset,rows,columns,sampling_s,train_rows"
TEXTS = {
    "skab": (
        "datetime;Pressure;anomaly;changepoint\n2020-03-09 10:14:33;0.5;0.0;0.0\n2020-03-09 10:14:35;1.5;1.0;1.0\n",
        ("Pressure",),
        [0, 2000],
        [[0.5], [1.5]],
    ),
    "nab": (
        "timestamp,value\n2013-12-02 21:15:00,73.9\n2013-12-02 21:20:00,74.9\n",
        ("value",),
        [0, 300_000],
        [[73.9], [74.9]],
    ),
    "threew": (
        "timestamp,P-PDG,QGL,class\n2014-01-24 09:33:03.000000,,1.0,0\n2014-01-24 09:33:04.000000,2.0,,\n",
        ("P-PDG", "QGL"),
        [0, 1000],
        [[math.nan, 1.0], [2.0, math.nan]],
    ),
    "methane": (
        "@RELATION m\n@ATTRIBUTE 'MM116' numeric\n@ATTRIBUTE 'PD' {0,1}\n@ATTRIBUTE 'MM116_pred' numeric\n"
        "@DATA\n1.1,0,1.2\n1.2,1,1.4\n",
        ("MM116", "PD"),
        [0, 30_000],
        [[1.1, 0.0], [1.2, 1.0]],
    ),
    "nist_smoke": (
        "TIME,TCA_1,TCB_1,SMA_1\n2,20,21,0.0\n7,22,21,0.1\n",
        ("TCA_1", "TCB_1", "SMA_1"),
        [2000, 7000],
        [[20, 21, 0.0], [22, 21, 0.1]],
    ),
    "tunnel": (
        "Time,CT214J3,CT209F2\ns,ppm,ppm\n0.0,1,100\n24.5,2,\n",
        ("CT214J3", "CT209F2"),
        [0, 24_500],
        [[1, 100], [2, math.nan]],
    ),
}
PERIOD_S = {"nab": 300.0, "methane": 30.0}


def put(data: Path, file: str, text: str) -> None:
    path = data / f"{file}.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))


def tables(data: Path, lines: list[str]) -> Path:
    (data / "files.csv").write_text("\n".join([HEAD, *lines, ""]))
    (data / "events.csv").write_text("file,dataset\n" + "".join(f"{line.split(',')[0]},x\n" for line in lines))
    return data


@pytest.mark.parametrize("name", TEXTS)
def test_each_format_gives_what_instruments_said_and_no_label(name: str, tmp_path: Path) -> None:
    text, tags, time_ms, value = TEXTS[name]
    put(tmp_path, f"{name}/f.csv", text)
    found = read(tmp_path, Entry(f"{name}/f.csv", name, PERIOD_S.get(name, 1.0), 0, 2))
    assert found.tags == tags
    assert found.time_ms.tolist() == time_ms
    np.testing.assert_array_equal(found.value, np.array(value, np.float64))


def test_the_plants_training_run_lies_on_its_side(tmp_path: Path) -> None:
    put(tmp_path, "tep/d00.dat", "\n".join("1.0 2.0 3.0" for _ in range(52)))
    found = read(tmp_path, Entry("tep/d00.dat", "tep", 180.0, 3, 3))
    assert found.value.shape == (3, 52)
    assert found.tags[0] == "XMEAS1"
    assert found.tags[-1] == "XMV11"


def test_rooms_of_a_house_are_told_apart(tmp_path: Path) -> None:
    entry = Entry("nist_smoke/S.csv", "nist_smoke", 2.0, 0, 2)
    put(tmp_path, entry.file, TEXTS["nist_smoke"][0])
    assert places(entry)[:2] == ["nist_smoke/S.csv#A", "nist_smoke/S.csv#B"]
    assert room(read(tmp_path, entry), places(entry)[0]).tags == ("TC_1", "SM_1")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"files\.csv is not there: name the data folder"):
        listing(tmp_path)
    with pytest.raises(DataError, match=r"but files\.csv lists it"):
        read(tmp_path, Entry("nab/gone.csv", "nab", 300.0, 0, 1))
    put(tmp_path, "nab/odd.csv", "timestamp,value\nyesterday,1\n")
    with pytest.raises(DataError, match="cannot be read as nab"):
        read(tmp_path, Entry("nab/odd.csv", "nab", 300.0, 0, 1))
    with pytest.raises(DataError, match="has no reader"):
        read(tmp_path, Entry("nab/odd.csv", "moon", 300.0, 0, 1))


def test_a_folder_that_is_not_there_is_a_note_and_no_crash(tmp_path: Path) -> None:
    assert "is not there" in run(tmp_path / "nowhere").notes[0]


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_each_configuration_can_be_made_ready(path: Path) -> None:
    plan = load(Plan, path)
    random = np.random.default_rng(1)
    tags = tuple(dict.fromkeys(_a_tag_for(pattern) for one in plan.watches for pattern in one.tags))
    ids = {one.id for one in plan.watches}
    tags = (*(tag for tag in tags if tag not in ids), *(f"other{place}" for place in range(20)))
    plant = Recorded(tags, np.arange(300) * 1000, random.normal(10, 1, (300, len(tags))), 1.0)
    said = follow(plan.watches, plant.part(200), plant.part(0, 200))
    assert not any(one.blind for one in said)
    assert any(one.watch.use == "warning" for one in said)


def test_the_watch_in_the_page_is_one() -> None:
    page = (HERE.parents[1] / "docs" / "early-warning.md").read_text(encoding="utf-8")
    text = page.split("```toml\n")[1].split("```")[0]
    (shown,) = Plan.model_validate({"about": "the page", **tomllib.loads(text)}).watches
    assert shown == load(Plan, HERE / "skab.toml").watches[0]


def _a_tag_for(pattern: str) -> str:
    return pattern.replace("*", "x")


def test_every_set_has_a_configuration_measures_and_a_naive_detector() -> None:
    assert {path.stem for path in CONFIGURATIONS} == {*FORMATS, "defaults"}
    assert {measure.set for measure in MEASURES} == set(FORMATS) == set(NAIVE)
    assert set(plans(FORMATS, defaults=True)) == set(FORMATS)


def test_a_score_of_nothing_is_no_score() -> None:
    measure = next(one for one in MEASURES if "/" in one.path)
    first, second = measure.path.split("/")
    assert measure.of({measure.set: {first: {second: 61.0}}}) == 61.0
    assert measure.of({measure.set: {first: {second: math.nan}}}) is None
    assert measure.of({}) is None


def test_what_nobody_tuned_on_is_held_out() -> None:
    assert all(belongs(name, Part.TUNED) for name in TUNED_ON if not name.startswith("tunnel/"))
    assert belongs("tunnel/202_CO.csv", Part.TUNED)
    assert belongs("skab/new.csv", Part.HELD)
    assert not belongs("skab/new.csv", Part.TUNED)
    assert belongs("tep/d00_te.dat", Part.TUNED)
    assert belongs("tep/d00_te.dat", Part.HELD)


def test_a_part_is_a_folder_of_its_own_and_the_long_file_is_cut(tmp_path: Path) -> None:
    data = tmp_path / "data"
    rows = "".join(f"1.{row % 10},0,1\n" for row in range(SPLIT_ROW + 5))
    put(data, SPLIT, TEXTS["methane"][0].split("@DATA")[0] + "@DATA\n" + rows)
    put(data, "nab/held.csv", TEXTS["nab"][0])
    tables(data, [f"{SPLIT},methane,{SPLIT_ROW + 5},3,30,2880", "nab/held.csv,nab,2,2,300,1"])
    found = listing(data).entries
    tuned = folder(data, found, Part.TUNED, tmp_path / "tuned")
    held = folder(data, found, Part.HELD, tmp_path / "held")
    assert [entry.file for entry in listing(tuned).entries] == [SPLIT]
    assert len(read(tuned, listing(tuned).entries[0]).time_ms) == SPLIT_ROW
    assert [(entry.file, entry.train_rows) for entry in listing(held).entries] == [
        (SPLIT, SPLIT_ROW),
        ("nab/held.csv", 1),
    ]
    assert len(read(held, listing(held).entries[0]).time_ms) == SPLIT_ROW + 5


def test_predictions_are_spans_after_the_training_rows(tmp_path: Path) -> None:
    values = [*([10, 11, 9, 10] * 10), 10, 10, 99, 10, 10]
    stamps = [f"2020-01-01 {row // 12:02}:{row % 12 * 5:02}:00" for row in range(len(values))]
    put(tmp_path, "nab/f.csv", "\n".join(["timestamp,value", *map("{},{}".format, stamps, values)]))
    found = listing(tables(tmp_path, [f"nab/f.csv,nab,{len(values)},2,300,40"])).entries
    told: list[str] = []
    outcome = predict(tmp_path, found, plans(["nab"], defaults=False), told.append)
    write(outcome.predictions, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["file", "start", "end"], ["nab/f.csv", "12600.0", "13200.0"]]
    assert told == ["nab"]


def test_predictions_that_cannot_be_written_say_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write([], tmp_path / "nowhere" / "out.csv")


@pytest.mark.skipif(not (DATA / "files.csv").is_file(), reason="the recordings lie outside of the repository")
@pytest.mark.skipif(importlib.util.find_spec("pandas") is None, reason="the scorer needs pandas: pip install pandas")
def test_rooms_on_fire_are_warned_of_before_commercial_detectors_alarm() -> None:
    report = run(only="nist_smoke", without_naive=True)
    value = {figure.name: figure.met for figure in report.figures}
    assert value["nist_smoke: earlier than photoelectric"], report.notes
    assert value["nist_smoke: earlier than ionisation"]


@pytest.mark.parametrize("name", TEXTS)
def test_marks_of_a_spreadsheet_and_other_line_ends_change_nothing(name: str, tmp_path: Path) -> None:
    text, tags, time_ms, value = TEXTS[name]
    path = tmp_path / name / "f.csv.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n"))
    found = read(tmp_path, Entry(f"{name}/f.csv", name, PERIOD_S.get(name, 1.0), 0, 2))
    assert found.tags == tags
    assert found.time_ms.tolist() == time_ms
    np.testing.assert_array_equal(found.value, np.array(value, np.float64))


def test_columns_may_stand_in_any_order_and_hold_words_or_too_little(tmp_path: Path) -> None:
    put(tmp_path, "nab/f.csv", "value,timestamp,more\n1,2020-01-01 00:00:00,Bad\nN/A,2020-01-01 00:05:00\n")
    found = read(tmp_path, Entry("nab/f.csv", "nab", 300.0, 0, 2))
    assert found.tags == ("value", "more")
    assert found.time_ms.tolist() == [0, 300_000]
    np.testing.assert_array_equal(found.value, [[1, math.nan], [math.nan, math.nan]])


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("skab/f.csv", "datetime,Pressure\n2020-01-01 00:00:00,1\n", "names no columns with ';' between them"),
        ("nab/f.csv", "timestamp,value\n", "holds no rows"),
        ("nab/f.csv", "value,timestamp\n1,2020-01-01 00:00:00\n2\n", "row 2 has no date"),
        ("tunnel/f_TP.csv", "Time,T1\ns,C\n0,1\nlater,2\n", "row 2 has no time"),
        ("tep/f.dat", "1 2 3\n4 5 6\n", "has 3 columns, and a run of this plant has 52"),
        ("methane/f.arff", "@RELATION m\n", "no line @DATA"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(file: str, text: str, said: str, tmp_path: Path) -> None:
    put(tmp_path, file, text)
    with pytest.raises(DataError, match=said):
        read(tmp_path, Entry(file, file.partition("/")[0], 1.0, 0, 2))


def test_a_listing_leaves_out_lines_that_are_wrong_and_says_which_columns_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "files.csv").write_bytes(
        b"\xef\xbb\xbfrows,file,train_rows,dataset,sampling_s\r\n"
        b"9,nab/a.csv,,nab,300\r\nmany,nab/b.csv,1,nab,300\r\n9,nab/a.csv,5,nab,300\r\n9,nab/c.csv,1,nab,0\r\n"
    )
    found = listing(tmp_path)
    assert found.entries == [Entry("nab/a.csv", "nab", 300.0, 0, 9)]
    assert list(found.left_out) == ["nab/b.csv", "nab/c.csv"]
    assert "line 3" in found.left_out["nab/b.csv"]
    (tmp_path / "files.csv").write_text("file,dataset,sampling_s\n")
    with pytest.raises(DataError, match="lacks train_rows, rows"):
        listing(tmp_path)


def test_a_file_that_cannot_be_judged_is_left_out_and_the_others_go_on(tmp_path: Path) -> None:
    values = [*([10, 11, 9, 10] * 10), 10, 10, 99, 10, 10]
    stamps = [f"2020-01-01 {row // 12:02}:{row % 12 * 5:02}:00" for row in range(len(values))]
    put(tmp_path, "nab/f.csv", "\n".join(["timestamp,value", *map("{},{}".format, stamps, values)]))
    put(tmp_path, "nab/short.csv", TEXTS["nab"][0])
    put(tmp_path, "tep/d01_te.dat", "\n".join(" ".join(["1.0"] * 52) for _ in range(60)))
    (tmp_path / "nab" / "cut.csv.gz").write_bytes((tmp_path / "nab" / "f.csv.gz").read_bytes()[:40])
    lines = [
        "nab/gone.csv,nab,45,2,300,40",
        "nab/cut.csv,nab,45,2,300,40",
        "nab/short.csv,nab,45,2,300,40",
        "nab/f.csv,nab,45,2,300,40",
        "tep/d00.dat,tep,500,52,180,500",
        "tep/d01_te.dat,tep,60,52,180,0",
    ]
    found = listing(tables(tmp_path, lines)).entries
    outcome = predict(tmp_path, found, plans(["nab", "tep"], defaults=False), lambda _: None)
    assert list(outcome.left_out) == ["tep/d00.dat", "nab/gone.csv", "nab/cut.csv", "nab/short.csv"]
    assert "holds 2 rows" in outcome.left_out["nab/short.csv"]
    assert [(one.place, len(one.spans), one.blind) for one in outcome.predictions] == [
        ("nab/f.csv", 1, False),
        ("tep/d01_te.dat", 0, True),
    ]


def test_an_expression_that_lacks_a_tag_is_blind_and_the_other_watches_look_on() -> None:
    plan = load(Plan, HERE / "methane.toml")
    rows = Recorded(("MM116",), np.arange(60) * 30_000, np.linspace(0.2, 1.6, 60)[:, None], 30.0)
    said = {one.watch.id: one for one in follow(plan.watches, rows.part(10), rows.part(0, 10))}
    assert said["cutting"].blind
    assert not said["rising"].blind
    assert said["rising"].standing.any()
    assert not said["cutting_begins"].standing.any()


def test_what_nothing_could_be_done_for_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    for name in ("score.py", "baselines.py"):
        (tmp_path / "tools" / name).write_text("raise SystemExit('odd column')")
    data = tables(tmp_path, ["nab/f.csv,nab,2,2,300,1", "moon/f.csv,moon,2,2,300,1"])
    nothing = run(data, tools=tmp_path / "tools")
    assert nothing.code == 2
    assert any("none of the sets" in note for note in nothing.notes)
    put(data, "nab/f.csv", TEXTS["nab"][0])
    some = run(data, tools=tmp_path / "tools", out=tmp_path / "o.csv")
    assert some.code == 1
    assert any(note.startswith("all: nab:") and note.endswith("odd column") for note in some.notes)
    assert (tmp_path / "o.csv").read_text().splitlines()[0] == "file,start,end"
    (data / "events.csv").unlink()
    assert any("events.csv cannot be read" in note for note in run(data, tools=tmp_path / "tools").notes)


def test_the_fire_of_a_tunnel_is_scored_by_what_files_of_it_there_are(tmp_path: Path) -> None:
    data = tmp_path / "data"
    put(data, "tunnel/202_TP.csv", TEXTS["tunnel"][0])
    tables(data, ["tunnel/202_CO.csv,tunnel,2,3,30,0", "tunnel/202_TP.csv,tunnel,2,3,30,0"])
    kept = [one for one in listing(data).entries if one.file.endswith("_TP.csv")]
    some = folder(data, kept, Part.ALL, tmp_path / "some")
    assert [one.file for one in listing(some).entries] == ["tunnel/202_TP.csv"]
    assert "tunnel/202_CO.csv" in (some / "events.csv").read_text()
