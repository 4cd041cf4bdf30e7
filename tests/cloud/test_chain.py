"""The hash chain names the first row that was edited, deleted or inserted (SAFETY S29)."""

from typing import Any

import pytest
from davylamp_cloud.chain import Head, first_break, link, mark_of

Row = dict[str, Any]


def chained(count: int) -> tuple[list[Row], Head]:
    head, rows = Head(), []
    for number in range(1, count + 1):
        row, head = link(head, {"source_no": number, "value": number / 3, "actor": "张三", "latched": False})
        rows.append(row)
    return rows, head


def test_an_untouched_chain_holds() -> None:
    rows, head = chained(5)
    assert first_break("store", rows, "source_no", head) is None
    assert first_break("store", [], "source_no", None) is None


@pytest.mark.parametrize("column", ["value", "actor", "latched", "hash", "prev_hash"])
def test_s29_an_edited_row_is_named(column: str) -> None:
    rows, head = chained(5)
    rows[2] = {**rows[2], column: "forged"}
    found = first_break("store", rows, "source_no", head)
    assert found is not None
    assert found.number == 3


def test_s29_a_deleted_row_is_named() -> None:
    rows, head = chained(5)
    del rows[1]
    found = first_break("store", rows, "source_no", head)
    assert found is not None
    assert (found.number, found.reason) == (2, "row 2 is missing")


def test_s29_an_inserted_row_is_named() -> None:
    rows, head = chained(5)
    rows.insert(3, {**rows[2], "source_no": 3, "actor": "nobody"})
    found = first_break("store", rows, "source_no", head)
    assert found is not None
    assert found.number == 3


def test_s29_a_missing_tail_is_named() -> None:
    rows, head = chained(5)
    found = first_break("store", rows[:3], "source_no", head)
    assert found is not None
    assert found.number == 4


def test_s29_a_chain_written_anew_does_not_match_its_head() -> None:
    rows, head = chained(5)
    _, other = link(Head(4, rows[3]["hash"]), {"source_no": 5, "value": 0.0, "actor": "x", "latched": False})
    found = first_break("store", rows, "source_no", other)
    assert found is not None
    assert found.number == 5
    assert first_break("store", rows, "source_no", None) is not None
    assert head.number == 5


def test_s23_chains_that_went_different_ways_never_share_a_mark() -> None:
    _, one = link(Head(), {"source_no": 1, "value": 1.0})
    _, other = link(Head(), {"source_no": 1, "value": 2.0})
    said = ("park/edge/gas/l#L1", 7, "raised")
    assert mark_of(one, *said) == mark_of(one, *said)
    assert mark_of(one, *said) != mark_of(other, *said)
    assert mark_of(one, *said) != mark_of(one, *said[:-1], "cleared")
