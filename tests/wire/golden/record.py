"""Records payloads as two other Sparkplug implementations write them. README.md says how; no test runs this.

It runs in environments without Davylamp, so it knows nothing but `cases.json`.
"""

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Case = Mapping[str, Any]

TYPES = ["UNKNOWN", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FLOAT", "DOUBLE"]
TYPES += ["BOOLEAN", "STRING"]


def pysparkplug(case: Case) -> bytes:
    """Return a case as pysparkplug writes it."""
    theirs = importlib.import_module("pysparkplug")
    metrics = tuple(_pysparkplug_metric(theirs, metric) for metric in case["metrics"])
    message = case["message"]
    if message == "NDeath":
        written = theirs.NDeath(timestamp=case["timestamp"], bd_seq_metric=metrics[0])
    elif message == "DDeath":
        written = theirs.DDeath(timestamp=case["timestamp"], seq=case["seq"])
    elif message == "NCmd":
        written = theirs.NCmd(timestamp=case["timestamp"], metrics=metrics)
        return bytes(written.encode(include_dtypes=True))
    else:
        written = getattr(theirs, message)(timestamp=case["timestamp"], seq=case["seq"], metrics=metrics)
    return bytes(written.encode())


def _pysparkplug_metric(theirs: Any, metric: Case) -> Any:
    return theirs.Metric(
        timestamp=metric["time"],
        name=metric.get("name"),
        datatype=theirs.DataType[metric["type"]],
        value=metric["value"],
        alias=metric.get("alias"),
        is_historical=metric.get("historical", False),
        is_transient=metric.get("transient", False),
    )


def tahu(case: Case) -> bytes:
    """Return a case as Eclipse Tahu for Python writes it. It always sends datatypes; data lose theirs here."""
    theirs = importlib.import_module("tahu.sparkplug_b")
    clock: Any = importlib.import_module("time")
    clock.time = lambda: case["timestamp"] / 1000
    payload = theirs.sparkplug_b_pb2.Payload()
    payload.timestamp = case["timestamp"]
    if case["seq"] is not None:
        payload.seq = case["seq"]
    for metric in case["metrics"]:
        _add_to_tahu(theirs, clock, payload, metric, data=case["message"] in ("NData", "DData"))
    return bytes(payload.SerializeToString())


def _add_to_tahu(theirs: Any, clock: Any, payload: Any, metric: Case, *, data: bool) -> None:
    clock.time = lambda: metric["time"] / 1000
    name, alias, number, value = metric.get("name"), metric.get("alias"), TYPES.index(metric["type"]), metric["value"]
    if value is None:
        added = theirs.addNullMetric(payload, name, alias, number) or payload.metrics[-1]
    elif metric.get("historical"):
        added = theirs.addHistoricalMetric(payload, name, alias, number, value)
    else:
        added = theirs.addMetric(payload, name, alias, number, value)
    if metric.get("transient"):
        added.is_transient = True
    if data:
        added.ClearField("datatype")
    for key, quality in metric.get("properties", []):
        added.properties.keys.append(key)
        said = added.properties.values.add()
        said.type = theirs.ParameterDataType.Int32
        said.int_value = quality


STACKS: dict[str, Callable[[Case], bytes]] = {"pysparkplug": pysparkplug, "tahu": tahu}


def main() -> None:
    """Record every case of the stack named on the command line."""
    (stack,) = sys.argv[1:]
    cases = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))
    for name, case in cases.items():
        if stack in case["stacks"]:
            (HERE / f"{name}.{stack}.bin").write_bytes(STACKS[stack](case))
            sys.stdout.write(f"{name}.{stack}.bin\n")


if __name__ == "__main__":
    main()
