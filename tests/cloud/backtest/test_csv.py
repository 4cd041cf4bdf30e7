"""A backtest over a CSV: the command as a person at a plant runs it, without any cloud."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from davylamp_alarms.backtest.run import run
from davylamp_alarms.backtest.ticks import with_ticks
from davylamp_alarms.batch import Batch
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Transition
from davylamp_cloud.__main__ import BAD_INPUT, OK, main
from davylamp_cloud.backtest.cells import quality_in, time_in, value_in
from davylamp_cloud.backtest.plant import Column, register_of
from davylamp_cloud.backtest.rules import load_rules
from davylamp_wire.quality import GOOD, Level, Reason, code

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
RAMP = [*range(70, 100), *range(100, 60, -1), *range(60, 84), *range(84, 70, -1)]
OLD = '["LT-1101"]\nlimits.H = { value = 80, deadband = 1 }\n'
NEW = '["LT-*"]\nlimits.H.value = 90\n'


def wide(folder: Path, values: Sequence[Any] = RAMP, header: str = "time,LT-1101") -> Path:
    rows = [f"{BEGIN + timedelta(seconds=at):%Y-%m-%d %H:%M:%S},{value}" for at, value in enumerate(values)]
    return written(folder, "day.csv", "\n".join([header, *rows]) + "\n")


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def answered(capsys: pytest.CaptureFixture[str], csv: Path, new: str = NEW, old: str = OLD, *more: str) -> Any:
    rules, against = written(csv.parent, "new.toml", new), written(csv.parent, "old.toml", old)
    given = ["backtest", "--csv", str(csv), "--rules", str(rules), "--against", str(against), "--timezone", "UTC"]
    assert main([*given, "--json", *more]) == OK
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], csv: Path, new: str = NEW) -> str:
    rules = written(csv.parent, "new.toml", new)
    assert main(["backtest", "--csv", str(csv), "--rules", str(rules)]) == BAD_INPUT
    return capsys.readouterr().err


def test_a_higher_limit_comes_later_and_loses_the_small_peak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = answered(capsys, wide(tmp_path))
    assert [one["name"] for one in said["gone"]] == ["LT-1101 H"]
    assert [one["from_ms"] - one["before_from_ms"] for one in said["later"]] == [10_000]
    assert (said["added"], said["earlier"]) == ([], [])
    (alarm,) = said["alarms"]
    assert (alarm["before"]["limit"], alarm["after"]["limit"]) == (80, 90)
    assert (alarm["before"]["times"], alarm["after"]["times"]) == (2, 1)
    assert alarm["before"]["stood_ms"] > alarm["after"]["stood_ms"]
    assert said["figures"]["csv"]["before"]["annunciated"] == 2


def test_rules_against_none_are_all_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = written(tmp_path, "new.toml", NEW)
    assert main(["backtest", "--csv", str(wide(tmp_path)), "--rules", str(rules), "--language", "en"]) == OK
    said = capsys.readouterr().out
    assert "1 added, 0 gone, 0 earlier, 0 later, 0 the same" in said
    assert "LT-1101 H – → 90: 0 → 1 times" in said


def test_the_long_form_in_any_order_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{BEGIN + timedelta(seconds=at):%Y/%m/%d %H:%M:%S};LT-1101;{value}" for at, value in enumerate(RAMP)]
    long = tmp_path / "long.csv"
    long.write_bytes("\r\n".join(["时间;位号;值", *reversed(rows)]).encode("gb18030"))
    one, other = answered(capsys, wide(tmp_path)), answered(capsys, long)
    assert {**one, "origin": ""} == {**other, "origin": ""}


def test_cell_by_cell_says_the_same_as_block_by_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = answered(capsys, wide(tmp_path, RAMP * 3))
    assert quick == answered(capsys, wide(tmp_path, [f'"{value}"' for value in RAMP * 3]))
    assert quick == answered(capsys, wide(tmp_path, [f" {value}.0 " for value in RAMP * 3]))


def test_the_backtest_is_the_live_engine(tmp_path: Path) -> None:
    """The same readings and ticks, given to an engine as the cloud's monitor gives them, make the same transitions."""
    register = register_of([Column("LT-1101", 1.0)], load_rules(written(tmp_path, "old.toml", OLD)))
    start_ms = round(BEGIN.timestamp() * 1000)
    batches = [_reading(start_ms + at * 1000, value) for at, value in enumerate(RAMP)]
    found = [said.transition for said in run(register, with_ticks(["csv/csv"], batches))]
    engine, seq = Engine(register), 0
    live: list[Transition] = list(engine.link(0, "csv/csv", up=True, now_ms=start_ms))
    for batch in batches:
        at_ms = int(batch.time_ms[0])
        if at_ms > start_ms:
            seq += 1
            live += engine.tick(seq, at_ms - 1000, at_ms - 1000, "live", {})
        seq += 1
        live += engine.apply(Batch(np.array([seq]), *(getattr(batch, name) for name in Batch.__slots__[1:])))
    assert [step.event for step in live] == ["raised", "cleared", "raised", "cleared"]
    assert found == live


