"""Recordings: shipped unchanged with their licences, and read whatever the file looks like."""

import gzip
import hashlib
import math
from pathlib import Path
from typing import Any

import pytest
from davylamp_simulators.recording import (
    SHIPPED,
    RecordingConfig,
    load_config,
    load_recording,
    read_table,
    recording_names,
    slug,
)
from davylamp_simulators.replay import ReplaySource, profile_text
from davylamp_simulators.sample import Condition
from davylamp_wire.config import ConfigError
from davylamp_wire.profile import load_profile, load_profiles, shipped_profiles


def table(folder: Path, text: str, name: str = "run.csv", **fields: Any) -> RecordingConfig:
    (folder / name).write_text(text, encoding="utf-8")
    return RecordingConfig.model_validate({"name": "run", "file": folder / name, **fields})


@pytest.mark.parametrize("name", recording_names())
def test_a_shipped_recording_is_the_published_file_with_its_licence(name: str) -> None:
    config = load_config(name)
    assert hashlib.sha256(gzip.decompress(config.file.read_bytes())).hexdigest() == config.sha256
    assert (SHIPPED / config.licence_file).read_text(encoding="utf-8").strip()
    assert config.origin
    assert config.licence


def test_the_shipped_recordings_stay_small() -> None:
    assert {"nist-fire", "well-3w", "tennessee-eastman"} <= set(recording_names())
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 400_000


@pytest.mark.parametrize("name", recording_names())
def test_every_point_of_a_recordings_profile_is_a_column_of_it(name: str) -> None:
    recording = load_recording(name)
    profile = load_profiles(shipped_profiles())[str(recording.config.profile)]
    assert profile.points.keys() <= recording.columns.keys()


def test_the_wells_missing_sensors_have_no_value() -> None:
    recording = load_recording("well-3w")
    assert recording.dead == {"P-MON-CKP", "T-JUS-CKP", "P-JUS-CKGL", "T-JUS-CKGL", "QGL"}
    samples = ReplaySource(recording).samples()
    assert "QGL" not in samples
    assert samples["P-PDG"].value == recording.columns["P-PDG"][440]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("time,a,b\n0,1,5\n2,2,6\n", {}),
        ("datetime;a;b\n2020-03-09 10:14:33;1;5\n2020-03-09 10:14:35;2;6\n", {}),
        ("a b\n1 5\n2 6\n", {"period_s": 2.0}),
        ("  1.0e0   5\n  2.0   6\n", {"period_s": 2.0, "columns": ["a", "b"]}),
        ("Time,a,b\ns,degC,kPa\n0,1,5\n2,2,6\n", {}),
        ("\ntime\ta\tb\n0\t1\t5\n\n2\t2\t6\n", {}),
        ("when,a,b,note\n0,1,5,ok\n2,2,6,ok\n", {"time_column": "when"}),
    ],
)
def test_a_table_is_read_however_it_is_written(tmp_path: Path, text: str, fields: dict[str, Any]) -> None:
    found = read_table(table(tmp_path, text, **fields))
    assert list(found.times_s) == [0.0, 2.0]
    assert {name: list(values) for name, values in found.columns.items()} == {"a": [1.0, 2.0], "b": [5.0, 6.0]}


def test_a_gzipped_table_without_a_head_gets_names_for_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.dat.gz"
    path.write_bytes(gzip.compress(b"1 2\n3 4\n"))
    assert list(load_recording(str(path)).columns) == ["c1", "c2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,a\n0,1\n1\n", "data row 2 has 1 cells"),
        ("time,a\n5,1\n4,2\n", "data row 2 is earlier"),
        ("time,a\nnoon,1\n", "neither seconds nor a date"),
        ("time,a\n", "no row of numbers"),
        ("", "no row of numbers"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_table(table(tmp_path, text))


def test_a_file_that_is_no_gzip_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.csv\.gz: cannot be read"):
        read_table(table(tmp_path, "a,b\n1,2\n", "x.csv.gz"))


def test_a_recording_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="nist-fire"):
        load_recording("nist-fyre")


def test_column_names_become_slugs() -> None:
    assert [slug(name) for name in ("Volume Flow RateRMS", "P-TPT", "温度", "1#LT-1101/A")] == [
        "Volume_Flow_RateRMS",
        "P-TPT",
        "column",
        "1_LT-1101_A",
    ]


def test_a_recording_plays_at_its_pace_and_then_shows_nothing(tmp_path: Path) -> None:
    source = ReplaySource(read_table(table(tmp_path, "time,a,b,c\n0,1,,7\n2,2,4,7\n5,3,5,7\n")))
    seen = []
    for now_s in (0.0, 1.9, 2.0, 5.0, 7.9, 8.1):
        source.advance(now_s)
        seen.append({name: sample.value for name, sample in source.samples().items()})
    assert seen == [
        {"a": 1.0, "b": None},
        {"a": 1.0, "b": None},
        {"a": 2.0, "b": 4.0},
        {"a": 3.0, "b": 5.0},
        {"a": 3.0, "b": 5.0},
        {},
    ]


def test_a_missing_cell_has_no_value(tmp_path: Path) -> None:
    source = ReplaySource(read_table(table(tmp_path, "time,a,b\n0,1,\n2,2,4\n5,3,5\n")))
    assert source.samples()["b"].condition is Condition.NO_VALUE


def test_the_end_of_a_recording_is_told_once(tmp_path: Path) -> None:
    source = ReplaySource(read_table(table(tmp_path, "time,a\n0,1\n1,2\n")))
    assert [len(source.advance(at)) for at in (1.0, 2.5, 3.0)] == [0, 1, 0]


def test_a_profile_made_from_a_table_is_a_profile(tmp_path: Path) -> None:
    recording = load_recording("well-3w")
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "well.toml"
    path.write_text(profile_text(recording), encoding="utf-8")
    assert load_profile(path).points.keys() == recording.columns.keys()


def test_an_empty_cell_is_nan_in_columns(tmp_path: Path) -> None:
    found = read_table(table(tmp_path, "time,a\n0,\n1,2\n2,3\n"))
    assert math.isnan(found.columns["a"][0])
