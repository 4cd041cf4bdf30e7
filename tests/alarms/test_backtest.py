"""A backtest is the live engine over recorded records: today's rules give today's transitions, others what differs."""

from dataclasses import replace

from davylamp_alarms.backtest.compare import compare, in_alarm_ms
from davylamp_alarms.backtest.run import Link, Recorded, Tick, run
from davylamp_alarms.backtest.spans import Span, spans
from davylamp_alarms.batch import Batch
from davylamp_alarms.definition import Kind, Register
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Transition
from davylamp_wire.quality import GOOD
from support.plant import NODE, START_MS, alarm, tag_def

LEVEL = tag_def("LT-1101")
HIGH = alarm(LEVEL, 0, Kind.H, 80.0)
RULES = Register((LEVEL,), (HIGH, alarm(LEVEL, 0, Kind.STALE)))
RAMP = [*range(70, 100), *range(100, 70, -1), *range(70, 84), *range(84, 70, -1)]
END_MS = START_MS + len(RAMP) * 1000


def reading(row: int, value: float) -> Batch:
    at_ms = START_MS + row * 1000
    return Batch.of([2 * row + 1], [0], [at_ms], [value], [GOOD], [False], [at_ms])


def records() -> list[Recorded]:
    found: list[Recorded] = [Link(0, NODE, up=True, at_ms=START_MS)]
    for row, value in enumerate(RAMP):
        found += [reading(row, value), Tick(2 * row + 2, START_MS + row * 1000)]
    return found


def with_limit(limit: float) -> Register:
    return replace(RULES, alarms=(replace(HIGH, limit=limit), *RULES.alarms[1:]))


def spans_of(register: Register) -> tuple[Span, ...]:
    return spans((said.transition for said in run(register, records())), END_MS)


def test_todays_rules_give_the_live_transitions() -> None:
    engine = Engine(RULES)
    live: list[Transition] = engine.link(0, NODE, up=True, now_ms=START_MS)
    for row, value in enumerate(RAMP):
        at_ms = START_MS + row * 1000
        live += engine.apply(reading(row, value))
        live += engine.tick(2 * row + 2, at_ms, at_ms, "live", {})
    assert live
    assert [said.transition for said in run(RULES, records())] == live
    found = spans_of(RULES)
    assert len(compare(found, found).same) == len(found) == 2


def test_a_higher_limit_comes_later_and_loses_the_small_peak() -> None:
    changed = compare(spans_of(RULES), spans_of(with_limit(90.0)))
    assert [(now.from_ms - was.from_ms) for was, now in changed.later] == [10_000]
    assert len(changed.gone) == 1
    assert not changed.added + changed.earlier


def test_a_lower_limit_comes_earlier_and_stands_longer() -> None:
    before, after = spans_of(RULES), spans_of(with_limit(75.0))
    changed = compare(before, after)
    assert [(was.from_ms - now.from_ms) for was, now in changed.earlier] == [5_000, 5_000]
    assert in_alarm_ms(after)[HIGH.id] > in_alarm_ms(before)[HIGH.id]


def test_what_stands_at_the_end_stands_until_the_end() -> None:
    found = spans((said.transition for said in run(RULES, records()[:40])), END_MS)
    assert [(span.to_ms, span.ended) for span in found] == [(END_MS, False)]
