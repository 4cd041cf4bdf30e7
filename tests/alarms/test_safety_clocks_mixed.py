"""SAFETY S2, S3: clocks set by any amount, several in a row, between gaps, restarts and backlog: delays stay right."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from davylamp_alarms.definition import AlarmDef, Kind, Priority
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Condition, Transition
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.plant import Plant, alarm, tag_def

HOURS_27_MS = 27 * 3_600_000
LEVEL, GAS, RARE = tag_def("LT-1101"), tag_def("AT-2201"), tag_def("AT-1", silence_ms=25_000)
DELAY_S = 30
STALE_S = 75
"""RARE is silent from the beginning; this is three of its longest silences."""

ALARMS: tuple[AlarmDef, ...] = (
    alarm(LEVEL, 0, Kind.H, 80, on_delay_ms=1_000 * DELAY_S, off_delay_ms=1_000 * DELAY_S),
    alarm(LEVEL, 0, Kind.STALE),
    alarm(GAS, 1, Kind.HH, 90, priority=Priority.RED),
    alarm(GAS, 1, Kind.STALE),
    alarm(RARE, 2, Kind.STALE),
)

Happening = tuple[str, int]
amounts = st.one_of(st.integers(1_000, 20_000), st.integers(1_000, 200_000), st.integers(1_000, HOURS_27_MS))
jumps = st.tuples(amounts, st.sampled_from([1, -1])).map(lambda both: both[0] * both[1])
happenings = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["host", "host", "edge"]), jumps),
        st.tuples(st.just("pass"), st.integers(1, 20)),
        st.tuples(st.sampled_from(["gap", "restart"]), st.integers(1, 20)),
        st.tuples(st.just("late"), st.integers(1, 100_000)),
    ),
    min_size=1,
    max_size=8,
)


@dataclass
class Story:
    """A level at one value, a red that stands and a tag that is silent; `true_s` is what no clock says."""

    value: float
    ticks_first: bool
    plant: Plant = field(default_factory=lambda: Plant([LEVEL, GAS, RARE], ALARMS))
    true_s: int = 0
    silent_since_s: int = 0
    silent_s: int = 0
    at_s: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.plant.read(50, after_s=0)
        self.plant.read(50, after_s=0, tag=2)
        self.second(gas=95)

    def second(self, gas: float = 95) -> None:
        """Let a second pass with both readings and a tick."""
        self._pass(1)
        told = self.plant.tick() if self.ticks_first else []
        told += [*self.plant.read(self.value, after_s=0), *self.plant.read(gas, after_s=0, tag=1)]
        self._hear(told if self.ticks_first else [*told, *self.plant.tick()])

    def happen(self, what: str, much: int) -> None:
        if what in ("host", "edge") and not self.ticks_first:  # a stamp between both settings could be by either clock
            self._hear(self.plant.tick())
        match what:
            case "host":
                self.plant.now_ms += much
                self.plant.offset_ms -= much
            case "edge":
                self.plant.offset_ms += much
            case "pass":
                for _ in range(much):
                    self.second()
            case "late":
                stamp_ms = self.plant.now_ms + self.plant.offset_ms - much * 1_000 - 20 * HOURS_27_MS
                self._hear(self.plant.read_at(50, stamp_ms, tag=0, late=True))
            case "restart":
                self.plant.engine = Engine.restore(self.plant.engine.snapshot())
                self._gap(much)
            case "gap":
                self._gap(much)

    def until(self, event: str, limit_s: int) -> int:
        """Return after how many seconds something happened."""
        while event not in self.at_s:
            assert self.true_s < limit_s, f"{event} did not happen in time: {self.at_s}"
            self.second()
        return self.at_s[event]

    def _gap(self, seconds: int) -> None:
        self._pass(seconds)
        if seconds > 5:
            self.silent_since_s = self.true_s
        self._hear(self.plant.tick())

    def _pass(self, seconds: int) -> None:
        self.plant.pass_time(seconds)
        self.true_s += seconds

    def _hear(self, told: Sequence[Transition]) -> None:
        for said in told:
            if said.tag == RARE.id:
                self.silent_s = self.true_s - self.silent_since_s
            self.at_s.setdefault(f"{said.tag.rpartition('/')[2]} {said.kind} {said.event}", self.true_s)


def told_right(story: Story, done: Sequence[Happening], event: str, since_s: int) -> None:
    """Let things happen, and hold one delay and one silence against the time that truly passed."""
    for what, much in done:
        story.happen(what, much)
    gaps_s = sum(much for what, much in done if what in ("gap", "restart"))
    called_s = story.until(event, since_s + DELAY_S + 2 + gaps_s)
    assert since_s + DELAY_S - 1 <= called_s <= since_s + DELAY_S + 1 + gaps_s
    story.until("AT-1 STALE raised", story.silent_since_s + STALE_S + 7)
    assert STALE_S - 1 <= story.silent_s <= STALE_S + 6, "a gap of more than five seconds begins anew"
    assert not {"LT-1101 STALE raised", "AT-2201 STALE raised"} & story.at_s.keys(), "a set clock is no silence"
    assert "AT-2201 HH cleared" not in story.at_s
    standing = {record.alarm: record.state.condition for record in story.plant.engine.standing()}
    assert standing[f"{GAS.id}#HH"] is Condition.ACTIVE
    story.second()
    story.second(gas=50)
    assert "AT-2201 HH cleared" in story.at_s, "a good value is heard as soon as a tick has told of the clock"


@settings(max_examples=40, deadline=None)
@given(happenings, st.booleans())
@example([("pass", 4), ("host", -5_000)], False)
@example([("pass", 4), ("edge", -5_000)], False)
@example([("host", 97_200_000), ("restart", 3), ("host", -97_200_000), ("edge", -97_200_000), ("late", 5)], True)
def test_s03_an_on_delay_and_silence_are_right_whatever_clocks_are_set(
    done: list[Happening], ticks_first: bool
) -> None:
    story = Story(85, ticks_first)
    told_right(story, done, "LT-1101 H raised", 1)


@settings(max_examples=40, deadline=None)
@given(happenings, st.booleans())
def test_s03_an_off_delay_is_right_whatever_clocks_are_set(done: list[Happening], ticks_first: bool) -> None:
    story = Story(85, ticks_first)
    story.until("LT-1101 H raised", DELAY_S + 3)
    story.value = 50
    since_s = story.true_s + 1
    story.second()
    told_right(story, done, "LT-1101 H cleared", since_s)


@pytest.mark.parametrize("by_ms", [2_000, 20_000, 100_000, HOURS_27_MS])
def test_s04_no_off_delay_ends_early_where_both_clocks_are_set_ahead_between_two_ticks(by_ms: int) -> None:
    story = Story(85, ticks_first=False)
    story.until("LT-1101 H raised", DELAY_S + 3)
    story.value = 50
    since_s = story.true_s + 1
    for _ in range(4):
        story.second()
    story.plant.now_ms += by_ms  # an edge's stamps are the host's and its offset: both go ahead, and its offset stays
    story.until("LT-1101 H cleared", since_s + DELAY_S + 6)
    assert story.at_s["LT-1101 H cleared"] >= since_s + DELAY_S - 1
