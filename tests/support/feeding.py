"""A real log with real payloads in it, for the feed tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from davylamp_cloud.beside import Beside
from davylamp_cloud.log import Log, NewRecord, RecordKind
from davylamp_cloud.tags import Named, Said
from davylamp_wire.encode import data_payload, metrics_body, record_metric
from davylamp_wire.reading import Readings, Value

from support.history import MIDNIGHT_MS

NODE = "park/edge-1"
RECORD_ALIAS = 16_384
TYPES = {16_385: 10, 16_386: 2, 16_387: 12, 16_388: 8}
"""det (Double), level (Int16), batch (String), total (UInt64): tags 0 to 3."""

POINTS = ("det", "level", "batch", "total")


def log_with_births(folder: Path) -> Log:
    """Return a log that knows one device with four points of four types."""
    log = Log(folder / "log.db")
    named = [
        Named(alias, kind, POINTS[at], f"{NODE}/store/{POINTS[at]}") for at, (alias, kind) in enumerate(TYPES.items())
    ]
    said = Said(NODE, "store", True, '{"profile":"cl2-store"}', (Named(RECORD_ALIAS, 8), *named), "digest")
    birth = log.births.introduce(said, b"", MIDNIGHT_MS)
    log.append([NewRecord(RecordKind.BIRTH, b"", MIDNIGHT_MS, NODE, "store", birth.id)], Beside(births=[birth]))
    return log


def data(record: int, values: Mapping[int, Value], qualities: Mapping[int, int] | None = None) -> NewRecord:
    """Return the edge's record of one scan: values by alias, read `record` milliseconds after midnight."""
    time_ms = MIDNIGHT_MS + record
    codes = [(qualities or {}).get(alias, 0) for alias in values]
    readings = Readings(list(values), [time_ms] * len(values), list(values.values()), codes)
    body = record_metric(RECORD_ALIAS, record, time_ms) + metrics_body(readings, TYPES)
    payload = data_payload(body, seq=record % 256, sent_ms=time_ms)
    return NewRecord(RecordKind.DATA, payload, time_ms + 5, NODE, "store", 1)


def scans(first: int, last: int) -> Sequence[NewRecord]:
    """Return records of one double each, value = record number."""
    return [data(record, {16_385: float(record)}) for record in range(first, last + 1)]


def tick(second: int) -> NewRecord:
    """Return a tick of the log."""
    return NewRecord(RecordKind.TICK, b'{"utc_ms":0}', MIDNIGHT_MS + second * 1000)
