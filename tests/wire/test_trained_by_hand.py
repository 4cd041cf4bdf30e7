"""A training that somebody wrote or sealed by hand is refused in words, whatever is missing in it."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms.watching.artefact import load
from davylamp_wire.finding import Finding
from davylamp_wire.point import EarlyWarning
from davylamp_wire.trained import Place, read_training, taught
from davylamp_wire.training_file import ArtefactError, sealed_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.trainings import ALL, together, training

DEVICE = "park/edge-1/tank"
TAGS = tuple(f"{DEVICE}/{name}" for name in ("level", "flow", "amps"))
TABLE: dict[str, Any] = json.loads(training(TAGS, together(rows=100), ALL).model_dump_json())


def sealed_by_hand(path: Path, table: dict[str, Any]) -> Path:
    path.write_text(sealed_table(table), encoding="utf-8")
    return path


def entry(table: dict[str, Any], rule: str) -> dict[str, Any]:
    return next(one for one in table["learnt"] if one["watch"]["rule"] == rule)


def test_what_a_command_wrote_is_whole(tmp_path: Path) -> None:
    path = sealed_by_hand(tmp_path / "whole.json", TABLE)
    assert {lesson.rule for lesson in read_training(path).lessons} == {"ewma", "cusum", "unit", "normal"}
    assert load(path).learnt


@pytest.mark.parametrize(
    ("rule", "change", "said"),
    [
        ("ewma", lambda columns: columns.pop("limit"), "shifts (ewma): limit is missing"),
        ("normal", lambda columns: columns["normal"].pop(), "normal (normal): normal has too many numbers, too few"),
        ("unit", lambda columns: columns.pop("q_limit"), "together (unit): q_limit is missing"),
        ("unit", lambda columns: columns["loadings"][0].append(0.5), "together (unit): loadings has too many numbers"),
        ("unit", lambda columns: columns["variances"].append(1), "together (unit): loadings has too many numbers"),
        ("unit", lambda columns: columns["correlation"].clear(), "together (unit): correlation has too many numbers"),
        ("cusum", lambda columns: columns.update(mean=[1, None, 2]), "sums (cusum): mean has too many numbers"),
        ("cusum", lambda columns: columns.update(mean=[1, 10**400, 2]), "sums (cusum): mean has too many numbers"),
    ],
)
def test_a_training_sealed_by_hand_with_columns_missing_gave_a_traceback(
    rule: str, change: Any, said: str, tmp_path: Path
) -> None:
    table = deepcopy(TABLE)
    change(entry(table, rule)["columns"])
    path = sealed_by_hand(tmp_path / "hand.json", table)
    for read in (read_training, load):
        with pytest.raises(ArtefactError) as refused:
            read(path)
        zh, en = refused.value.words
        assert en.startswith(f"{path}: is incomplete: {said}")
        assert en.endswith("; train again")
        assert zh.endswith("；请重新训练")


def places(found: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to everything in a table."""
    items = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, value in items:
        yield (*way, key)
        yield from places(value, (*way, key))


LEARNT = list(places(TABLE["learnt"]))
STRANGE: tuple[Any, ...] = (None, True, -1, 0, 10**400, 1e300, "x", "", [], {}, [[]], [1.0], {"rule": "unit"}, "unit")
OTHERS: st.SearchStrategy[Any] = st.sampled_from(STRANGE)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(LEARNT), st.one_of(st.none(), OTHERS), st.booleans())
def test_whatever_is_changed_by_hand_is_refused_in_words_or_can_be_used(
    tmp_path: Path, way: tuple[Any, ...], other: Any, gone: bool
) -> None:
    table = deepcopy(TABLE)
    inner = table["learnt"]
    for key in way[:-1]:
        inner = inner[key]
    if gone:
        del inner[way[-1]]
    else:
        inner[way[-1]] = other
    path = sealed_by_hand(tmp_path / "hand.json", table)
    source = {"standard": "training", "basis": "proposal"}
    warning = EarlyWarning.model_validate({"model": "hand.json", "source": source})
    try:
        found = read_training(path)
    except ArtefactError:
        return
    for rule in ("ewma", "cusum", "normal", "unit"):
        answer = taught(rule, warning, Place(DEVICE, "level", "park/edge-1", set(TAGS)), found)
        assert isinstance(answer, EarlyWarning) or all(isinstance(one, Finding) for one in answer)
