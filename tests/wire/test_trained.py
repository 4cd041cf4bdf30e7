"""What a training's file says of a tag becomes settings of its rule, or a line for every thing that does not fit."""

from pathlib import Path
from typing import Any

import pytest
from davylamp_wire.point import EarlyWarning
from davylamp_wire.trained import Place, Training, read_training, taught
from support.trainings import SHIFTS, UNIT, together, training, written

DEVICE, NODE = "park/edge-1/tank", "park/edge-1"
TAGS = (f"{DEVICE}/level", f"{DEVICE}/flow", "park/edge-2/pump/amps")
HERE = Place(DEVICE, "level", NODE, set(TAGS[:2]))
SOURCE = {"standard": "training", "basis": "proposal"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Training:
    path = tmp_path_factory.mktemp("trained") / "tank.json"
    return read_training(written(path, training(TAGS, together(), [SHIFTS, UNIT])))


def rule(**said: Any) -> EarlyWarning:
    return EarlyWarning.model_validate({"model": "tank.json", "source": SOURCE, **said})


def test_a_rule_of_one_tag_gets_its_figures_and_the_settings_it_was_trained_with(file: Training) -> None:
    found = taught("ewma", rule(), HERE, file)
    assert isinstance(found, EarlyWarning)
    lesson = file.of("ewma", TAGS[0])
    assert lesson is not None
    figures = {name: lesson.columns[name][0] for name in ("mean", "deviation", "limit")}
    assert found.settings == {"tau_s": 2.0, **figures}
    assert (found.model, found.inputs) == ("", ())
    assert found.source.clause == f"SHA-256 {file.sha256[:16]}"


def test_a_unit_gets_its_model_and_names_its_inputs_as_a_point_would(file: Training) -> None:
    found = taught("unit", rule(inputs=["flow", "park/edge-2/pump/amps", "level"]), HERE, file)
    assert isinstance(found, EarlyWarning)
    assert found.inputs == ("level", "flow", "park/edge-2/pump/amps"), "in the order of the model"
    assert found == taught("unit", rule(), HERE, file), "they need not be named"
    assert str(found.settings["model"]).startswith("1:")


def test_a_csvs_own_names_are_told_from_tag_ids_and_each_is_listed_once(tmp_path: Path) -> None:
    path = written(
        tmp_path / "csv.json",
        training(("LT-1", "FT-1"), together(tags=2), [SHIFTS, SHIFTS.model_copy(update={"id": "again"}), UNIT]),
    )
    found = taught("ewma", rule(), HERE, read_training(path))
    assert not isinstance(found, EarlyWarning)
    assert f"names its tags as a CSV did (LT-1, FT-1); name that column {TAGS[0]}" in found[0].en
    assert "请把该列改名为" in found[0].zh


def test_what_a_person_may_say_beside_a_model_counts(file: Training) -> None:
    found = taught("ewma", rule(settings={"limit": 9, "leave": 0.5, "tau_s": 2}), HERE, file)
    assert isinstance(found, EarlyWarning)
    assert (found.settings["limit"], found.settings["leave"]) == (9, 0.5)
    marked = rule(source={**SOURCE, "clause": f"week 47, SHA-256 {file.sha256[:8]}"})
    found = taught("ewma", marked, HERE, file)
    assert isinstance(found, EarlyWarning)
    assert found.source == marked.source


@pytest.mark.parametrize(
    ("name", "said", "place", "en", "zh"),
    [
        (
            "cusum",
            {},
            HERE,
            "warnings.cusum.model: {file} holds nothing of the rule cusum (it holds ewma, unit)",
            "没有规则",
        ),
        (
            "ewma",
            {},
            Place(DEVICE, "heat", NODE, ()),
            f"warnings.ewma.model: {{file}} does not know {DEVICE}/heat",
            "位号",
        ),
        (
            "ewma",
            {"settings": {"tau_s": 60}},
            HERE,
            "warnings.ewma.settings.tau_s: is 60.0 here and was 2.0",
            "训练时为",
        ),
        (
            "ewma",
            {"settings": {"mean": 5}},
            HERE,
            "warnings.ewma.settings.mean: comes from the model",
            "由训练结果给出",
        ),
        ("unit", {"inputs": ["level", "flow"]}, HERE, "it lacks park/edge-2/pump/amps; leave inputs out", "缺少"),
        (
            "unit",
            {"inputs": ["level", "flow", TAGS[2], "x"]},
            HERE,
            "the model does not know park/edge-1/tank/x",
            "没有",
        ),
        (
            "unit",
            {},
            Place(DEVICE, "level", NODE, {TAGS[0]}),
            f"the model looks at {DEVICE}/flow, and this site",
            "本站",
        ),
        (
            "ewma",
            {"source": {**SOURCE, "clause": "SHA-256 0123456789abcdef"}},
            HERE,
            "warnings.ewma.source.clause: names the training 0123456789abcdef, and {file} is SHA-256 ",
            "写的是训练结果",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_the_way_out(
    name: str, said: dict[str, Any], place: Place, en: str, zh: str, file: Training
) -> None:
    found = taught(name, rule(**said), place, file)
    assert isinstance(found, list)
    (one,) = found
    assert en.replace("{file}", str(file.path)) in str(one)
    assert zh in one.zh


def test_a_model_of_a_hundred_tags_fits_a_birth_as_long_as_few_components_are_kept(tmp_path: Path) -> None:
    tags = [f"{DEVICE}/p{number}" for number in range(100)]
    path = written(tmp_path / "wide.json", training(tags, together(tags=100), [UNIT]))
    found = taught("unit", rule(), Place(DEVICE, "p0", NODE, set(tags)), read_training(path))
    assert isinstance(found, EarlyWarning)
    assert len(str(found.settings["model"])) < 35_000
