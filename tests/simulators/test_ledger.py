"""The ledger says what was served, and the comparison says what became of it."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from davylamp_simulators.ledger import (
    IN_FLIGHT_MS,
    Ledger,
    Run,
    Served,
    Stored,
    compare,
    compare_all,
    read_ledger,
    same,
)
from davylamp_wire.quality import Reason, bad
from hypothesis import given
from hypothesis import strategies as st

START_MS = 1_760_000_000_000
PERIOD_MS = 1000

VALUES = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 2.5]), st.floats(allow_nan=False, allow_infinity=False))


def served(values: Sequence[float | None], delays: Sequence[int] = ()) -> list[Served]:
    found = []
    for at, value in enumerate(values):
        asked_ms = START_MS + at * PERIOD_MS
        found.append(Served(asked_ms, asked_ms + (delays[at] if delays else 0), value))
    return found


def stored(replies: Sequence[Served], after_ms: int = 1) -> list[Stored]:
    return [Stored(one.served_ms + after_ms, one.value) for one in replies]


@given(st.lists(VALUES, max_size=40), st.integers(0, 900))
def test_a_history_that_has_everything_loses_nothing(values: list[float | None], after_ms: int) -> None:
    replies = served(values)
    result = compare(replies, stored(replies, after_ms))
    assert (result.matched, result.lost, result.extra) == (len(values), [], [])


@given(st.lists(st.tuples(VALUES, st.booleans()), max_size=40), st.integers(0, 900))
def test_exactly_what_history_lacks_is_lost(pairs: list[tuple[float | None, bool]], after_ms: int) -> None:
    replies = served([value for value, _ in pairs])
    kept = [reply for reply, (_, keep) in zip(replies, pairs, strict=True) if keep]
    result = compare(replies, stored(kept, after_ms))
    assert (result.matched, result.extra) == (len(kept), [])
    assert result.lost == [reply for reply in replies if reply not in kept]


@given(st.lists(VALUES, min_size=1, max_size=20), st.data())
def test_a_reading_stored_twice_is_one_too_many(values: list[float | None], data: st.DataObject) -> None:
    replies = served(values)
    history = stored(replies)
    twice = data.draw(st.integers(0, len(history) - 1))
    result = compare(replies, history[: twice + 1] + history[twice:])
    assert (len(result.extra), result.lost) == (1, [])


def test_a_value_nobody_served_is_extra() -> None:
    replies = served([1.0, 2.0])
    result = compare(replies, [stored(replies)[0], Stored(START_MS + 1001, 7.0)])
    assert [one.value for one in result.extra] == [7.0]
    assert [one.value for one in result.lost] == [2.0]


def test_what_was_served_just_before_a_sigkill_is_in_flight_and_what_came_after_is_lost() -> None:
    replies = served([1.0, 2.0, 3.0])
    kill_ms = replies[1].served_ms + IN_FLIGHT_MS
    result = compare(replies, stored(replies[:1]), Run(kills_ms=[kill_ms]))
    assert [one.value for one in result.in_flight] == [2.0]
    assert [one.value for one in result.lost] == [3.0]


def test_a_reply_that_came_after_its_request_had_timed_out_is_abandoned() -> None:
    replies = served([1.0, 2.0, 3.0], delays=[0, 1500, 0])
    result = compare(replies, stored([replies[0], replies[2]]), Run(timeout_ms=1000))
    assert [one.value for one in result.abandoned] == [2.0]
    assert result.lost == []


def test_what_the_edge_says_of_a_silent_device_is_no_reading_of_the_device() -> None:
    replies = served([1.0])
    result = compare(replies, [*stored(replies), Stored(START_MS + 5000, None, bad(Reason.COMM))])
    assert (result.edge_made, result.extra, result.lost) == (1, [], [])


@pytest.mark.parametrize(
    ("a", "b", "one"),
    [
        (1, True, True),
        (0.1 + 0.2, 0.3, True),
        (math.nan, None, True),
        (None, 0.0, False),
        ("1", 1.0, False),
        (1.0, 1.001, False),
    ],
)
def test_what_counts_as_the_same_value(a: float | str | None, b: float | str | None, one: bool) -> None:
    assert same(a, b) is one


def test_a_ledger_survives_its_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.record("d", ("a", "b"), 10, 11, [0.1, None])
    ledger.record("d", ("a", "b"), 20, 21, [True, "文字"])
    ledger.record("e", ("a",), 30, 31, [1e300])
    ledger.close()
    found = read_ledger(tmp_path / "ledger.jsonl")
    assert found["d", "a"] == [Served(10, 11, 0.1), Served(20, 21, True)]
    assert found["d", "b"] == [Served(10, 11, None), Served(20, 21, "文字")]
    assert found["e", "a"] == [Served(30, 31, 1e300)]
    assert ledger.served == 5


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"ledger":1}\n{"block":0,"device":"d","points":["a"]}\n[0,1,2,[3.0]]\n[0,4,5,[')
    assert read_ledger(path) == {("d", "a"): [Served(1, 2, 3.0)]}


def test_another_file_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("{}\n")
    with pytest.raises(ValueError, match="no ledger"):
        read_ledger(path)


def test_a_whole_history_is_held_against_a_whole_ledger() -> None:
    replies = served([1.0, 2.0])
    result = compare_all({("d", "a"): replies, ("d", "b"): replies}, {("d", "a"): stored(replies)})
    assert (result.matched, len(result.lost)) == (2, 2)
