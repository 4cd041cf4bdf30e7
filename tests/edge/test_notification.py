"""Publish responses off the wire, against asyncua's own encoder as the obvious twin, and bytes where it is wrong."""

import struct
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from davylamp_edge.drivers.opcua_subscription import _variant
from davylamp_edge.notification import Malformed, Notification, Row, decode
from hypothesis import given
from hypothesis import strategies as st

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAMP = 1_800_000_000_123

NUMBERS = {
    ua.VariantType.Boolean: st.booleans(),
    ua.VariantType.SByte: st.integers(-128, 127),
    ua.VariantType.UInt16: st.integers(0, 65535),
    ua.VariantType.Int32: st.integers(-(1 << 31), (1 << 31) - 1),
    ua.VariantType.UInt64: st.integers(0, (1 << 64) - 1),
    ua.VariantType.Float: st.floats(width=32, allow_nan=False),
    ua.VariantType.Double: st.floats(allow_nan=False),
    ua.VariantType.String: st.text("氯E-1", max_size=8),
}


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """Return a row of any kind a plant may send."""
    handle, status = draw(st.integers(0, 1 << 31)), draw(st.sampled_from([0, 0x40920000, 0x80050000, 0x0480]))
    stamp = draw(st.sampled_from([0, STAMP, STAMP + 999]))
    kind = draw(st.sampled_from([None, *NUMBERS]))
    return handle, None if kind is None else ua.Variant(draw(NUMBERS[kind]), kind), status, stamp


def data_value(row: Row) -> ua.DataValue:
    _, variant, status, stamp = row
    when = EPOCH + timedelta(milliseconds=stamp) if stamp else None
    code = ua.StatusCode(ua.UInt32(status))
    return ua.DataValue(variant or ua.Variant(), code, SourceTimestamp=when)  # type: ignore[arg-type]  # any datetime does


def response(*notifications: Any, sequence: int = 7) -> bytes:
    message = ua.NotificationMessage(
        ua.Counter(sequence),
        EPOCH + timedelta(milliseconds=STAMP),
        list(notifications),
    )
    return struct_to_binary(ua.PublishResult(ua.IntegerId(3), [ua.Counter(5), ua.Counter(6)], False, message))


def changes(*given: Row) -> bytes:
    items = [ua.MonitoredItemNotification(ua.IntegerId(row[0]), data_value(row)) for row in given]
    return response(ua.DataChangeNotification(items))


def read(body: bytes) -> Notification:
    return decode(body, _variant)


@given(st.lists(rows(), max_size=40))
def test_rows_of_any_shapes_are_read_as_asyncua_wrote_them(given: list[Row]) -> None:
    found = read(changes(*given))
    expected = [(handle, None if v is None else v.Value, status, stamp) for handle, v, status, stamp in given]
    assert found.rows == expected
    assert (found.subscription, found.sequence, found.published_ms, found.is_data) == (3, 7, STAMP, True)


def test_a_run_longer_than_is_looked_for_at_once_is_read_whole() -> None:
    given = [(n, ua.Variant(float(n), ua.VariantType.Double), 0, STAMP) for n in range(1000)]
    assert read(changes(*given)).rows == [(n, float(n), 0, STAMP) for n in range(1000)]


@pytest.mark.parametrize("value", [[1.0, 2.0], EPOCH, b"raw", ua.LocalizedText("text"), None])
def test_any_other_variant_is_read_by_asyncua_and_its_neighbours_are_right(value: Any) -> None:
    odd = ua.Variant(value)
    number = ua.Variant(1.5, ua.VariantType.Double)
    found = read(changes((1, number, 0, STAMP), (2, odd, 0, STAMP), (3, number, 0, STAMP)))
    assert [row[0] for row in found.rows] == [1, 2, 3]
    assert found.rows[0][1:] == found.rows[2][1:] == (1.5, 0, STAMP)


def test_picoseconds_and_server_stamps_stand_where_the_standard_puts_them() -> None:
    """OPC 10000-6, 5.2.2.17: value, status, source its picoseconds, server, its own. asyncua orders otherwise."""
    ticks = (STAMP + 11_644_473_600_000) * 10_000
    item = struct.pack("<IBBdIqHqH", 9, 0x3F, 11, 2.5, 0x40920000, ticks, 7, ticks + 1, 8)
    whole = changes((9, None, 0, 0))
    start = whole.index(struct.pack("<iI", 1, 9)) + 4
    assert read(whole[:start] + item + bytes(12)).rows == [(9, 2.5, 0x40920000, STAMP)]


def test_a_keepalive_is_no_data() -> None:
    found = read(response(sequence=8))
    assert (found.is_data, found.rows, found.sequence) == (False, [], 8)


def test_the_end_of_a_subscription_is_told_with_its_reason() -> None:
    ended = ua.StatusChangeNotification(ua.StatusCode(ua.UInt32(0x800A0000)))
    assert read(response(ended)).ended == 0x800A0000


@given(st.integers(0, 200))
def test_a_response_cut_short_is_malformed_and_nothing_else(cut: int) -> None:
    given = [(n, ua.Variant(f"text {n}", ua.VariantType.String), 0, STAMP) for n in range(5)]
    body = changes(*given)
    with suppress(Malformed):
        read(body[: min(cut, len(body) - 1)])
