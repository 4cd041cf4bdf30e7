"""Columns kept once while all places hold the same are to everyone like those that never are."""

from typing import Any, ClassVar

import numpy as np
import pytest
from davylamp_alarms.columns import Columns, Fields
from hypothesis import given, settings
from hypothesis import strategies as st

PLAIN: Fields = {"given": (np.float64, 5.0), "own": (np.int64, 0)}


class Kept(Columns):
    FIELDS: ClassVar[Fields] = PLAIN
    ONCE: ClassVar[frozenset[str]] = frozenset({"given"})


class Plain(Columns):
    FIELDS: ClassVar[Fields] = PLAIN


values = st.sampled_from([5.0, 5.0, 5.0, 7.0, float("nan"), float("inf")])
acts = st.lists(
    st.one_of(
        st.tuples(st.just("extend"), st.integers(0, 4)),
        st.tuples(st.just("write"), st.lists(st.tuples(st.integers(0, 9), values), min_size=1, max_size=4)),
        st.tuples(st.just("all"), values),
        st.tuples(st.just("reorder"), st.permutations(range(6))),
        st.tuples(st.just("again"), st.none()),
    ),
    max_size=12,
)


def act(columns: Columns, name: str, said: Any) -> Columns:
    """Do one thing to columns; return those to go on with."""
    if name == "extend":
        columns.extend(said)
    elif name == "write" and columns.n:
        places = {place % columns.n: value for place, value in said}
        columns.write("given", np.array(list(places)), np.array(list(places.values())))
    elif name == "all":
        columns.write("given", slice(0, columns.n), said)
    elif name == "reorder":
        columns.reorder(np.array([place for place in said if place < columns.n][:4], np.int64))
    elif name == "again":
        fresh = type(columns)()
        fresh.load("x", columns.dump("x"))
        return fresh
    return columns


@settings(max_examples=200)
@given(acts)
def test_a_column_kept_once_holds_what_a_plain_one_holds(done: list[tuple[str, Any]]) -> None:
    kept: Columns = Kept()
    plain: Columns = Plain()
    gone_on: Columns = Kept()
    for name, said in done:
        kept, plain = act(kept, name, said), act(plain, name, said)
        gone_on = gone_on if name == "again" else act(gone_on, name, said)
        for column in PLAIN:
            held = getattr(kept, column)[: kept.n]
            np.testing.assert_array_equal(held, getattr(plain, column)[: plain.n])
        dumps = kept.dump("x"), gone_on.dump("x")
        assert all(dumps[0][part].tobytes() == dumps[1][part].tobytes() for part in dumps[0]), "a restart shows nowhere"


def test_a_column_kept_once_takes_the_memory_of_one_value() -> None:
    kept = Kept()
    kept.extend(1000)
    assert kept.nbytes == 8 + 8 * 1000
    kept.write("given", np.array([3]), 5.0)
    assert kept.nbytes == 8 + 8 * 1000
    kept.write("given", np.array([3]), 6.0)
    assert kept.nbytes == 16 * 1000
    assert kept.given.shape == (1000,)  # type: ignore[attr-defined]  # declared by FIELDS alone


def test_what_is_kept_once_cannot_be_written_past() -> None:
    kept = Kept()
    kept.extend(2)
    with pytest.raises(ValueError, match="read-only"):
        kept.given[0] = 3.0  # type: ignore[attr-defined]  # declared by FIELDS alone
