"""The wire: regular payloads of doubles written and read, beside plain protobuf on the same bytes."""

from davylamp_wire.columns import decode_columns
from davylamp_wire.payload import data_payload, metrics_body, record_metric
from davylamp_wire.reading import Readings
from davylamp_wire.sparkplug_pb2 import Payload

from benchmarks.report import Report, at_least, at_most
from benchmarks.timing import median_s

TIME_MS = 1_700_000_000_000
DOUBLE = 10
SIZES = (100, 1000)


def run() -> Report:
    """Measure encoding, decoding and size."""
    report = Report("wire")
    for size in SIZES:
        _measure(report, size)
    return report


def readings(size: int) -> Readings:
    """Return one device's scan of good doubles."""
    aliases = list(range(16_385, 16_385 + size))
    values = [20.0 + point * 0.37 for point in range(size)]
    return Readings(aliases, [TIME_MS] * size, values, [0] * size)


def payload(size: int) -> bytes:
    """Return that scan as a journal record's payload."""
    scan = readings(size)
    body = metrics_body(scan, dict.fromkeys(scan.aliases, DOUBLE))
    return data_payload(record_metric(16_384, 123_456, TIME_MS) + body, seq=7, sent_ms=TIME_MS + 5)


def _plain(encoded: bytes) -> list[tuple[int, int, float]]:
    """Read a payload as one would with protobuf alone."""
    return [(m.alias, m.timestamp, m.double_value) for m in Payload.FromString(encoded).metrics]


def _measure(report: Report, size: int) -> None:
    scan, encoded = readings(size), payload(size)
    types = dict.fromkeys(scan.aliases, DOUBLE)
    times = max(1, 20_000 // size)

    def many(step: object) -> float:
        assert callable(step)
        return size * times / median_s(lambda: [step() for _ in range(times)])

    ours, plain = many(lambda: decode_columns(encoded)), many(lambda: _plain(encoded))
    report.add(at_least(f"{size} a payload: encode", many(lambda: metrics_body(scan, types)), "readings/s", 1_500_000))
    report.add(at_least(f"{size} a payload: decode to columns", ours, "readings/s", 10_000_000))
    report.add(at_least(f"{size} a payload: beside plain protobuf", ours / plain, "times", 3))
    report.add(at_most(f"{size} a payload: size", len(encoded) / size, "B a reading", 23))
