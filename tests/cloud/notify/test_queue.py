"""The order of one receiver's notices, against an obvious twin."""

from collections import Counter

from davylamp_cloud.notify.queue import FEW_PLACES, PLACES, RANKS, UNMARKED, Item, ReceiverQueue
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

LEVELS = tuple(RANKS)


def item(row: int, occurrence: str = "o", priority: str = "red", **more: float) -> Item:
    return Item(row, f"t-{row}", occurrence, priority, **more)  # type: ignore[arg-type]  # only times are given


def rows(items: list[Item]) -> list[int]:
    return [one.row for one in items]


def test_within_an_occurrence_one_after_the_other() -> None:
    queue = ReceiverQueue()
    for row in (1, 2, 3):
        queue.add(item(row))
    taken = queue.take(0)
    assert rows(taken) == [1]
    assert queue.take(0) == []
    queue.done(taken[0])
    assert rows(queue.take(0)) == [2]


def test_s22_red_first_between_occurrences() -> None:
    queue = ReceiverQueue()
    for row, priority in enumerate(["blue", "yellow", "orange", "red"]):
        queue.add(item(row, priority, priority))
    assert rows(queue.take(0)) == [3, 2, 1, 0]


def test_s22_red_behind_a_lower_one_of_its_own_occurrence_lends_it_its_urgency() -> None:
    """Yellow waits five minutes by its schedule; now it stands in the way of a red one and goes at once."""
    queue = ReceiverQueue()
    queue.add(item(1, priority="yellow"))
    queue.postpone(queue.take(0)[0], due_s=300)
    assert queue.take(1) == []
    queue.add(item(2, priority="red"))
    taken = queue.take(1)
    assert rows(taken) == [1]
    assert queue.urgency(taken[0]) == "red"


def test_a_receiver_that_asked_for_time_gets_it_even_when_released() -> None:
    queue = ReceiverQueue()
    queue.add(item(1))
    queue.postpone(queue.take(0)[0], due_s=60, not_before_s=10)
    queue.release()
    assert queue.take(9) == []
    assert queue.next_due_s() == 10
    assert rows(queue.take(10)) == [1]


def test_s22_each_priority_has_places_of_its_own() -> None:
    queue = ReceiverQueue()
    for row in range(1000):
        queue.add(item(row, f"blue-{row}", "blue"))
    assert len(queue.take(0)) == PLACES["blue"]
    for row in range(1000, 1050):
        queue.add(item(row, f"red-{row}", "red"))
    assert rows(queue.take(0)) == list(range(1000, 1050))


def test_what_has_arrived_frees_its_place_at_once_and_its_occurrence_only_when_it_is_marked() -> None:
    queue = ReceiverQueue()
    for row in range(PLACES["blue"]):
        queue.add(item(row, f"blue-{row}", "blue"))
    first, *_ = queue.take(0)
    queue.add(item(100, "blue-0", "blue"))
    queue.add(item(101, "other", "blue"))
    assert queue.take(0) == []
    queue.accepted(first)
    assert rows(queue.take(0)) == [101]
    queue.done(first)
    assert queue.in_flight == PLACES["blue"]
    queue.accepted(queue.items()[0])
    assert rows(queue.take(0)) == [100]


def test_s22_an_engine_behind_the_log_leaves_red_its_places_and_every_priority_one() -> None:
    queue = ReceiverQueue()
    for row in range(400):
        queue.add(item(row, f"{row}", LEVELS[row % 4]))
    taken = Counter(one.priority for one in queue.take(0, FEW_PLACES))
    assert taken["red"] == 100
    assert {priority: taken[priority] for priority in FEW_PLACES} == {**FEW_PLACES, "red": 100}
    assert all(FEW_PLACES.values())


def test_what_has_arrived_and_is_not_marked_is_bounded() -> None:
    queue = ReceiverQueue()
    for row in range(2 * UNMARKED):
        queue.add(item(row, f"red-{row}", "red"))
    sent = []
    while taken := queue.take(0):
        sent += taken
        for one in taken:
            queue.accepted(one)
    assert len(sent) == UNMARKED
    for one in sent:
        queue.done(one)
    assert queue.take(0)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(LEVELS)), max_size=60))
def test_everything_comes_out_once_and_each_occurrence_in_order(given_items: list[tuple[str, str]]) -> None:
    queue = ReceiverQueue()
    for row, (occurrence, priority) in enumerate(given_items):
        queue.add(item(row, occurrence, priority))
    came: list[Item] = []
    while taken := queue.take(0):
        came += taken
        for one in taken:
            queue.done(one)
    assert len(queue) == 0
    assert sorted(rows(came)) == list(range(len(given_items)))
    for name in "abcde":
        mine = [one.row for one in came if one.occurrence == name]
        assert mine == sorted(mine)


class QueueMachine(RuleBasedStateMachine):
    """Any sequence of adding, sending, failing, releasing and waiting, beside the plainest queue there is."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = ReceiverQueue()
        self.lists: dict[str, list[Item]] = {}
        self.flying: dict[str, Item] = {}
        self.now_s = 0.0
        self.row = 0

    @rule(occurrence=st.sampled_from("abc"), priority=st.sampled_from(LEVELS))
    def add(self, occurrence: str, priority: str) -> None:
        self.row += 1
        added = item(self.row, occurrence, priority)
        self.lists.setdefault(occurrence, []).append(added)
        self.queue.add(added)

    @rule()
    def take(self) -> None:
        expected = {
            name
            for name, items in self.lists.items()
            if items and name not in self.flying and items[0].due_s <= self.now_s
        }
        taken = self.queue.take(self.now_s)
        assert {one.occurrence for one in taken} == expected
        assert all(one is self.lists[one.occurrence][0] for one in taken)
        ranks = [min(RANKS[one.priority] for one in self.lists[t.occurrence]) for t in taken]
        assert ranks == sorted(ranks)
        self.flying.update({one.occurrence: one for one in taken})

    @precondition(lambda self: self.flying)
    @rule(which=st.randoms(use_true_random=False), ok=st.booleans(), delay=st.integers(1, 5))
    def land(self, which: "st.Random", ok: bool, delay: int) -> None:  # type: ignore[name-defined]  # hypothesis's own
        name = which.choice(sorted(self.flying))
        landed = self.flying.pop(name)
        if ok:
            self.lists[name].pop(0)
            self.queue.done(landed)
        else:
            self.queue.postpone(landed, self.now_s + delay)

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds

    @rule()
    def release(self) -> None:
        self.queue.release()

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.queue) == sum(map(len, self.lists.values()))
        assert self.queue.in_flight == len(self.flying)

    @invariant()
    def knows_when_to_look_again(self) -> None:
        idle = [items[0].due_s for name, items in self.lists.items() if items and name not in self.flying]
        due = self.queue.next_due_s()
        assert not idle or min(idle) <= self.now_s or (due is not None and due <= min(idle))


TestQueueMachine = QueueMachine.TestCase
