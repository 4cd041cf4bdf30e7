"""What edges say of the alarms they decide: no raise lost, none told twice, whatever comes late, twice or never."""

import math
from dataclasses import replace
from typing import Any

import pytest
from davylamp_alarms.batch import Batch
from davylamp_alarms.definition import Changes, Kind, Register
from davylamp_alarms.edge_heard import MOST_STRETCHES, is_missing, with_stretch, without
from davylamp_alarms.engine import Engine
from davylamp_alarms.explain import Because
from davylamp_alarms.told import EdgeSaid
from davylamp_alarms.transition import Command, Condition, Event, Lane, Op, Transition
from davylamp_wire.quality import GOOD, Reason, bad
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plant import alarm, tag_def

LEVEL = tag_def("LT-1101")
DEVICE = "park/edge-1/device"
HH = alarm(LEVEL, 0, Kind.HH, 90, deadband=2, local=True)
H = alarm(LEVEL, 0, Kind.H, 80, local=True)
NOTHING = Batch.of([], [], [], [], [], [], [])
AT_MS = 1_795_500_000_000


class Cloud:
    """An engine that hears an edge; `told` is everything it said."""

    def __init__(self, *alarms: Any) -> None:
        self.engine = Engine(Register((LEVEL,), alarms or (HH,)))
        self.seq = 0
        self.told: list[Transition] = []

    def born(self, run: int, *words: EdgeSaid, life: str = "a") -> list[str]:
        self.seq += 1
        said = [replace(word, seq=self.seq, life=life, run=run, found=True) for word in words]
        return self._heard(self.engine.edge_born(self.seq, DEVICE, life, run, said))

    def hear(self, *words: EdgeSaid) -> list[str]:
        self.seq += 1
        return self._heard(self.engine.apply(NOTHING, [replace(word, seq=self.seq) for word in words]))

    def read(self, value: float, quality: int = GOOD) -> list[str]:
        self.seq += 1
        at_ms = AT_MS + self.seq * 1000
        return self._heard(self.engine.apply(Batch.of([self.seq], [0], [at_ms], [value], [quality], [False], [at_ms])))

    def _heard(self, told: list[Transition]) -> list[str]:
        self.told += told
        return [f"{'late ' if t.lane is Lane.LATE else ''}{t.event} {t.letter}" for t in told]


def raised(no: int, run: int = 1, **more: Any) -> EdgeSaid:
    at_ms = AT_MS + no * 10_000
    said = EdgeSaid(
        0, 0, Kind.HH, "a", run, no, True, at_ms, at_ms, at_ms - 5_000 if no > 1 else None, 95.0, GOOD, 90.0
    )
    return replace(said, **more)


def returned(no: int, run: int = 1, **more: Any) -> EdgeSaid:
    raise_ms = AT_MS + no * 10_000
    said = EdgeSaid(0, 0, Kind.HH, "a", run, no, False, raise_ms + 5_000, raise_ms, None, 80.0, GOOD, 90.0, "v1")
    return replace(said, **more)


def test_s08_the_edge_raises_and_returns_and_no_reading_does() -> None:
    cloud = Cloud()
    assert cloud.read(99) == []
    cloud.born(1)
    assert cloud.hear(raised(1, limit=91.5, version="v7")) == ["raised B"]
    assert cloud.read(10) == []
    (said,) = cloud.told
    assert (said.value, said.limit, said.time_ms, said.raised_ms) == (95.0, 91.5, AT_MS + 10_000, AT_MS + 10_000)
    assert said.comment == "decided at the edge / 边缘判定: a-1, v7"
    assert cloud.hear(returned(1)) == ["cleared D"]
    assert cloud.read(99) == []


def test_what_is_said_twice_is_told_once() -> None:
    cloud = Cloud()
    cloud.born(1)
    heard = [cloud.hear(word) for word in (raised(1), raised(1), returned(1), raised(1), returned(1), returned(1))]
    assert heard == [["raised B"], [], ["cleared D"], [], [], []]


def test_s06_a_return_that_overtakes_its_raise_is_told_as_one_late_excursion() -> None:
    cloud = Cloud()
    cloud.born(1)
    assert cloud.hear(returned(1)) == ["late raised E"]
    assert cloud.hear(raised(1)) == []
    assert (cloud.told[0].raised_ms, cloud.told[0].late_until_ms) == (AT_MS + 10_000, AT_MS + 15_000)


