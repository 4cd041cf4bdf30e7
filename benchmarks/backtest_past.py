"""A cloud's past for the backtest benchmark: a day of readings through the real log, monitor and historian.

Ten devices of a plant send all their tags each second, and the cloud's clock ticks five times in it.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from davylamp_alarms.batch import Floats
from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import LogNames
from davylamp_cloud.historian.duckdb import DuckDbHistorian
from davylamp_cloud.historian.feed import Feed
from davylamp_cloud.log import NewRecord, RecordKind
from davylamp_cloud.ticker import tick
from davylamp_wire.payload import SparkplugType, data_payload, metrics_body, record_metric
from davylamp_wire.point import Point
from davylamp_wire.reading import Readings
from davylamp_wire.topic import MessageType, Topic
from davylamp_wire.varint import varint
from numpy.typing import NDArray
from support.host import Host

from benchmarks.generator import (
    FIRST_ALIAS,
    FIRST_RECORD,
    GROUP,
    PLACES,
    TIME_AT,
    TIME_BYTES,
    VALUE_AT,
    device_birth,
    node_birth,
)

DEVICES, NODE = 10, "e0"
TICKS_MS = (200, 400, 600, 800, 1000)
PAGE_S = 60
LAG = 20_000


@dataclass(slots=True)
class Device:
    """One device: its name, the birth its readings are under, and a payload to patch."""

    name: str
    birth: int
    payload: NDArray[np.uint8]
    points: int

    def record(self, number: int, at_ms: int, values: Floats) -> NewRecord:
        """Return the record of one scan."""
        made, moment = self.payload, np.frombuffer(varint(at_ms), np.uint8)
        front = len(made) - 2 - self.points * PLACES
        made[1 : 1 + TIME_BYTES] = moment
        made[1 + TIME_BYTES + 7 : 1 + TIME_BYTES + 7 + TIME_BYTES] = moment
        made[front - 4 : front] = np.frombuffer(varint(FIRST_RECORD + number), np.uint8)
        metrics = made[front : len(made) - 2].reshape(self.points, PLACES)
        metrics[:, TIME_AT : TIME_AT + TIME_BYTES] = moment
        metrics[:, VALUE_AT:] = values.view(np.uint8).reshape(self.points, 8)
        return NewRecord(RecordKind.DATA, made.tobytes(), at_ms, f"{GROUP}/{NODE}", self.name, self.birth)


def build(folder: Path, point: Point, rows: Iterator[Floats], tags: int, start_ms: int) -> None:
    """Let a plant's past happen in a folder, each row a second of all its tags."""
    each = tags // DEVICES
    host = Host(folder, now_ms=start_ms).start()
    names = LogNames(host.log)
    history = DuckDbHistorian.open(HistorianConfig(), folder, names)
    feed = Feed(host.log, history, now_ms=lambda: start_ms, keep_days=10_000, failed=host.failures.append, commit_s=0)
    feed.start()
    devices = _born(host, point, each)
    page: list[NewRecord] = []
    for second, values in enumerate(rows):
        at_ms = start_ms + (second + 1) * 1000
        for place, device in enumerate(devices):
            page.append(device.record(second, at_ms, values[place * each : (place + 1) * each]))
        page += [tick(at_ms + ms, at_ms + ms - start_ms, "boot", {}) for ms in TICKS_MS]
        if second % PAGE_S == PAGE_S - 1:
            _append(host, page)
            page = []
    _append(host, page)
    host.now_ms = at_ms + 1000
    host.settle()
    while not feed.wait(host.log.last_seq, 60.0):
        pass
    feed.stop()
    history.close()
    host.stop()


def _append(host: Host, page: list[NewRecord]) -> None:
    if page:
        host.log.append(page)
    while host.monitor.lag().records > LAG and not host.failures:
        time.sleep(0.01)  # the monitor's thread is at work


def _born(host: Host, point: Point, each: int) -> list[Device]:
    host.hear((Topic(MessageType.NBIRTH, GROUP, NODE, None).text, node_birth()))
    described = {f"t{at}": point for at in range(each)}
    for number in range(DEVICES):
        first = FIRST_ALIAS + number * (each + 1)
        birth = device_birth(f"d{number}", NODE, first, described, number + 1)
        host.hear((Topic(MessageType.DBIRTH, GROUP, NODE, f"d{number}").text, birth))
    host.settle()
    born = [record for record in host.log.read(0, 1000) if record.kind is RecordKind.BIRTH and record.device]
    return [Device(one.device, one.birth, _payload(at, each), each) for at, one in enumerate(born)]


def _payload(number: int, each: int) -> NDArray[np.uint8]:
    first = FIRST_ALIAS + number * (each + 1)
    aliases = list(range(first + 1, first + 1 + each))
    at_ms = time.time_ns() // 1_000_000
    readings = Readings(aliases, [at_ms] * each, [50.0] * each, [0] * each)
    body = record_metric(first, FIRST_RECORD, at_ms) + metrics_body(
        readings, dict.fromkeys(aliases, int(SparkplugType.DOUBLE))
    )
    return np.frombuffer(data_payload(body, seq=1, sent_ms=at_ms), np.uint8).copy()