def _reading(at_ms: int, value: float) -> Batch:
    return Batch.of([0], [0], [at_ms], [value], [GOOD], [False], [at_ms])


def test_a_statistical_rule_warns_before_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filling = wide(tmp_path, [50 + at * 0.1 for at in range(500)])
    trend = 'warnings.trend = { towards = ["H"], settings = { samples = 60, horizon_s = 120 }, on_delay_s = 5 }'
    said = answered(capsys, filling, f'["LT-1101"]\nlimits.H.value = 90\n{trend}\n', '["*"]\nlimits.H.value = 90\n')
    (warned,) = said["added"]
    assert warned["name"] == "LT-1101 TREND"
    assert {one["name"]: one["after"]["limit"] for one in said["alarms"]} == {"LT-1101 TREND": None, "LT-1101 H": 90}
    before_s = (BEGIN.timestamp() + 400) - warned["from_ms"] / 1000
    assert 60 < before_s < 130
    assert said["same"] == 1


def test_a_rule_over_several_tags_looks_at_those_it_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apart = wide(
        tmp_path, [f"{value},{50 if at < 100 else 80}" for at, value in enumerate([50] * 200)], "time,LT-1,LT-2"
    )
    rule = '["LT-1"]\nwarnings.deviation = { inputs = ["LT-1", "LT-2"], settings = { limit = 10 } }\n'
    said = answered(capsys, apart, rule, '["LT-1"]\nlimits.H.value = 90\n')
    assert [one["name"] for one in said["added"]] == ["LT-1 DEVIATION"]


def test_an_empty_cell_is_silence_and_a_word_a_bad_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = [70.0] * 10 + [""] * 400 + [70.0] * 5 + ["Bad Input"] * 5 + [70.0] * 5
    said = answered(capsys, wide(tmp_path, silent))
    assert {one["alarm"].partition("#")[2] for one in said["alarms"]} == {"STALE", "FAULT"}
    assert said["readings"] == 25
    assert "Bad Input" in said["notes"][0]["en"]
    assert "第 417 行" in said["notes"][0]["zh"]


def test_a_file_that_reports_seldom_is_not_called_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{BEGIN + timedelta(minutes=10 * at):%Y-%m-%dT%H:%M:%S},50" for at in range(20)]
    said = answered(capsys, written(tmp_path, "slow.csv", "\n".join(["time,LT-1101", *rows])))
    assert said["alarms"] == []
    assert "600 s" in said["notes"][0]["en"]


def test_a_span_and_patterns_choose_readings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = wide(tmp_path, [f"{value},1" for value in RAMP], "time,LT-1101,PT-1")
    said = answered(capsys, file, NEW, OLD, "--from", "2026-11-01T00:01:00", "--to", "2026-11-01T00:01:30")
    assert said["readings"] == 30
    assert {one["alarm"] for one in said["alarms"]} <= {"csv/LT-1101#H"}