def test_a_newer_raise_ends_what_stood_before_it_when_it_returned_there() -> None:
    cloud = Cloud()
    cloud.born(1)
    cloud.hear(raised(1))
    assert cloud.hear(raised(2)) == ["cleared D", "raised B"]
    assert cloud.told[1].time_ms == AT_MS + 15_000
    assert cloud.hear(returned(1)) == []


def test_s05_what_came_and_went_during_a_cut_is_told_late_once_and_what_stands_now_at_once() -> None:
    """The birth says where the alarm is; the backlog behind it tells of the rest, in its own lane."""
    cloud = Cloud()
    assert cloud.born(1, raised(3)) == ["raised B"]
    late = [raised(1), returned(1), raised(2), returned(2), raised(3)]
    heard = [cloud.hear(replace(word, late=True)) for word in late]
    assert heard == [["late raised E"], ["late updated E"], ["late updated E"], ["late updated E"], []]
    assert cloud.told[-1].late_until_ms == AT_MS + 25_000


def test_s05_a_lower_alarm_that_came_and_went_during_a_cut_goes_to_the_list_alone() -> None:
    cloud = Cloud(H)
    cloud.born(1, returned(1, kind=Kind.H))
    heard = [cloud.hear(replace(word, kind=Kind.H, late=True)) for word in (raised(1), returned(1))]
    assert heard == [["late recorded A"], ["late updated A"]]


def test_s03_a_birth_that_says_nothing_of_an_alarm_clears_nothing() -> None:
    cloud = Cloud()
    cloud.born(1)
    cloud.hear(raised(1))
    assert cloud.born(2) == []
    assert [record.state.condition for record in cloud.engine.standing()] == [Condition.ACTIVE]
    assert cloud.hear(returned(1, run=2, found=True)) == ["cleared D"]


def test_an_edge_that_lost_its_memory_is_believed_once_a_reading_has_shown_it() -> None:
    """A new journal counts from one again: what stood goes on as one occurrence, or ends by the edge's own evidence."""
    cloud = Cloud()
    cloud.born(1)
    cloud.hear(raised(7))
    assert cloud.born(1, life="b") == []
    assert cloud.hear(raised(1, life="b")) == []
    assert cloud.hear(returned(1, life="b")) == ["cleared D"]
    assert cloud.hear(raised(2, life="b")) == ["raised B"]


def test_an_edge_whose_journal_was_an_older_copy_is_believed_all_the_same() -> None:
    cloud = Cloud()
    cloud.born(9)
    for word in (raised(1, 9), returned(1, 9), raised(2, 9), returned(2, 9)):
        cloud.hear(word)
    cloud.born(4)
    assert cloud.hear(raised(2, 4)) == ["raised B"]
    assert cloud.hear(returned(2, 4)) == ["cleared D"]


def test_numbers_that_are_given_again_are_not_taken_for_those_that_were_missed() -> None:
    """The edge's memory was unreadable: it counts from one again, in the same life."""
    cloud = Cloud()
    cloud.born(1, raised(5))
    cloud.born(2)
    cloud.hear(returned(0, run=2, found=True))
    assert cloud.hear(raised(1, run=2)) == ["raised B"]
    assert cloud.hear(returned(1, run=2)) == ["cleared D"]
    assert cloud.hear(raised(2, run=2)) == ["raised B"]


def test_what_the_edge_forgot_in_a_crash_ends_by_evidence_of_its_next_run() -> None:
    """A raise that was sent and never reached its disk: the next run says what it sees (SAFETY S4)."""
    cloud = Cloud()
    cloud.born(1)
    cloud.hear(raised(3))
    cloud.born(2)
    assert cloud.hear(returned(2, run=2, found=True)) == ["cleared D"]


def test_s05_backlog_of_an_earlier_run_may_raise_and_never_clears() -> None:
    cloud = Cloud()
    cloud.born(2)
    assert cloud.hear(raised(1, run=1, late=True)) == ["raised B"]
    assert cloud.told[0].late
    assert cloud.hear(returned(1, run=1, late=True)) == ["updated B"]
    assert cloud.told[1].late_until_ms == AT_MS + 15_000
    assert cloud.hear(returned(1, run=2, found=True)) == ["cleared E"]


