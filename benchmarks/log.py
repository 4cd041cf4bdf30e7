"""The cloud's log: payloads of 100 metrics appended in group commits, every one on disk before the next begins."""

import tempfile
import time
from pathlib import Path

from davylamp_cloud.log import Log, NewRecord, RecordKind

from benchmarks.report import Report, at_least
from benchmarks.timing import median_s

PAYLOAD_BYTES = 100 * 22 + 30
COMMIT = 500
METRICS = 100


def run() -> Report:
    """Measure appending and reading back."""
    report = Report("log")
    body = bytes(range(256)) * (PAYLOAD_BYTES // 256) + bytes(PAYLOAD_BYTES % 256)
    record = NewRecord(RecordKind.DATA, body, time_ms=1_700_000_000_000, node="g/n", device="d", birth=1)
    with tempfile.TemporaryDirectory() as folder:
        log = Log(Path(folder) / "log.db")
        commit_s = median_s(lambda: log.append([record] * COMMIT), runs=21)
        single_s = median_s(lambda: log.append([record]), runs=51)
        count = log.last_seq
        began = time.perf_counter()
        at = 0
        while page := log.read(at, 1000):
            at = page[-1].seq
        read_s = time.perf_counter() - began
        log.close()
    report.add(at_least("append, 500 payloads a commit", COMMIT / commit_s, "payloads/s", 10_000))
    report.add(at_least("append, as readings", COMMIT * METRICS / commit_s, "readings/s", 1_000_000))
    report.add(at_least("one payload, durable", 1 / single_s, "commits/s", 200))
    report.add(at_least("read back", count / read_s, "payloads/s", 10_000))
    return report
