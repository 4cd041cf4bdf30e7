"""Engine, register, newest values and the alarm system's own performance are a function of the log (SAFETY S29).

A log written record by record is run again: in one piece, and cut into batches with restarts from stored snapshots.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from davylamp_cloud.chain import canonical
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.live import Live
from davylamp_cloud.log import Log
from davylamp_cloud.notice import Notices
from davylamp_cloud.register import Register
from davylamp_cloud.replay import restore, snapshot_of
from davylamp_cloud.store.snapshots import packed, unpacked, write_snapshot
from davylamp_cloud.store.state import State
from davylamp_cloud.store.writes import Writer
from davylamp_cloud.work import Work
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from support.whole_log import SITE, STORIES, Step, Writing, new_evaluator

PHASES = set(Phase) - {Phase.explain}
"""Explaining a failure traces every line of the cloud, for minutes."""

CUTS = st.lists(st.tuples(st.integers(1, 12), st.sampled_from("--s-r-sr")), min_size=1, max_size=12)
"""How many records come next, and then: nothing, a snapshot, a restart, or both."""

HEARD_AGAIN_AFTER_AN_EDIT: list[Step] = [("limits", (4, 2, False)), ("birth", ("meter", 0)), ("tick", (1_000,))]


class Restarting:
    """Runs a log as the monitor does: stores what each batch led to, saves, and starts again from what is stored."""

    def __init__(self, folder: Path, log: Log) -> None:
        self.log, self.state = log, State(folder / "state.db")
        self._go_on()

    def _go_on(self) -> None:
        found = restore(self.log, self.state, Live(), ())
        assert found.differences == ()
        self.evaluator = found.evaluator
        self._writer = Writer(found.heads, Notices(self.evaluator.register, [SITE]), lambda data, at_ms: [])

    def run(self, cuts: list[tuple[int, str]]) -> None:
        at = turn = 0
        while records := self.log.read(at, cuts[turn % len(cuts)][0]):
            work = self.evaluator.take(records)
            with self.state.writing() as connection:
                self._writer.write(connection, work)
            self._writer.committed()
            at = records[-1].seq
            then = cuts[turn % len(cuts)][1]
            turn += 1
            if then == "s":
                with self.state.writing() as connection:
                    write_snapshot(connection, at, records[-1].time_ms, packed(snapshot_of(self.evaluator)))
            if then == "r":
                self._go_on()

    def stored(self) -> list[str]:
        rows = self.state.transitions(limit=100_000)
        fields = [json.loads(row["body"]) for row in rows]
        return [canonical(said) for said in fields]


@contextmanager
def written(story: list[Step]) -> Iterator[tuple[Path, Writing]]:
    with tempfile.TemporaryDirectory() as name, closing(Writing(Path(name) / "log.db")) as writing:
        writing.play(story)
        yield Path(name), writing


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(STORIES)
def test_a_log_run_in_one_piece_is_the_log_run_record_by_record(story: list[Step]) -> None:
    with written(story) as (_, writing):
        whole = new_evaluator(writing.log)
        work = whole.take(writing.log.read(0, 100_000))
        assert steps([work]) == steps(writing.works)
        assert rows([work]) == rows(writing.works)
        assert_same(whole, writing.evaluator)


@settings(max_examples=60, deadline=None)
@given(STORIES, CUTS)
@example(HEARD_AGAIN_AFTER_AN_EDIT, [(4, "s"), (6, "r")])
def test_cuts_and_restarts_from_snapshots_change_nothing(story: list[Step], cuts: list[tuple[int, str]]) -> None:
    with written(story) as (folder, writing):
        other = Restarting(folder, writing.log)
        with closing(other.state):
            other.run(cuts)
            assert_same(other.evaluator, writing.evaluator)


def steps(works: list[Work]) -> list[str]:
    """Return every transition as canonical JSON, with its arrival."""
    return [canonical({**step.transition.as_dict(), "at_ms": step.at_ms}) for work in works for step in work.steps]


def rows(works: list[Work]) -> Mapping[tuple[str, str], Any]:
    return {key: row for work in works for key, row in work.heard.rows.items()}


def assert_same(one: Evaluator, other: Evaluator) -> None:
    left, right = unpacked(packed(snapshot_of(one))), unpacked(packed(snapshot_of(other)))
    assert left.keys() == right.keys()
    for name in left:
        assert bits(left[name]) == bits(right[name]), name
    assert known(one.register) == known(other.register)


def bits(value: Any) -> bytes:
    return value.tobytes() if isinstance(value, np.ndarray) else bytes(value)


def known(register: Register) -> dict[str, Any]:
    """Return all a register knows."""
    tags = list(register.tags)
    return {
        "tags": [asdict(tag) | {"settings": tag.settings.json_form()} for tag in tags],
        "found": {tag.tag_id: found.idx if (found := register.find(tag.tag_id)) else None for tag in tags},
        "proposals": {name: (p.tag, p.settings.json_form(), p.at_ms) for name, p in register.proposals.items()},
        "guarded": {tag.tag_id: register.guarded(tag.settings.hazard_source, tag.node, tag.device) for tag in tags},
        "alarms": {tag.tag_id: register.alarms_of(tag) for tag in tags},
        "links": register.links(),
        "switches": register.switches,
    }
