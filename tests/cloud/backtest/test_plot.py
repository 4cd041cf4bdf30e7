"""Pictures of a backtest: real files by the real library, and the envelope they are drawn from."""

from pathlib import Path

import numpy as np
import pytest
from davylamp_alarms.backtest.envelope import STRETCHES, Envelope
from davylamp_alarms.batch import Batch
from davylamp_cloud.__main__ import BAD_INPUT, OK, main
from davylamp_cloud.backtest.plot import file_name
from davylamp_wire.quality import GOOD
from hypothesis import given
from hypothesis import strategies as st

ROWS = "\n".join(f"{1_760_000_000 + at},{70 + at % 30}" for at in range(120))


def batch(time_ms: list[int], value: list[float], tag: int = 3) -> Batch:
    many = len(time_ms)
    return Batch.of(time_ms, [tag] * many, time_ms, value, [GOOD] * many, [False] * many, time_ms)


def drawn(folder: Path, *more: str) -> int:
    (folder / "day.csv").write_text(f"time,液位/LT 1101\n{ROWS}\n", encoding="utf-8")
    (folder / "new.toml").write_text(
        '["*LT*"]\nunit = "%"\nlimits.H = { value = 90, deadband = 2 }\n', encoding="utf-8"
    )
    (folder / "old.toml").write_text('["*LT*"]\nlimits.H.value = 80\n', encoding="utf-8")
    given = ["--csv", str(folder / "day.csv"), "--rules", str(folder / "new.toml"), "--quiet"]
    return main(["backtest", *given, "--against", str(folder / "old.toml"), "--plots", *more])


def test_each_tag_gets_a_picture_with_its_limits_and_alarms(tmp_path: Path) -> None:
    assert drawn(tmp_path, str(tmp_path / "svg")) == OK
    (path,) = (tmp_path / "svg").iterdir()
    text = path.read_text(encoding="utf-8")
    assert path.name == "液位_LT_1101.svg"
    for words in ("液位/LT 1101", ">%<", "H 80 原", "H 90 新"):
        assert words in text
    assert drawn(tmp_path, str(tmp_path / "png"), "--plot-format", "png", "--language", "en") == OK
    (path,) = (tmp_path / "png").iterdir()
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert drawn(tmp_path, str(tmp_path / "file" / "svg")) == BAD_INPUT
    said = capsys.readouterr().err
    assert f"plots: {tmp_path}/file/svg cannot be written" in said
    assert "无法写入" in said


def test_a_file_is_named_as_every_system_takes_it() -> None:
    assert file_name("park/edge-1/store/gas") == "park_edge-1_store_gas"


@given(st.lists(st.tuples(st.integers(0, 20_000_000), st.floats(-1e6, 1e6)), min_size=1, max_size=50))
def test_the_envelope_loses_no_peak_however_long_the_whole_is(readings: list[tuple[int, float]]) -> None:
    readings.sort()
    found = Envelope(np.array([3]))
    for at_ms, value in readings:
        found.take(batch([at_ms], [value]))
        found.take(batch([at_ms], [99.0], tag=1))
    values = [value for _, value in readings]
    assert np.nanmin(found.lows) == min(values)
    assert np.nanmax(found.highs) == max(values)
    first_ms = readings[0][0]
    for at_ms, value in readings:
        place = (at_ms - first_ms) // found.width_ms
        assert found.lows[0, place] <= value <= found.highs[0, place]
    assert found.width_ms * STRETCHES > readings[-1][0] - first_ms


def test_what_is_no_number_is_no_point() -> None:
    found = Envelope(np.array([3]))
    found.take(batch([0, 1000], [np.nan, np.inf]))
    assert np.isnan(found.highs).all()