def test_an_alarm_that_persons_closed_sounds_again_while_its_edge_says_it_stands() -> None:
    cloud = Cloud()
    cloud.born(1)
    cloud.hear(raised(1))
    closed = cloud.engine.redefine(90, Changes(AT_MS, removed=(HH.id,), by="li", second="wang"))
    assert isinstance(closed, list)
    cloud.engine.redefine(91, Changes(AT_MS, alarms=(HH,)))
    cloud.seq = 91
    assert cloud.born(1, raised(1)) == ["raised B"]


def test_an_alarm_changes_its_author_without_a_sound() -> None:
    """From the cloud to the edge and back: what stands goes on standing, and the new author ends it (SAFETY S4)."""
    cloud = Cloud(replace(HH, local=False))
    cloud.read(95)
    told = cloud.engine.redefine(50, Changes(AT_MS, alarms=(HH,)))
    assert [t.event for t in told] == [Event.UPDATED]  # type: ignore[union-attr]  # not refused
    cloud.seq = 50
    assert cloud.read(10) == []
    assert cloud.born(1, raised(1)) == []
    assert cloud.hear(returned(1)) == ["cleared D"]
    assert cloud.hear(raised(2)) == ["raised B"]
    cloud.engine.redefine(70, Changes(AT_MS, alarms=(replace(HH, local=False),)))
    cloud.seq = 70
    assert cloud.read(10) == ["cleared D"]


def test_s04_an_alarm_that_its_edge_leaves_and_takes_back_while_it_stands_neither_clears_nor_sounds_again() -> None:
    cloud = Cloud()
    cloud.born(1)
    cloud.hear(raised(1))
    cloud.engine.redefine(50, Changes(AT_MS, alarms=(replace(HH, local=False),)))
    cloud.engine.redefine(60, Changes(AT_MS, alarms=(HH,)))
    cloud.seq = 60
    assert cloud.born(1) == []
    assert cloud.hear(raised(2, before_ms=None)) == []
    assert cloud.hear(raised(1), raised(2, before_ms=None)) == []
    assert cloud.hear(returned(2)) == ["cleared D"]
    assert cloud.hear(raised(3)) == ["raised B"]


def test_s01_what_is_beyond_its_limit_when_its_edge_leaves_it_is_raised_at_once() -> None:
    cloud = Cloud()
    cloud.born(1)
    cloud.read(95)
    told = cloud.engine.redefine(50, Changes(AT_MS, alarms=(replace(HH, local=False),)))
    assert [t.event for t in told] == [Event.RAISED]  # type: ignore[union-attr]  # not refused


def test_s16_s19_what_hides_an_alarm_hides_what_its_edge_says() -> None:
    cloud = Cloud(H)
    cloud.born(1)
    at_ms = AT_MS + 1_000
    hidden: dict[str, Any] = {"by": "li", "at_ms": at_ms, "until_ms": at_ms + 60_000, "comment": "test"}
    for seq, act, back in (
        (10, Command(Op.SHELVE, alarm=H.id, **hidden), Command(Op.UNSHELVE, "li", at_ms, alarm=H.id)),
        (
            20,
            Command(Op.TAKE_OUT, tag=LEVEL.id, reason="calibration", permit="HW-17", **hidden),
            Command(Op.RETURN, "li", at_ms, tag=LEVEL.id, comment="done"),
        ),
    ):
        cloud.engine.command(seq, act)
        cloud.seq = seq
        assert [word[:-1] for word in cloud.hear(raised(seq, kind=Kind.H))] == ["raised "]
        assert cloud.told[-1].suppressions
        assert cloud.told[-1].letter in "GI"
        cloud.engine.command(seq + 5, back)
        cloud.seq = seq + 5
        assert cloud.hear(returned(seq, kind=Kind.H)) == ["cleared D"]


def test_a_laxer_limit_from_the_edge_ends_nothing_that_stands() -> None:
    cloud = Cloud()
    cloud.born(1)
    cloud.hear(raised(1))
    told = cloud.engine.redefine(50, Changes(AT_MS, alarms=(replace(HH, limit=99),)))
    assert [t.event for t in told] == [Event.UPDATED]  # type: ignore[union-attr]  # not refused


def test_why_says_that_the_edge_decides() -> None:
    cloud = Cloud()
    cloud.born(1)
    cloud.hear(raised(1))
    (why,) = [e for e in cloud.engine.explain(LEVEL.id, AT_MS) if e.of.kind is Kind.HH]
    assert why.because is Because.AT_EDGE
    assert why.of.letter == "B"


