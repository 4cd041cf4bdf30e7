"""`davylamp-cloud train --csv`: readings from anywhere, wide or long, without any cloud."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from davylamp_alarms.watching.artefact import Artefact, load
from davylamp_cloud.__main__ import BAD_INPUT, FAILED, OK, main
from davylamp_wire.point import EarlyWarning

ROWS, START_S = 600, 1_764_028_800
TAGS = ("LT-1101", "PT-1102")
VALUE = np.round(np.random.default_rng(5).normal([50.0, 0.4], [1.0, 0.01], (ROWS, 2)), 4)


def wide(rows: Sequence[int] = range(ROWS)) -> str:
    lines = (f"{START_S + 5 * row},{VALUE[row, 0]},{VALUE[row, 1]}" for row in rows)
    return "\n".join([f"time,{','.join(TAGS)}", *lines]) + "\n"


def long() -> Iterator[str]:
    yield "time,tag,value,quality"
    for place, tag in enumerate(TAGS):
        for row in range(ROWS):
            yield f"{START_S + 5 * row},{tag},{VALUE[row, place]},{'bad' if row == 7 else 'good'}"


def train(path: Path, text: str, *more: str) -> int:
    path.write_text(text, encoding="utf-8")
    return main(["train", "--csv", str(path), "--out", str(out(path)), "--replace", *more])


def out(path: Path) -> Path:
    return path.with_suffix(".json")


def trained(path: Path, text: str, *more: str) -> Artefact:
    assert train(path, text, *more) == OK
    return load(out(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "normal.csv"


def test_a_csv_is_learnt_from_as_it_is(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = trained(path, wide(), "--language", "en")
    assert "a CSV knows of no alarms; make sure yourself" in capsys.readouterr().out
    assert (found.source, found.rows, found.every_s, found.alarms) == ("normal.csv", ROWS, 5.0, None)
    assert found.from_ms == START_S * 1000
    one = found.watch("far_from_its_ways")
    assert one.tags == TAGS
    assert "every_s" not in one.settings, "the rows are readings as they came"
    assert one.of("LT-1101")["home"] == pytest.approx(VALUE[:, 0].mean())


def test_a_long_csv_gives_the_same_but_for_what_was_bad(path: Path) -> None:
    was, now = trained(path, wide()), trained(path, "\n".join(long()))
    assert [one.samples for one in now.seen] == [ROWS - 1] * 2
    assert [one.missing for one in now.seen] == pytest.approx([1 / ROWS] * 2)
    assert now.data_sha256 != was.data_sha256
    home = now.watch("far_from_its_ways").of("PT-1102")["home"]
    assert home == pytest.approx(np.delete(VALUE[:, 1], 7).mean())


def test_wider_rows_are_means_and_rules_run_on_them(path: Path) -> None:
    found = trained(path, wide(), "--every", "20", "--tags", "LT*")
    one = found.watch("far_from_its_ways")
    assert (found.rows, one.tags, one.settings["every_s"]) == (ROWS // 4, ("LT-1101",), 20.0)
    means = VALUE[:, 0].reshape(-1, 4).mean(axis=1)
    assert one.of("LT-1101")["deviation"] == pytest.approx(means.std(ddof=1))


def test_a_span_is_cut_out(path: Path) -> None:
    more = ["--from", "2025-11-25T00:10", "--to", "2025-11-25T00:30", "--timezone", "UTC", "--least-samples", "200"]
    found = trained(path, wide(), *more)
    assert (found.from_ms, found.rows) == (START_S * 1000 + 600_000, 240)


def test_a_row_that_is_missing_is_filled_and_a_gap_is_not(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row for row in range(ROWS) if row != 100 and not 200 <= row < 240]
    assert train(path, wide(rows), "--longest-gap", "60", "--language", "en") == FAILED
    assert "LT-1101: a gap of 195 s, and 60 s is the longest" in capsys.readouterr().err
    found = trained(path, wide(rows), "--longest-gap", "60", "--hold", "300")
    assert found.seen[0].missing == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--tags", "FT*"], "--tags: 'FT*' means no tag of"),
        (["--from", "2030-01-01"], "has no reading of these tags in this span"),
        (["--timezone", "Mars"], "'Mars' is no time zone"),
        (["cloud.toml"], "name the cloud's config, or a file of readings by --csv: one of them"),
    ],
)
def test_a_mistake_names_the_way_out(
    more: list[str], said: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(path, wide(range(20)), *more) == BAD_INPUT
    assert said in capsys.readouterr().err


def test_a_line_that_cannot_be_read_is_named(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(path, wide(range(20)) + "then,1,2\n") == BAD_INPUT
    assert "line 22: 'then' is no time" in capsys.readouterr().err


def test_neither_config_nor_csv_is_nothing_to_learn_from(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--out", str(out(path))]) == BAD_INPUT
    assert "one of them" in capsys.readouterr().err


def test_a_training_is_shown_and_one_that_was_changed_is_refused(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(path, wide(), "--by", "li")
    capsys.readouterr()
    assert main(["trained", str(out(path)), "--language", "en"]) == OK
    said = capsys.readouterr().out
    assert "trained by li at " in said
    assert "far_from_its_ways (ewma): 2 tags" in said
    out(path).write_text(out(path).read_text().replace('"made_by": "li"', '"made_by": "wang"'), encoding="utf-8")
    assert main(["trained", str(out(path)), "--json"]) == BAD_INPUT
    assert "内容与其校验值不符" in capsys.readouterr().err


def test_a_profile_takes_what_was_learnt_of_its_points(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(path, wide())
    capsys.readouterr()
    assert main(["trained", str(out(path)), "--profile", "--tags", "PT*"]) == OK
    written = tomllib.loads(capsys.readouterr().out)
    assert list(written["points"]) == ["PT-1102"]
    table = written["points"]["PT-1102"]["warnings"]["ewma"]
    assert table["model"] == out(path).name
    assert table["source"]["clause"].startswith("SHA-256 ")
    EarlyWarning.model_validate({**table, "action": {"zh": "查看", "en": "look"}})
