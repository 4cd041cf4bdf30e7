"""The engine is a function of the log: not of how batches are cut, nor of where it was saved and restored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from davylamp_alarms import moving
from davylamp_alarms.batch import Batch
from davylamp_alarms.definition import (
    WARNING_KINDS,
    AlarmDef,
    Changes,
    GroupDef,
    Kind,
    MaskDef,
    Member,
    PointKind,
    Priority,
    Register,
    said_rule,
)
from davylamp_alarms.engine import Engine
from davylamp_alarms.fields import fields_of
from davylamp_alarms.lone import COUNTED
from davylamp_alarms.transition import Command, Event, Op, Refusal, Transition
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plant import NODE, START_MS, alarm, link_alarm, tag_def, warning

LEVEL = tag_def("LT-1101")
GAS = tag_def("AT-2201", PointKind.GAS, silence_ms=2_000)
COMM = tag_def("comm_ok", PointKind.STATUS)
TAGS = (LEVEL, GAS, COMM)
ALARMS: tuple[AlarmDef, ...] = (
    alarm(LEVEL, 0, Kind.HH, 90, deadband=2.0, off_delay_ms=2_000),
    alarm(LEVEL, 0, Kind.H, 80, on_delay_ms=2_000),
    alarm(LEVEL, 0, Kind.L, 20, on_delay_ms=1_000, off_delay_ms=1_000),
    alarm(LEVEL, 0, Kind.LL, 10, latch=True),
    alarm(LEVEL, 0, Kind.FAULT, on_delay_ms=3_000),
    alarm(LEVEL, 0, Kind.STALE),
    alarm(GAS, 1, Kind.L1, 25),
    alarm(GAS, 1, Kind.L2, 50, latch=True),
    alarm(GAS, 1, Kind.OVER_RANGE, latch=True),
    alarm(GAS, 1, Kind.FAULT, on_delay_ms=3_000),
    alarm(GAS, 1, Kind.STALE),
    alarm(COMM, 2, Kind.COMM, 0.5),
    link_alarm(),
    warning(
        LEVEL, 0, Kind.TREND, {"samples": 6, "horizon_s": 60, "confidence": 0.1, "share": 0.1}, towards=["HH", "H", "L"]
    ),
    warning(LEVEL, 0, Kind.RATE, {"window_s": 2, "limit": 60}, on_delay_ms=1_500, off_delay_ms=1_000),
    warning(GAS, 1, Kind.FROZEN, {"still_s": 3, "band": 1}),
    warning(GAS, 1, Kind.EWMA, {"tau_s": 3, "limit": 1, "mean": 10, "deviation": 4, "every_s": 1.5}),
    warning(COMM, 2, Kind.EXPRESSION, {"text": "LT_1101 > 50 and AT_2201 < 30"}, inputs=["LT-1101", "AT-2201"]),
)
MASKS = (
    MaskDef("cleaning", LEVEL.hazard_source, (ALARMS[1].id, ALARMS[4].id), people=COMM.id),
    MaskDef("blasting", LEVEL.hazard_source, (ALARMS[1].id, ALARMS[6].id), input=COMM.id),
)
MEMBERS = tuple(
    Member(ALARMS[row].id, (ALARMS[fault].id, ALARMS[11].id, link_alarm().id))
    for row, fault in ((1, 4), (2, 5), (6, 9))
)
GROUP = GroupDef(f"{NODE}/device/three", LEVEL.hazard_source, MEMBERS, need=2, blind_at=2, guard=Priority.ORANGE)
REGISTER = Register(
    TAGS,
    ALARMS,
    shifts_ms=((START_MS + 9_000) % 86_400_000,),
    masks=MASKS,
    one_person=(NODE.split("/")[0],),
    groups=(GROUP,),
)

VALUES = st.sampled_from(
    [0.0, 1.0, 5.0, 10.0, 15.0, 20.0, 30.0, 55.0, 79.0, 80.0, 85.0, 88.0, 90.0, 95.0, float("nan")]
)
QUALITIES = st.sampled_from(
    [GOOD] * 6 + [bad(Reason.COMM), bad(Reason.LOOP_LOW), uncertain(Reason.CLOCK), uncertain(Reason.OVER_RANGE)]
)

TUNED: tuple[tuple[int, dict[str, Any]], ...] = (
    (0, {"deadband": 0.5}),
    (0, {"limit": 94.0, "off_delay_ms": 0}),
    (1, {"on_delay_ms": 500}),
    (1, {"on_delay_ms": 6_000, "priority": Priority.RED}),
    (3, {"latch": False}),
    (6, {"limit": 12.0, "on_delay_ms": 1_000}),
    (7, {"latch": False, "limit": 60.0}),
    (14, {"rule": said_rule({"window_s": 2, "limit": 30})}),
    (14, {"rule": said_rule({"window_s": 4, "limit": 60})}),
    (14, {"rule": said_rule({"window_s": "long"})}),
    (17, {"rule": said_rule({"text": "LT_1101 > 70"}, ["LT-1101"])}),
)
"""Edits by two persons: which alarm, and what of it."""


@dataclass(frozen=True)
class Reading:
    tag: int
    value: float
    quality: int
    age_ms: int
    late: bool


readings = st.builds(
    Reading,
    st.integers(0, 2),
    VALUES,
    QUALITIES,
    st.sampled_from([0, 0, 0, 0, 100, 1_000, 5_000, 40_000]),
    st.booleans().flatmap(lambda late: st.booleans() if late else st.just(False)),
)
records = st.one_of(
    st.tuples(st.just("data"), st.lists(readings, min_size=1, max_size=5)),
    st.tuples(st.just("data"), st.lists(readings, min_size=1, max_size=5)),
    st.tuples(st.just("tick"), st.sampled_from([1_000, 1_000, 1_000, 400, 7_000, 1_900_000])),
    st.tuples(st.just("offset"), st.sampled_from([0, 3_000, -3_600_000])),
    st.tuples(st.just("link"), st.booleans()),
    st.tuples(st.just("ack"), st.integers(0, 5)),
    st.tuples(st.just("reset"), st.integers(0, 5)),
    st.tuples(st.just("shelve"), st.integers(0, len(ALARMS) - 1)),
    st.tuples(st.just("unshelve"), st.integers(0, len(ALARMS) - 1)),
    st.tuples(st.just("mask"), st.integers(0, 1)),
    st.tuples(st.just("unmask"), st.integers(0, 1)),
    st.tuples(st.just("take_out"), st.integers(0, 2)),
    st.tuples(st.just("return"), st.integers(0, 2)),
    st.tuples(st.just("review"), st.integers(0, 3)),
    st.tuples(st.just("remove"), st.integers(0, 1)),
    st.tuples(st.just("regroup"), st.integers(1, 3)),
    st.tuples(st.just("edit"), st.sampled_from([75.0, 80.0, 86.0])),
    st.tuples(st.just("tune"), st.integers(0, len(TUNED) - 1)),
)


def ramp(start: float, slope: float, tag: int) -> list[tuple[str, Any]]:
    """Return readings that go on in one direction, with a tick after each: what statistical rules are about."""
    values = (start + slope * step for step in range(9))
    return [record for v in values for record in (("data", [Reading(tag, v, GOOD, 0, False)]), ("tick", 1_000))]


ramps = st.builds(ramp, st.sampled_from([20.0, 55.0, 70.0]), st.sampled_from([-4.0, 0.0, 1.5, 4.0]), st.integers(0, 1))
logs = st.lists(st.one_of(records.map(lambda record: [record]), ramps), min_size=1, max_size=25).map(
    lambda parts: [record for part in parts for record in part][:70]
)


class Run:
    """Plays a log. What a person does depends on what stands then, which is a function of the log as well."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.now_ms, self.offset_ms = engine, START_MS, 0
        self.set_ms = 0
        self.said: list[Any] = []
        self.waiting: list[Batch] = []

    def play(self, log: Sequence[tuple[str, Any]], cuts: set[int], saves: set[int]) -> list[Any]:
        for seq, (what, detail) in enumerate(log):
            if what == "data":
                self.now_ms += 50
                self.waiting.append(self._batch(seq, detail))
            else:
                self.flush()
                self._happen(seq, what, detail)
            if seq in cuts:
                self.flush()
            if seq in saves:
                self.flush()
                self.engine = Engine.restore(self.engine.snapshot())
        self.flush()
        return self.said

    def flush(self) -> None:
        self.said += self.engine.apply(Batch.concat(self.waiting))
        self.waiting = []

    def _batch(self, seq: int, found: Sequence[Reading]) -> Batch:
        edge_ms = self.now_ms + self.offset_ms
        return Batch.of(
            [seq] * len(found),
            [r.tag for r in found],
            [edge_ms - r.age_ms for r in found],
            [r.value for r in found],
            [r.quality for r in found],
            [r.late for r in found],
            [self.now_ms] * len(found),
        )

    def _happen(self, seq: int, what: str, detail: Any) -> None:
        match what:
            case "tick":
                self.now_ms += detail
                passed_ms = self.now_ms - START_MS - self.set_ms
                told = self.engine.tick(seq, self.now_ms, passed_ms, "boot", {NODE: self.offset_ms})
            case "host":
                self.now_ms, self.set_ms = self.now_ms + detail, self.set_ms + detail
                told = []
            case "offset":
                self.offset_ms = detail
                told = []
            case "link":
                told = self.engine.link(seq, NODE, detail, self.now_ms)
            case "edit":
                changed = replace(ALARMS[1], limit=detail)
                self.said.append(self.engine.redefine(seq, Changes(self.now_ms, alarms=(changed,), by="li")))
                return
            case "tune":
                row, fields = TUNED[detail]
                changes = Changes(self.now_ms, alarms=(replace(ALARMS[row], **fields),), by="li", second="wang")
                before = self.engine.snapshot()
                seen = self.engine.preview_edit(changes)
                assert same(before, self.engine.snapshot()), "a preview changes nothing"
                self.said += [seen, self.engine.redefine(seq, changes)]
                return
            case "regroup":
                changes = Changes(self.now_ms, groups=(replace(GROUP, need=detail),), by="li", second="wang")
                self.said.append(self.engine.redefine(seq, changes))
                return
            case "remove":
                changes = Changes(self.now_ms, removed=(ALARMS[1].id,), by="li", second="wang" * detail)
                self.said.append(self.engine.redefine(seq, changes))
                return
            case _:
                self.said.append(self.engine.command(seq, self._command(what, detail)))
                return
        self.said += told

    def _command(self, what: str, detail: int) -> Command:
        if what in ("shelve", "unshelve"):
            op, name = Op(what), ALARMS[detail].id
            until_ms = self.now_ms + 5_000
            return Command(op, "li", self.now_ms, alarm=name, comment="x", second="wang", until_ms=until_ms)
        if what in ("mask", "unmask"):
            until_ms, name = self.now_ms + 5_000, MASKS[detail].id
            return Command(Op(what), "li", self.now_ms, mask=name, comment="x", until_ms=until_ms)
        if what in ("take_out", "return"):
            alone = {"break_glass": True, "comment": "nobody else is here", "until_ms": self.now_ms + 5_000}
            out = {"tag": TAGS[detail].id, "reason": "calibration", "permit": "1", **alone}
            return Command(Op(what), "li", self.now_ms, **out)  # type: ignore[arg-type]  # the fields are named above
        if what == "review":
            owed = [*sorted(self.engine.reviews()), "none"]
            name = owed[detail % len(owed)]
            return Command(Op.REVIEW, "zhao", self.now_ms, role="regulator", review=name, comment="seen")
        standing = self.engine.standing()
        seen = standing[detail % len(standing)] if standing else None
        op = Op.ACKNOWLEDGE if what == "ack" else Op.RESET
        occurrence, version = (seen.occurrence, seen.version) if seen else ("none", 0)
        return Command(op, "li", self.now_ms, occurrence=occurrence, version=version)


