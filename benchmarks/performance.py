"""What the alarm system's own performance costs: KPIs of a month out of a million transitions, and hearing each one.

The transitions are put into state.db as rows with short bodies, which the KPIs do not read.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from davylamp_alarms.definition import Kind, Priority
from davylamp_alarms.performance.kpis import DAY_MS, kpis
from davylamp_alarms.performance.watch import Performance
from davylamp_alarms.transition import Condition, Event, Lane, Letter, Transition
from davylamp_cloud.listening import Heard, listen
from davylamp_cloud.step import Step
from davylamp_cloud.store import schema
from davylamp_cloud.store.history import history
from davylamp_cloud.store.state import State

from benchmarks.report import Figure, Report, at_most
from benchmarks.timing import median_s

TRANSITIONS, ALARMS, DAYS = 1_000_000, 2_000, 60
START_MS = 1_760_000_000_000
CHUNK, SLICE = 10_000, 100
HEARD = 9_999
"""Transitions that are heard in a run: whole lives in calm, raises in a flood."""

LIFE = ((Event.RAISED, False), (Event.ACKNOWLEDGED, True), (Event.CLEARED, True))
"""What becomes of an alarm, and whether it is acknowledged then."""

TEMPLATE = Transition(
    seq=1, hazard_source="", source_no=1, occurrence="", version=1, alarm_id="", lane=Lane.LIVE, tag="", kind=Kind.H,
    priority=Priority.RED, event=Event.RAISED, condition=Condition.ACTIVE, quality=192, acknowledged=False,
    latched=False, suppressions=(), letter=Letter.B, value=95.0, limit=90.0, time_ms=START_MS, due_ms=None,
    raised_ms=START_MS, late=False, late_until_ms=None, scan_ms=1_000, actor="", comment="",
)  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    parser.add_argument("--transitions", type=int, default=TRANSITIONS, help="stored over 60 days; %(default)s")


def run(transitions: int = TRANSITIONS) -> Report:
    """Measure the KPIs of the last 30 of 60 days, hearing in calm and in a flood, and saving a flood's memory."""
    report = Report("performance")
    with tempfile.TemporaryDirectory() as name:
        _ask(report, Path(name) / "state.db", transitions)
    _hear(report, "calm", [step for life in range(HEARD // len(LIFE)) for step in _life(life)])
    heard = _hear(report, "flood, 100 raises/s", [_raise(number) for number in range(HEARD)])
    report.add(at_most("saving the memory of that flood", median_s(heard.dump) * 1e3, "ms", 30))
    return report


def _ask(report: Report, path: Path, transitions: int) -> None:
    state = State(path)
    _store(state, transitions)
    to_ms = START_MS + DAYS * DAY_MS
    from_ms = to_ms - 30 * DAY_MS

    def ask() -> None:
        with state.reading() as connection:
            found = history(connection, "park", from_ms, to_ms, from_ms - 30 * DAY_MS)
        kpis(found.columns, from_ms, to_ms)

    report.add(at_most(f"KPIs of 30 days, {transitions:,} transitions in 60", median_s(ask), "s", 0.5))
    with state.writing() as connection:
        connection.exec_driver_sql("DROP INDEX transitions_by_alarm")
    state.close()
    began_s = time.perf_counter()
    State(path).close()
    report.add(
        Figure("making the index once, at the start after a change of version", time.perf_counter() - began_s, "s")
    )


def _store(state: State, transitions: int) -> None:
    """Store lives of alarms at random moments, alarms that come often and such that come seldom."""
    rows = _rows(transitions)
    while chunk := list(islice(rows, CHUNK)):
        with state.writing() as connection:
            connection.execute(schema.TRANSITIONS.insert(), chunk)


def _rows(transitions: int) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(18)
    times = np.sort(random.integers(START_MS, START_MS + DAYS * DAY_MS, transitions)).tolist()
    alarms = (ALARMS * random.random(transitions) ** 2).astype(int).tolist()
    plain = {name: value for name, value in TEMPLATE.as_dict().items() if name in schema.TRANSITIONS.c}
    told = [0] * ALARMS
    for number, (at_ms, alarm) in enumerate(zip(times, alarms, strict=True), 1):
        event, known = LIFE[told[alarm] % len(LIFE)]
        told[alarm] += 1
        tag, source = _names(alarm)
        yield {
            **plain, "id": f"{source}-{number}", "source_no": number, "seq": number, "alarm_id": f"{tag}#H",
            "occurrence": f"{source}-{alarm}-{told[alarm] // len(LIFE)}", "hazard_source": source, "tag": alarm,
            "tag_id": tag, "priority": list(Priority)[alarm % 4].word, "event": str(event), "acknowledged": known,
            "condition": str(_condition(event)), "time_ms": at_ms, "raised_ms": at_ms, "at_ms": at_ms, "body": "{}",
            "prev_hash": "0" * 64, "hash": "0" * 64,
        }  # fmt: skip


def _hear(report: Report, name: str, steps: list[Step]) -> Performance:
    """Let steps be heard in slices, as the monitor does; return the memory they leave."""
    slices = [steps[at : at + SLICE] for at in range(0, len(steps), SLICE)]

    def hear() -> Performance:
        performance = Performance()
        for one in slices:
            listen(performance, Heard(), one)
        return performance

    report.add(at_most(f"hearing a transition, {name}", median_s(hear) / len(steps) * 1e6, "us", 5))
    return hear()


def _life(number: int) -> Iterator[Step]:
    """Yield one alarm's raise, acknowledgement and end, a minute apart, while all is calm."""
    for at, (event, known) in enumerate(LIFE):
        step = _raise(number, START_MS + (number * len(LIFE) + at) * 60_000)
        told = replace(step.transition, event=event, acknowledged=known, condition=_condition(event), version=at + 1)
        yield Step(told, step.at_ms)


def _raise(number: int, at_ms: int | None = None) -> Step:
    at_ms = START_MS + number // SLICE * 1_000 if at_ms is None else at_ms
    tag, source = _names(number)
    step = replace(
        TEMPLATE, seq=number + 1, hazard_source=source, occurrence=f"{source}-{number}", alarm_id=f"{tag}#H", tag=tag,
        priority=list(Priority)[number % 4], raised_ms=at_ms - number % SLICE,
    )  # fmt: skip
    return Step(step, at_ms)


def _names(number: int) -> tuple[str, str]:
    """Return a tag's id and its hazard source."""
    return f"park/edge-{number % 10}/device-{number % 100}/p{number}", f"source-{number % 20}"


def _condition(event: Event) -> Condition:
    return Condition.NORMAL if event is Event.CLEARED else Condition.ACTIVE
