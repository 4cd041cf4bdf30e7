"""The outbox table as the outbox reads it: from the oldest pending row on, and never all that waits again."""

from pathlib import Path

from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.notify.queue import Item
from davylamp_cloud.notify.table import PAGE_AFTER, Attempt, DeliveryState, mark, pending_after, row_before_pending
from davylamp_cloud.store.schema import OUTBOX
from davylamp_cloud.store.state import State
from sqlalchemy import select
from support.outbox import office, step

PARK = ReceiverConfig(name="park", url="http://127.0.0.1:9/", insecure_http=True, secret_env="NOT_READ_HERE")


def settle(state: State, row: int, outcome: DeliveryState) -> None:
    item = Item(row, f"cl2-{row}", "cl2-1", "red")
    mark(state, [Attempt(item, "park", outcome, at_ms=7, attempts=3, next_attempt_ms=9, error="late")])


def test_it_is_read_from_the_oldest_pending_row_on(tmp_path: Path) -> None:
    with office(tmp_path, [PARK]) as running:
        assert row_before_pending(running.state) == 0
        running.tell([step(number) for number in range(1, 5)])
        assert row_before_pending(running.state) == 0
        settle(running.state, 1, DeliveryState.DELIVERED)
        settle(running.state, 2, DeliveryState.FAILED)
        settle(running.state, 3, DeliveryState.PENDING)
        assert row_before_pending(running.state) == 2
        first, second = pending_after(running.state, 2)
        settle(running.state, 3, DeliveryState.DELIVERED)
        settle(running.state, 4, DeliveryState.DELIVERED)
        assert row_before_pending(running.state) == 4
    assert (first.item.row, first.item.attempts, first.next_attempt_ms, first.item.error) == (3, 3, 9, "late")
    assert (second.item.row, second.item.attempts, second.receiver) == (4, 0, "park")


def test_s23_what_was_delivered_behind_a_pending_one_is_not_read_again(tmp_path: Path) -> None:
    with office(tmp_path, [PARK]) as running:
        running.tell([step(number) for number in range(1, 5)])
        settle(running.state, 2, DeliveryState.DELIVERED)
        settle(running.state, 3, DeliveryState.FAILED)
        assert [pending.item.row for pending in pending_after(running.state, 0)] == [1, 4]


def test_what_came_of_an_attempt_is_in_its_row(tmp_path: Path) -> None:
    with office(tmp_path, [PARK]) as running:
        running.tell([step(1), step(2)])
        settle(running.state, 1, DeliveryState.DELIVERED)
        settle(running.state, 2, DeliveryState.PENDING)
        names = ("state", "attempts", "next_attempt_ms", "last_error", "delivered_ms")
        found = [tuple(row[name] for name in names) for row in running.rows()]
    assert found == [("delivered", 3, 9, "late", 7), ("pending", 3, 9, "late", None)]


def test_a_look_for_new_rows_sorts_nothing_however_much_waits(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    with state.reading() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {PAGE_AFTER}", (1, 1)).fetchall()
    state.close()
    assert [row[3] for row in plan] == ["SEARCH outbox USING INTEGER PRIMARY KEY (rowid>?)"]


def test_a_body_is_read_as_it_was_written(tmp_path: Path) -> None:
    with office(tmp_path, [PARK]) as running:
        running.tell([step(1, value=0.1, note="气")])
        stored = running.state.rows(select(OUTBOX.c.body))[0]["body"]
        assert pending_after(running.state, 0)[0].item.body == stored.encode()