@settings(max_examples=200, deadline=None)
@given(logs, st.sets(st.integers(0, 70)), st.sets(st.integers(0, 70), max_size=4))
def test_cuts_and_restarts_change_nothing(log: list[tuple[str, Any]], cuts: set[int], saves: set[int]) -> None:
    one = Run(Engine(REGISTER))
    whole = one.play(log, set(), set())
    other = Run(Engine(REGISTER))
    assert other.play(log, cuts, saves) == whole
    assert same(other.engine.snapshot(), one.engine.snapshot())
    assert _ordered(whole)


@settings(max_examples=100, deadline=None)
@given(logs)
def test_a_snapshot_gives_itself_back_bit_for_bit(log: list[tuple[str, Any]]) -> None:
    run = Run(Engine(REGISTER))
    run.play(log, set(), set())
    saved = run.engine.snapshot()
    assert same(Engine.restore(saved).snapshot(), saved)


@settings(max_examples=200, deadline=None)
@given(logs)
def test_s23_numbers_have_no_gap_whatever_happens(log: list[tuple[str, Any]]) -> None:
    said = Run(Engine(REGISTER)).play(log, set(), set())
    told = [t for item in said for t in (item if isinstance(item, list) else [item]) if isinstance(t, Transition)]
    assert [t.source_no for t in told] == list(range(1, len(told) + 1))
    versions: dict[str, int] = {}
    for t in told:
        versions[t.occurrence] = versions.get(t.occurrence, 0) + 1
        assert t.version == versions[t.occurrence]


