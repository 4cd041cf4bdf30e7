"""Our codec against bytes recorded from pysparkplug and Eclipse Tahu (golden/README.md)."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from davylamp_wire.columns import decode_columns
from davylamp_wire.payload import (
    BirthMetric,
    SparkplugType,
    birth_payload,
    command_payload,
    data_payload,
    death_payload,
    decode,
    device_death_payload,
    mark_historical,
    metrics_body,
    record_metric,
)
from davylamp_wire.reading import Readings

GOLDEN = Path(__file__).parent / "golden"
CASES: dict[str, dict[str, Any]] = json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8"))
FILES = sorted(path.name for path in GOLDEN.glob("*.bin"))
OUR_QUALITY = "Davylamp/Quality"


def case_of(file: str) -> dict[str, Any]:
    return CASES[file.split(".")[0]]


def datatype(metric: Mapping[str, Any]) -> SparkplugType:
    return SparkplugType[metric["type"]]


def types_of(case: Mapping[str, Any]) -> dict[int, int]:
    return {metric["alias"]: datatype(metric) for metric in case["metrics"] if "alias" in metric}


def quality(metric: Mapping[str, Any]) -> int:
    return int(dict(metric.get("properties", [])).get(OUR_QUALITY, 0))


def data_body(case: Mapping[str, Any]) -> bytes:
    """A data payload's metrics, as an edge makes them: the record number first, then the readings."""
    metrics = list(case["metrics"])
    first = metrics.pop(0) if metrics[0].get("transient") else None
    record = b"" if first is None else record_metric(first["alias"], first["value"], first["time"])
    aliases, times, values = ([metric[key] for metric in metrics] for key in ("alias", "time", "value"))
    readings = Readings(aliases, times, values, [quality(metric) for metric in metrics])
    body = record + metrics_body(readings, types_of(case))
    return mark_historical(body) if metrics[0].get("historical") else body


def ours(case: Mapping[str, Any]) -> bytes:
    """The case as our codec writes it."""
    sent, seq = case["timestamp"], case["seq"]
    metrics = [
        BirthMetric(metric["name"], datatype(metric), metric.get("alias"), metric["value"], time_ms=metric["time"])
        for metric in case["metrics"]
        if "name" in metric
    ]
    match case["message"]:
        case "NBirth" | "DBirth":
            return birth_payload(metrics, seq=seq, sent_ms=sent)
        case "NDeath":
            return death_payload(case["metrics"][0]["value"], sent)
        case "DDeath":
            return device_death_payload(seq=seq, sent_ms=sent)
        case "NCmd":
            return command_payload(metrics, sent)
        case _:
            return data_payload(data_body(case), seq=seq, sent_ms=sent)


def test_every_case_is_recorded_from_every_stack_that_can_write_it() -> None:
    assert sorted(f"{name}.{stack}.bin" for name, case in CASES.items() for stack in case["stacks"]) == FILES


@pytest.mark.parametrize("file", FILES)
def test_our_bytes_are_theirs(file: str) -> None:
    assert ours(case_of(file)) == (GOLDEN / file).read_bytes()


@pytest.mark.parametrize("file", FILES)
def test_their_bytes_are_read_as_they_were_meant(file: str) -> None:
    case = case_of(file)
    message = decode((GOLDEN / file).read_bytes(), types_of(case))
    assert (message.timestamp, message.seq) == (case["timestamp"], case["seq"])
    assert len(message.metrics) == len(case["metrics"])
    for read, meant in zip(message.metrics, case["metrics"], strict=True):
        assert repr(read.value) == repr(meant["value"])
        assert (read.name, read.alias) == (meant.get("name", ""), meant.get("alias"))
        assert (read.time_ms, read.datatype) == (meant["time"], datatype(meant))
        assert (read.historical, read.transient) == (meant.get("historical", False), meant.get("transient", False))
        assert read.quality == quality(meant)


@pytest.mark.parametrize("file", [file for file in FILES if case_of(file)["message"] in ("DData", "NData")])
def test_their_data_are_read_as_columns(file: str) -> None:
    case = case_of(file)
    types = types_of(case)
    columns = decode_columns(
        (GOLDEN / file).read_bytes(), lambda aliases: np.array([types[alias] for alias in aliases.tolist()])
    )
    metrics = list(case["metrics"])
    record = metrics.pop(0)["value"] if metrics[0].get("transient") else None
    assert (columns.record, columns.seq, columns.sent_ms) == (record, case["seq"], case["timestamp"])
    assert columns.aliases.tolist() == [metric["alias"] for metric in metrics]
    assert columns.times_ms.tolist() == [metric["time"] for metric in metrics]
    assert columns.qualities.tolist() == [quality(metric) for metric in metrics]
    values = [metric["value"] for metric in metrics]
    floats = [math.nan if value is None or isinstance(value, str) else float(value) for value in values]
    assert [repr(value) for value in columns.values.tolist()] == [repr(value) for value in floats]
    large = {at: str(value) for at, value in enumerate(values) if isinstance(value, int) and abs(value) > 1 << 53}
    assert columns.texts == large | {at: value for at, value in enumerate(values) if isinstance(value, str)}