def test_times_counted_from_nothing_begin_at_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{at},{value}\n" for at, value in enumerate(RAMP))
    said = answered(capsys, written(tmp_path, "run.csv", f"time,LT-1101\n{rows}"))
    assert (said["from_ms"], said["readings"]) == (0, len(RAMP))


def test_both_languages_say_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, rules = wide(tmp_path), written(tmp_path, "new.toml", NEW)
    for language, words in (("zh", ("新增", "报警总时长", "次")), ("en", ("added", "time in alarm", "times"))):
        main(["backtest", "--csv", str(file), "--rules", str(rules), "--language", language, "--quiet"])
        said = capsys.readouterr().out
        assert all(word in said for word in words)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("", "says nothing"),
        ("x = 1\n", 'write ["x"] over'),
        ('["QT*"]\nlimits.H.value = 1\n', '"QT*": means no tag; there are 1, such as LT-1101'),
        ('["LT-1101"]\nlimits.H.deadband = 1\n', "LT-1101.limits.H.value: is missing"),
        ('["LT-1101"]\nwithout = ["L"]\n', "LT-1101.without: there is no limit L"),
        ('["LT-1101"]\nwithout = ["trend"]\n', "LT-1101.without: there is no statistical rule trend"),
        ('["LT-1101"]\nwarnings.trned.settings = {}\n', "there is no such rule"),
        ('["LT-1101"]\nwarnings.trend.towards = ["HH"]\n', "the point has no limit HH"),
        ('["LT-1101"]\nwarnings.ewma.model = "x.json"\n', "x.json"),
        ('["LT-1101"]\nwarnings.rate.settings = { windw_s = 5 }\n', "windw_s"),
        ('["LT-1101"]\nlimits = { L = { value = 9 }, H = { value = 8 } }\n', "lies above limits.H"),
        ('["LT-1101"]\nlimit.H.value = 9\n', "limit: is not a known key"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], rules: str, words: str) -> None:
    assert words in refused(capsys, wide(tmp_path), rules)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("LT-1101\n", "names no tags; write a header"),
        ("time,LT-1101,LT-1101\n2026-11-02,1,1\n", "line 1: names 'LT-1101' twice"),
        ("time,LT-1101\n1760000000,1\n1760000001,2\n\nlater,3\n", "line 5: 'later' is no time"),
        ('time,"LT\n1101"\n1760000000,1\nlater,3\n', "line 4: 'later' is no time"),
        ("time,LT-1101\nyesterday,1\n", "line 2: 'yesterday' is no time"),
        ("time,LT-1101\n2026-11-01T00:00:00,1,2\n", "line 2: has 3 cells, the header has 2"),
        ("time,LT-1101\n2026-11-02,1\n2026-11-01,1\n", "line 3: 2026-11-01 comes after 2026-11-02"),
        ("time,LT-1101\n2026-11-02,\n", "has no reading of these tags"),
        ("time,tag,value,quality\n2026-11-02,LT-1101,1,fair\n", "'fair' is no quality; write good"),
    ],
)
def test_a_wrong_csv_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    assert words in refused(capsys, written(tmp_path, "day.csv", text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "none.csv: cannot be read" in refused(capsys, tmp_path / "none.csv")


def test_cells_are_read_as_many_systems_write_them() -> None:
    second = round(BEGIN.timestamp())
    for cell in ("2026-11-01T00:00:00Z", "2026-11-01 08:00:00+08:00", "2026/11/1 0:00", str(second), f"{second}000"):
        assert time_in(cell, UTC) == second * 1000
    assert time_in("2026/13/1", UTC) is None
    assert value_in(" 1.5 ") == (1.5, GOOD)
    assert value_in("TRUE") == (1.0, GOOD)
    assert value_in("  ") is None
    assert value_in("inf") is not None
    assert quality_in("") == quality_in("192") == GOOD
    assert quality_in("uncertain over_range") == code(Level.UNCERTAIN, Reason.OVER_RANGE)
    assert quality_in("bad because") is None
