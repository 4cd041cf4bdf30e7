"""What every historian must do, run against the real stores. A new one adds its kind here and passes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from davylamp_cloud.historian import HISTORIANS, Historian
from davylamp_wire.quality import Reason, bad, uncertain
from support.history import MIDNIGHT_MS, Store, bits, config_of, everything, introduce, rows

T = MIDNIGHT_MS
DAY = 86_400_000


@pytest.fixture(params=sorted(HISTORIANS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    def url() -> str:
        found: str = request.getfixturevalue("influx_server").url
        return found

    store = Store.fresh(config_of(request.param, url), tmp_path / "data")
    try:
        yield store
    finally:
        store.end()


@pytest.fixture
def historian(store: Store) -> Historian:
    return store.open()


def test_values_come_back_bit_for_bit(historian: Historian) -> None:
    values = [0.1, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53, 1 / 3, float("inf"), float("-inf"), float("nan"), 7.0]
    historian.write(rows([(n + 1, 0, T + n, value, 0) for n, value in enumerate(values)]), 10)
    found = everything(historian, 0)
    assert bits(found.values) == bits(np.array(values))
    assert found.times_ms.tolist() == [T + n for n in range(10)]
    assert not found.texts


def test_quality_comes_back_with_and_without_a_value(historian: Historian) -> None:
    doubtful, lost = uncertain(Reason.LOOP_HIGH), bad(Reason.COMM)
    historian.write(rows([(1, 0, T, 4.5, doubtful), (1, 1, T, float("nan"), lost), (2, 0, T + 1, 4.4, 0)]), 2)
    assert everything(historian, 0).qualities.tolist() == [doubtful, 0]
    found = everything(historian, 1)
    assert found.qualities.tolist() == [lost]
    assert np.isnan(found.values[0])


def test_text_is_exact(historian: Historian) -> None:
    texts = ['批次 7\n"A\\B", 3=4', "", "18446744073709551615", "tab\tand emoji 🜂"]
    values = [float("nan"), float("nan"), 18446744073709551615.0, float("nan")]
    given = [(1, 3, T + n, value, 0) for n, value in enumerate(values)]
    historian.write(rows(given, dict(enumerate(texts))), 1)
    found = everything(historian, 3)
    assert dict(found.texts) == dict(enumerate(texts))
    assert bits(found.values) == bits(np.array(values))


def test_two_readings_of_one_tag_in_one_millisecond_stay_two_in_their_order(historian: Historian) -> None:
    """One record may hold a tag twice, and two records may fall into the same millisecond."""
    given = [(1, 0, T, 1.0, 0), (1, 1, T, 5.0, 0), (1, 0, T, 2.0, 0), (2, 0, T, 3.0, 0)]
    historian.write(rows(given), 2)
    assert everything(historian, 0).values.tolist() == [1.0, 2.0, 3.0]
    assert everything(historian, 1).values.tolist() == [5.0]


def test_late_readings_are_read_in_the_order_of_their_source_time(historian: Historian) -> None:
    historian.write(rows([(1, 0, T + 5000, 5.0, 0), (2, 0, T + 1000, 1.0, 0), (3, 0, T - 9000, 0.0, 0)]), 3)
    assert everything(historian, 0).values.tolist() == [0.0, 1.0, 5.0]


def test_s26_the_same_batch_twice_is_stored_once(historian: Historian) -> None:
    batch = rows([(n, n % 8, T + n, float(n), 0) for n in range(1, 100)])
    historian.write(batch, 99)
    historian.write(batch, 99)
    assert sum(historian.count(tag) for tag in range(8)) == 99


def test_s26_the_cursor_survives_and_what_came_before_it_is_not_stored_again(store: Store) -> None:
    first = rows([(n, 0, T + n, float(n), 0) for n in range(1, 11)])
    assert store.open().cursor() == 0
    store.open().write(first, 10)
    again = store.open()
    assert again.cursor() == 10
    again.write(rows([(n, 0, T + n, float(n), 0) for n in range(6, 16)]), 15)
    assert store.open().cursor() == 15
    assert everything(store.open(), 0).values.tolist() == [float(n) for n in range(1, 16)]


def test_a_batch_may_span_days(store: Store) -> None:
    given = [(n, 0, T + (n - 3) * DAY, float(n), 0) for n in range(6)]
    store.open().write(rows(given[1:]), 5)
    found = everything(store.open(), 0)
    assert found.values.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert store.open().cursor() == 5


def test_reading_a_span_includes_its_start_and_not_its_end(historian: Historian) -> None:
    historian.write(rows([(1, 0, T + n, float(n), 0) for n in range(5)]), 1)
    assert historian.read(0, T + 1, T + 3).values.tolist() == [1.0, 2.0]
    assert len(historian.read(0, T + 3, T + 3)) == 0
    assert len(historian.read(1, T, T + 5)) == 0


def test_a_limit_cuts_off_the_newest_and_says_so(historian: Historian) -> None:
    historian.write(rows([(1, 0, T + n * DAY // 2, float(n), 0) for n in range(5)]), 1)
    cut = historian.read(0, T, T + 9 * DAY, limit=3)
    assert (cut.values.tolist(), cut.truncated) == ([0.0, 1.0, 2.0], True)
    whole = historian.read(0, T, T + 9 * DAY, limit=5)
    assert (len(whole), whole.truncated) == (5, False)


def test_a_trend_has_extremes_mean_and_doubt_of_each_step(historian: Historian) -> None:
    doubtful, lost = uncertain(Reason.CLOCK), bad(Reason.COMM)
    given = [
        (1, 0, T, 1.0, 0),
        (1, 0, T + 59_999, 5.0, doubtful),
        (2, 0, T + 60_000, float("nan"), lost),
        (3, 0, T + DAY, 8.0, 0),
    ]
    historian.write(rows(given), 3)
    trend = historian.trend(0, T, T + 2 * DAY)
    assert trend.times_ms.tolist() == [T, T + 60_000, T + DAY]
    assert trend.counts.tolist() == [2, 0, 1]
    assert trend.doubtful.tolist() == [1, 1, 0]
    assert trend.lows[[0, 2]].tolist() == [1.0, 8.0]
    assert trend.highs[[0, 2]].tolist() == [5.0, 8.0]
    assert trend.means[[0, 2]].tolist() == [3.0, 8.0]
    assert np.isnan(trend.means[1])
    assert len(historian.trend(5, T, T + DAY).times_ms) == 0


def test_a_device_that_changed_its_profile_keeps_its_history(store: Store) -> None:
    historian = store.open()
    historian.write(rows([(1, 0, T, 1.0, 0)]), 1)
    second = introduce(store.log, "store-1", ["det_1"], profile="cl2-store-v2", hazard_source="cl2-9")
    historian.write(rows([(2, 0, T + 1, 2.0, 0)], births={0: second}), 2)
    assert everything(historian, 0).values.tolist() == [1.0, 2.0]
    trend = historian.trend(0, T, T + 60_000)
    assert (trend.counts.tolist(), trend.means.tolist(), trend.highs.tolist()) == ([2], [1.5], [2.0])


def test_points_named_like_another_ones_quality_do_not_mix(store: Store) -> None:
    introduce(store.log, "odd", ["a", "a_q", "a_t"], profile="odd", hazard_source="odd")
    given = [(1, 8, T, 1.0, bad(Reason.COMM)), (1, 9, T, 2.5, 0), (1, 10, T, 3.5, uncertain(Reason.CLOCK))]
    historian = store.open()
    historian.write(rows(given, {0: "x"}), 1)
    assert [everything(historian, tag).values.tolist() for tag in (8, 9, 10)] == [[1.0], [2.5], [3.5]]
    assert everything(historian, 8).texts == {0: "x"}
    assert everything(historian, 10).qualities.tolist() == [uncertain(Reason.CLOCK)]


def test_records_without_readings_move_the_cursor(store: Store) -> None:
    store.open().write(rows([(1, 0, T, 1.0, 0)]), 1)
    store.open().write(rows([]), 500)
    assert store.open().cursor() == 500


def test_count_agrees_with_what_is_read(historian: Historian) -> None:
    given = [(1, n % 2, T + n // 3, float(n), 0 if n % 5 else bad(Reason.COMM)) for n in range(300)]
    historian.write(rows(given), 1)
    assert historian.count(0) == len(everything(historian, 0)) == 150


def test_s27_after_the_log_was_restored_what_comes_again_is_stored_once(store: Store) -> None:
    """The log lost 6..10; the edge sends 6..8 again under new numbers, and 9, 10 are gone at the edge."""
    given = [(n, n % 2, T + n, float(n), 0) for n in range(1, 11)]
    store.open().write(rows(given), 10)
    historian = store.open()
    historian.doubt(5, tags=8)
    historian.write(rows([(n + 5, n % 2, T + n, float(n), 0) for n in range(6, 9)], marks=range(6, 9)), 13)
    found = [*everything(historian, 0).values, *everything(historian, 1).values]
    assert sorted(found) == [float(n) for n in range(1, 11)]
    assert store.open().cursor() == 13


def test_s27_an_index_given_to_another_tag_does_not_inherit_its_history(tmp_path: Path) -> None:
    """Tag 5 was born after the backup: the restored log may give its index to a stranger. DuckDB stores indices."""
    store = Store.fresh(config_of("duckdb", str), tmp_path / "data")
    historian = store.open()
    historian.write(rows([(1, 4, T, 4.0, 0), (2, 5, T, 5.0, 0)]), 2)
    historian.doubt(1, tags=5)
    assert everything(historian, 4).values.tolist() == [4.0]
    assert len(everything(historian, 5)) == 0
    store.end()
