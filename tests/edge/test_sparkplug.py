"""Sparkplug 3.0 as an edge must keep it: one recording of a real edge, one judge for every assertion.

The table is tests/support/sparkplug/assertions.toml, the recording is played by script.py, the judges are beside it.
"""

import asyncio
import contextlib
import tomllib
from pathlib import Path

import pytest
from support.sparkplug import judge_births, judge_data, judge_messages, judge_sessions, script
from support.sparkplug.judging import JUDGES
from support.sparkplug.mutants import MUTANTS
from support.sparkplug.recording import Recording

TABLE = tomllib.loads((Path(script.__file__).parent / "assertions.toml").read_text())
JUDGED = [*TABLE["judged"], *TABLE["departs"]]
UNSEEN = [assertion for group in TABLE["unseen"].values() for assertion in group["assertions"]]
OF_EDGES = 199
"""Assertions of Sparkplug 3.0 that bind an edge node; the other hundred bind host applications and servers."""

COMPLEX = {16, *range(17, 35)}
"""Datatypes that are no plain values: data sets, bytes, files, templates, property sets, arrays."""

__all__ = ["judge_births", "judge_data", "judge_messages", "judge_sessions"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Everything an edge went through, seen from the broker's side."""
    return asyncio.run(script.record(tmp_path_factory.mktemp("sparkplug")))


@pytest.mark.parametrize(
    "assertion", [pytest.param(assertion, id=assertion, marks=pytest.mark.sparkplug(assertion)) for assertion in JUDGED]
)
def test_the_edge_keeps_sparkplug(assertion: str, recording: Recording) -> None:
    """A departure is judged by what the table says the edge does instead."""
    assert JUDGES[assertion](recording) > 0, "nothing was seen that this assertion is about"


def test_every_assertion_of_the_specification_has_its_place_and_every_judge_his_assertion() -> None:
    assert len(set(JUDGED + UNSEEN)) == len(JUDGED) + len(UNSEEN) == OF_EDGES
    assert set(JUDGES) == set(JUDGED)


def test_what_is_said_to_be_unused_is_never_sent(recording: Recording) -> None:
    metrics = [metric for said in recording.said for metric in said.payload.metrics]
    assert not [metric for metric in metrics if metric.datatype in COMPLEX]
    assert {metric.WhichOneof("value") for metric in metrics} & {"dataset_value", "template_value"} == set()


def test_no_judge_is_content_who_saw_nothing() -> None:
    nothing = Recording("davylamp", "edge-1", [], [], 0, 0, (0, 0))
    for assertion in JUDGED:
        with contextlib.suppress(AssertionError, IndexError):
            assert JUDGES[assertion](nothing) == 0


@pytest.mark.parametrize("broken", MUTANTS)
def test_judges_notice_an_edge_that_breaks_a_rule(broken: str, recording: Recording) -> None:
    mutate, assertions = MUTANTS[broken]
    mutant = mutate(recording)
    for assertion in assertions:
        with pytest.raises((AssertionError, KeyError)):
            JUDGES[f"tck-id-{assertion}"](mutant)