@settings(max_examples=200, deadline=None)
@given(logs, st.randoms(use_true_random=False))
def test_s06_disorder_and_duplicates_settle_in_the_same_standing_alarms(
    log: list[tuple[str, Any]], random: Any
) -> None:
    """Delays apart, which time decides: after the next good live value the conditions are those of the sorted run."""
    values = [(r.tag, r.value, r.quality) for what, d in log if what == "data" for r in d]
    stream = [(START_MS + 1_000 * n, *value) for n, value in enumerate(values)]
    mixed = sorted(stream + random.sample(stream, len(stream) // 5), key=lambda r: r[0] + random.uniform(0, 60_000))
    end_ms = START_MS + 1_000 * len(stream) + 90_000
    last = [(end_ms, tag, 50.0 if tag == 0 else 1.0, GOOD) for tag in range(3)]
    assert _conditions(stream + last) == _conditions(mixed + last)


def _conditions(stream: list[tuple[int, int, float, int]]) -> set[str]:
    """Return what stands at the end, and check that nothing over a limit went unheard."""
    instant = tuple(replace(a, on_delay_ms=0, off_delay_ms=0) for a in ALARMS if a.kind is not Kind.STALE)
    engine = Engine(Register(TAGS, instant))
    heard: set[str] = set()
    for seq, (time_ms, tag, value, quality) in enumerate(stream):
        told = engine.apply(Batch.of([seq], [tag], [time_ms], [value], [quality], [False], [time_ms + 70_000]))
        heard |= {t.alarm_id for t in told}
        if tag == 0 and quality >> 8 < 2 and value >= 90:
            assert ALARMS[0].id in heard
    return {r.alarm for r in engine.standing() if r.state.condition == "active"}


def test_the_state_of_a_tag_with_four_limits_fits_in_250_bytes() -> None:
    tags = tuple(tag_def(f"LT-{n}") for n in range(1_000))
    kinds = (Kind.HH, Kind.H, Kind.L, Kind.LL, Kind.FAULT, Kind.STALE)
    alarms = tuple(alarm(tag, n, kind, 50, on_delay_ms=3_000) for n, tag in enumerate(tags) for kind in kinds)
    assert Engine(Register(tags, alarms)).nbytes <= 250 * len(tags)


def test_a_batch_that_names_an_unknown_tag_is_refused_before_it_changes_anything() -> None:
    engine = Engine(REGISTER)
    before = engine.snapshot()
    for tag in (-1, len(TAGS)):
        with pytest.raises(IndexError):
            engine.apply(Batch.of([0], [tag], [0], [0.0], [GOOD], [False], [0]))
    assert same(engine.snapshot(), {**before, "head": engine.snapshot()["head"]})


def test_warnings_come_and_go_in_such_logs() -> None:
    log = [*ramp(20, 4, 0), *ramp(20, 0, 1), *ramp(52, -4, 0), *ramp(20, 0, 0), *ramp(20, 4, 1)]
    run = Run(Engine(REGISTER))
    told = [said for said in run.play(log, set(), set()) if isinstance(said, Transition)]
    assert {said.kind for said in told if said.event is Event.RAISED} >= WARNING_KINDS & {a.kind for a in ALARMS}
    assert {said.kind for said in told if said.event is Event.CLEARED} >= {Kind.RATE, Kind.FROZEN}


def _ordered(said: list[Any]) -> bool:
    told = [t for t in said if isinstance(t, Transition) and t.kind not in COUNTED]
    places = {tag.id: n for n, tag in enumerate(TAGS)}
    kinds = list(Kind)
    keys = [(t.seq, places.get(t.tag, -1), kinds.index(t.kind)) for t in told]
    return keys == sorted(keys)


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Return whether two snapshots are equal to the bit."""
    return left.keys() == right.keys() and all(_bits(left[key]) == _bits(right[key]) for key in left)


def _bits(value: Any) -> bytes:
    return value.tobytes() if isinstance(value, np.ndarray) else bytes(value)


# warnings beside limit alarms: the same log, with warnings and without, tells the same of all others

BOTH = ["LT-1101", "AT-2201"]
MORE = (
    warning(LEVEL, 0, Kind.DEVIATION, {"limit": 5}, inputs=BOTH, off_delay_ms=2_000),
    warning(LEVEL, 0, Kind.CUSUM, {"limit": 1, "mean": 50, "deviation": 5}, latch=True),
    warning(COMM, 2, Kind.COMMAND, {"allow_s": 1}, inputs=BOTH, on_delay_ms=1_000),
)
LIMITS = tuple(alarm for alarm in ALARMS if alarm.kind not in WARNING_KINDS)
WARNINGS = (*(alarm for alarm in ALARMS if alarm.kind in WARNING_KINDS), *MORE)


def hiding(mask: MaskDef) -> MaskDef:
    """Return a mask that hides warnings, too."""
    return replace(mask, alarms=(*mask.alarms, WARNINGS[0].id, WARNINGS[1].id, MORE[0].id))


BARE = replace(REGISTER, alarms=LIMITS)
WARNED = replace(REGISTER, alarms=(*LIMITS, *WARNINGS), masks=tuple(map(hiding, MASKS)))


class Aside(Run):
    """Plays a log in which persons act on warnings, too; what they do to others depends on others alone."""

    def _happen(self, seq: int, what: str, detail: Any) -> None:
        if what == "start":
            self.engine.begin_run(seq, f"r{seq}")
        elif what == "tune" and ALARMS[TUNED[detail][0]].kind in WARNING_KINDS and not self._warned:
            return
        else:
            super()._happen(seq, what, detail)

    @property
    def _warned(self) -> bool:
        return self.engine.definition(WARNINGS[-1].id) is not None

    def _command(self, what: str, detail: int) -> Command:
        if what in ("ack", "reset"):
            of_limits = [record for record in self.engine.standing() if record.kind not in WARNING_KINDS]
            seen = of_limits[detail % len(of_limits)] if of_limits else None
            occurrence, version = (seen.occurrence, seen.version) if seen else ("none", 0)
            op = Op.ACKNOWLEDGE if what == "ack" else Op.RESET
            return Command(op, "li", self.now_ms, occurrence=occurrence, version=version)
        if what in ("ack_warning", "shelve_warning"):
            return self._on_a_warning(what, detail)
        return super()._command(what, detail)

    def _on_a_warning(self, what: str, detail: int) -> Command:
        name = WARNINGS[detail % len(WARNINGS)].id
        if what == "shelve_warning":
            until_ms = self.now_ms + 5_000
            return Command(Op.SHELVE, "li", self.now_ms, alarm=name, comment="x", second="wang", until_ms=until_ms)
        seen = next((record for record in self.engine.standing() if record.alarm == name), None)
        occurrence, version = (seen.occurrence, seen.version) if seen else ("none", 0)
        return Command(Op.ACKNOWLEDGE, "li", self.now_ms, occurrence=occurrence, version=version)


ACTS = st.one_of(
    st.tuples(st.just("ack_warning"), st.integers(0, 7)),
    st.tuples(st.just("shelve_warning"), st.integers(0, 7)),
    st.tuples(st.just("start"), st.just(0)),
)
with_acts = st.lists(st.one_of(st.one_of(records, ACTS).map(lambda record: [record]), ramps), min_size=1, max_size=25)
either = st.one_of(logs, with_acts.map(lambda parts: [record for part in parts for record in part][:70]))


def of_limits(said: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what was told of all but warnings, without the numbers that a hazard source's alarms share."""
    parts = [part for item in said for part in (item if isinstance(item, list) else [item])]
    told = [part for part in parts if isinstance(part, Transition) and part.kind not in WARNING_KINDS]
    return [{k: v for k, v in fields_of(t).items() if k not in ("source_no", "occurrence")} for t in told]


def refusals(said: Sequence[Any], log: Sequence[tuple[str, Any]]) -> list[tuple[int, str]]:
    """Return what was refused of all that is about no warning."""
    about = {seq for seq, (what, detail) in enumerate(log) if _of_a_warning(what, detail)}
    return [(one.seq, one.why) for one in said if isinstance(one, Refusal) and one.seq not in about]


def _of_a_warning(what: str, detail: Any) -> bool:
    if what in ("shelve", "unshelve"):
        return ALARMS[detail].kind in WARNING_KINDS
    if what == "tune":
        return ALARMS[TUNED[detail][0]].kind in WARNING_KINDS
    return what.endswith("_warning")


@settings(max_examples=100, deadline=None)
@given(either, st.sets(st.integers(0, 70), max_size=4))
def test_warnings_change_nothing_of_what_is_told_of_other_alarms(log: list[tuple[str, Any]], saves: set[int]) -> None:
    bare, warned = Aside(Engine(BARE)), Aside(Engine(WARNED))
    without, beside = bare.play(log, set(), saves), warned.play(log, set(), saves)
    assert of_limits(beside) == of_limits(without)
    assert refusals(beside, log) == refusals(without, log)


class Restless(Aside):
    """Plays a log with an engine that spares itself nothing: what no news can move is worked out all the same."""

    def _happen(self, seq: int, what: str, detail: Any) -> None:
        self.engine._memory.quiet = False
        super()._happen(seq, what, detail)


SECOND = st.lists(st.tuples(st.just("data"), st.lists(readings, min_size=1, max_size=5)), min_size=1, max_size=6)
WAITS = st.sampled_from([200, 1_000, 2_000, 4_000]).map(lambda passed_ms: ("tick", passed_ms))
seconds = st.lists(
    st.one_of(
        st.tuples(SECOND, WAITS, WAITS).map(lambda found: [*found[0], *found[1:]]),
        st.tuples(st.just("host"), st.sampled_from([-60_000, 4_000])).map(lambda record: [record, ("tick", 200)]),
        st.one_of(records, ACTS).map(lambda record: [record, ("tick", 200)]),
        ramps,
    ),
    min_size=1,
    max_size=20,
).map(lambda parts: [record for part in parts for record in part][:70])
"""Seconds of several records each, of any quality and age and a tag more than once, with clocks set between them."""


@settings(max_examples=100, deadline=None)
@given(seconds, st.sets(st.integers(0, 70)), st.sets(st.integers(0, 70), max_size=4))
def test_what_is_spared_would_have_changed_nothing(log: list[tuple[str, Any]], cuts: set[int], saves: set[int]) -> None:
    """Quiet ticks and standing warnings that go on, wherever the readings between two ticks are cut."""
    thrifty, restless = Aside(Engine(WARNED)), Restless(Engine(WARNED))
    told = thrifty.play(log, cuts, saves)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving, "_moving", lambda memory, warner, at, *_: np.arange(len(at)))
        assert restless.play(log, set(), set()) == told
    assert same(restless.engine.snapshot(), thrifty.engine.snapshot())


def test_such_logs_raise_hide_and_edit_warnings() -> None:
    """What is compared above does happen: else it would show nothing."""
    shelved = [("shelve_warning", 0), ("shelve_warning", 1)]
    hidden = [*shelved, *ramp(20, 0, 1), *ramp(20, 4, 0), ("mask", 0), *ramp(52, 4, 0)]
    run = Aside(Engine(WARNED))
    told = [t for item in run.play(hidden, set(), {5}) for t in (item if isinstance(item, list) else [item])]
    events = {(t.kind, str(t.event)) for t in told if isinstance(t, Transition)}
    assert {(Kind.TREND, "shelved"), (Kind.TREND, "raised"), (Kind.DEVIATION, "raised"), (Kind.H, "raised")} <= events