def test_a_snapshot_keeps_what_was_heard() -> None:
    cloud = Cloud()
    cloud.born(1, returned(4))
    cloud.hear(raised(2, late=True))
    cloud.engine = Engine.restore(cloud.engine.snapshot())
    assert cloud.hear(raised(2, late=True), returned(2, late=True), raised(3, late=True)) == [
        "late updated E",
        "late updated E",
    ]
    assert cloud.hear(raised(3, late=True)) == []


@pytest.mark.parametrize("at", range(6))
def test_where_batches_are_cut_changes_nothing(at: int) -> None:
    """Words and readings of many records in one call, or one by one: the same transitions and the same memory."""
    words = [raised(1), returned(1), raised(3), returned(2), returned(3), raised(4)]
    said = [replace(word, seq=2 * n + 2) for n, word in enumerate(words)]
    fault = alarm(LEVEL, 0, Kind.FAULT)
    seqs = range(1, 13, 2)
    qualities = [GOOD, bad(Reason.LOOP_LOW)] * 3

    def batch(low: int, high: int) -> Batch:
        mine = [n for n in range(6) if low < seqs[n] <= high]
        times = [AT_MS + n for n in mine]
        values, lates = [50.0 if n % 2 == 0 else math.nan for n in mine], [False] * len(mine)
        return Batch.of(
            [seqs[n] for n in mine], [0] * len(mine), times, values, [qualities[n] for n in mine], lates, times
        )

    whole, cut = (Engine(Register((LEVEL,), (HH, fault))) for _ in range(2))
    one = whole.apply(batch(0, 99), said)
    edge = 2 * at + 1
    two = cut.apply(batch(0, edge), [word for word in said if word.seq <= edge])
    two += cut.apply(batch(edge, 99), [word for word in said if word.seq > edge])
    assert one == two
    assert str(whole.snapshot()) == str(cut.snapshot())


def test_what_is_missing_is_kept_in_stretches() -> None:
    missing = with_stretch(with_stretch((), 1, 5), 8, 8)
    assert with_stretch(missing, 9, 8) == missing
    assert [no for no in range(10) if is_missing(missing, no)] == [1, 2, 3, 4, 5, 8]
    assert without(without(missing, 3), 8) == ((1, 2), (4, 5))
    assert without(missing, 6) == missing


def test_stretches_that_nobody_will_ever_fill_do_not_grow_without_end_and_lose_no_raise() -> None:
    cloud = Cloud()
    cloud.born(1)
    for no in range(2, 4 * MOST_STRETCHES, 2):
        cloud.hear(raised(no), returned(no))
    (heard,) = cloud.engine._memory.heard.values()
    assert len(heard.missing) == MOST_STRETCHES
    assert all(is_missing(heard.missing, no) for no in range(1, 4 * MOST_STRETCHES - 2, 2))
    assert cloud.hear(raised(1, late=True)) == ["late raised E"]


OCCURRENCES = 6


@settings(max_examples=300)
@given(st.data())
def test_s06_in_whatever_order_words_come_each_occurrence_is_told_once(data: st.DataObject) -> None:
    """One run of an edge: words are lost on the way and come again late, behind a birth that says what stands now."""
    count = data.draw(st.integers(1, OCCURRENCES))
    words = [word for no in range(1, count + 1) for word in (raised(no), returned(no))]
    words = words[: data.draw(st.integers(1, len(words)))]
    cloud = Cloud()
    cloud.born(1)
    order = data.draw(st.permutations(range(len(words))))
    again = data.draw(st.lists(st.integers(0, len(words) - 1), max_size=4))
    born_at = data.draw(st.integers(0, len(order)))
    for place, at in enumerate([*order, *again]):
        if place == born_at:
            cloud.born(1, words[-1])
        cloud.hear(words[at])
    cloud.born(1, words[-1])
    standing = [r for r in cloud.engine.standing() if r.state.condition is Condition.ACTIVE]
    assert bool(standing) is words[-1].active
    numbers = {word.no for word in words}
    assert {number_of(t) for t in cloud.told} == numbers
    loud = [number_of(t) for t in cloud.told if t.event is Event.RAISED and t.lane is Lane.LIVE]
    assert sorted(loud) == sorted(set(loud))
    if words[-1].active:
        assert words[-1].no in loud


def number_of(told: Transition) -> int:
    return int(told.comment.partition(",")[0].rpartition("-")[2])
