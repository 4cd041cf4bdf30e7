"""A backtest over history: InfluxDB and DuckDB hold the same readings, so that it answers the same over either."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from davylamp_cloud.backtest.worker import answered
from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import LogNames, Rows, open_historian
from davylamp_cloud.historian.duckdb_past import CopiedDays
from davylamp_cloud.historian.feed import rows_of
from davylamp_cloud.historian.past import Past, Stretch, open_past
from davylamp_wire.point import LimitKind
from davylamp_wire.quality import Reason, bad, uncertain
from support.history import MIDNIGHT_MS, Store, create_bucket, rows
from support.host import Host, host
from support.services import Influx
from support.speaker import START_MS, Speaker, gas_point, limit

POINT = gas_point(limits={"L1": limit(1.0, deadband=0.1, on_delay_s=5, off_delay_s=20), "L2": limit(3.0, deadband=0.3)})
GAS = "park/edge-1/store/gas"
LEAK = (0.2, 0.9, 1.2, 1.6, 2.2, 3.1, 3.4, 2.8, 1.2, 0.6, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2)
STEP_S = 4


@pytest.fixture
def influx(influx_server: Influx) -> HistorianConfig:
    """A bucket of an InfluxDB for this test."""
    return HistorianConfig(kind="influxdb", url=influx_server.url, bucket=create_bucket(influx_server.url))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Host]:
    """A cloud that saw a leak, a fault, an edit, a second edge whose clock is apart, silence, and a leak again."""
    with host(tmp_path / "cloud") as found:
        edge, other = Speaker(points={"gas": POINT}), Speaker(device="hall", node="edge-2", points={"gas": POINT})
        found.hear(*edge.birth())
        say(found, edge, *LEAK)
        say(found, edge, 9.0, quality=bad(Reason.DEVICE_FAULT))
        say(found, edge, 2.0, quality=uncertain(Reason.LOOP_HIGH))
        lower = {kind: one.model_dump(mode="json") for kind, one in {**POINT.limits, LimitKind.L2: limit(2.0)}.items()}
        assert found.change("limits", tag=GAS, base=1, limits=lower, comment="lower").refusal is None
        other.now_ms = found.now_ms
        found.hear(*other.birth())
        say(found, other, 4.0, 0.1)
        found.pass_time(300)
        say(found, edge, *LEAK)
        yield found


def say(running: Host, edge: Speaker, *values: float, quality: int = 0) -> None:
    for value in values:
        running.pass_time(STEP_S)
        running.tick()
        edge.now_ms = running.now_ms
        running.hear(edge.data([value], quality=quality))
        running.settle()


def stored(running: Host, config: HistorianConfig, folder: Path) -> None:
    """Write what the log has into a store, as the feed does."""
    with closing(open_historian(config, folder, LogNames(running.log))) as store:
        records = running.log.read(0, 100_000)
        store.write(rows_of(records, running.log.births)[0], records[-1].seq)


def asked(running: Host, config: HistorianConfig) -> Any:
    request: dict[str, Any] = {
        "data_dir": str(running.log.path.parent), "historian": config.model_dump(mode="json"), "over": "history",
        "plots": None, "rules": {GAS: {"limits": {"L1": {"value": 1.5}, "L2": {"value": 5.0}}}}, "against": {},
        "from_ms": START_MS - 60_000, "to_ms": running.now_ms + 1000, "hazard_sources": [],
    }  # fmt: skip
    return answered(request, lambda done: None)


def test_the_answer_is_the_same_over_either_store(running: Host, influx: HistorianConfig) -> None:
    folder = running.log.path.parent
    for config in (HistorianConfig(), influx):
        stored(running, config, folder)
    by_influx, by_files = asked(running, influx), asked(running, HistorianConfig())
    assert by_influx == by_files
    assert by_files["answer"]["readings"] == 2 * len(LEAK) + 4
    assert by_files["answer"]["gone"]
    assert by_files["answer"]["later"]


def test_a_store_that_does_not_answer_is_said_in_both_languages(running: Host, free_port: Any) -> None:
    nowhere = HistorianConfig(kind="influxdb", url=f"http://127.0.0.1:{free_port()}", bucket="none")
    (mistake,) = asked(running, nowhere)["mistakes"]
    assert "try again when it answers" in mistake["en"]
    assert "重试" in mistake["zh"]


def whole(past: Past, tags: int, from_ms: int, to_ms: int) -> Stretch:
    found = list(past.stretches(range(tags), from_ms, to_ms))
    return Stretch(*(np.concatenate([getattr(one, name) for one in found]) for name in Stretch.__slots__))


def odd() -> Rows:
    """Readings of one moment in several records, without a number, at both ends of the hour, and out of order."""
    inf, nan, t = float("inf"), float("nan"), MIDNIGHT_MS
    return rows(
        [
            (1, 0, t, 0.1, 0), (1, 1, t, nan, bad(Reason.COMM)), (2, 0, t, 0.2, 0), (2, 4, t, 5e-324, 0),
            (3, 0, t + 3_599_999, inf, uncertain(Reason.LOOP_HIGH)), (4, 0, t + 3_600_000, -inf, 0),
            (5, 1, t + 1_000, 1 / 3, 0), (6, 1, t + 500, -0.0, 0), (7, 4, t + 7_200_000, 7.0, 0),
        ]
    )  # fmt: skip


def test_readings_come_in_the_same_order_with_the_same_values(tmp_path: Path, influx: HistorianConfig) -> None:
    store = Store.fresh(influx, tmp_path / "data")
    try:
        store.open().write(odd(), 7)
        with closing(open_historian(HistorianConfig(), tmp_path / "data", LogNames(store.log))) as files:
            files.write(odd(), 7)
        span = (MIDNIGHT_MS, MIDNIGHT_MS + 7_200_000)
        with closing(open_past(influx, tmp_path / "data", LogNames(store.log))) as past:
            by_influx = whole(past, 5, *span)
        by_files = whole(CopiedDays(tmp_path / "data" / "history"), 5, *span)
    finally:
        store.end()
    assert len(by_files) == 8
    assert (np.diff(by_influx.times_ms) >= 0).all()
    for tag in (0, 1, 4):
        for name in Stretch.__slots__:
            np.testing.assert_array_equal(*(getattr(one, name)[one.tags == tag] for one in (by_influx, by_files)))
