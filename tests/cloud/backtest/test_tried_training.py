"""A training tried in a backtest before it is in force: over a cloud's log as an edge would say it, and over a CSV."""

import json
from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms.batch import Floats
from davylamp_cloud.__main__ import BAD_INPUT, OK, main
from davylamp_cloud.backtest.trainings import FOLDER
from davylamp_cloud.backtest.worker import answered
from davylamp_wire.point import EarlyWarning, Point
from davylamp_wire.trained import Place, read_training, taught
from support.host import Host, host
from support.speaker import START_MS, Speaker, limit
from support.trainings import ALL, together, training, written

DEVICE = "park/edge-1/tank"
NAMES = ("level", "flow", "amps")
TAGS = tuple(f"{DEVICE}/{name}" for name in NAMES)
LEVEL, FLOW, _ = TAGS
SAID: dict[str, Any] = {
    "source": {"standard": "training", "basis": "proposal"},
    "action": {"zh": "核对仪表", "en": "compare the gauges"},
}
RULES = ("unit", "ewma", "cusum")


def apart() -> Floats:
    """Return tags that go together and then part; at the very end a limit is passed, which the cloud keeps at once."""
    value = together(rows=60, seed=5)
    value[40:, 1] = 100 - value[40:, 1]
    value[-1, 2] = 1000
    return value


def tank(warnings: dict[str, EarlyWarning]) -> Speaker:
    def point(name: str) -> Point:
        known: dict[str, Any] = {"level": {"warnings": warnings}, "amps": {"limits": {"H": limit(500)}}}
        guards = known.get(name, {})
        return Point.model_validate({"zh": name, "en": name, "unit": "%", "type": "float64", **guards})

    return Speaker(device="tank", hazard_source="tank-farm", points={name: point(name) for name in NAMES})


def fed(running: Host, edge: Speaker) -> None:
    edge.now_ms = running.now_ms
    running.hear(*edge.birth())
    running.settle()
    for row in apart().tolist():
        edge.now_ms += 1000
        running.now_ms = edge.now_ms
        running.hear(edge.data(row))
        running.tick()
    running.settle()


def asked(running: Host, rules: Any) -> Any:
    request = {
        "data_dir": str(running.log.path.parent), "historian": {}, "over": "log", "plots": None, "rules": rules,
        "against": {}, "from_ms": START_MS - 1000, "to_ms": running.now_ms + 1000, "hazard_sources": [],
    }  # fmt: skip
    return answered(request, lambda done: None)


def tried(model: str = "tank.json") -> dict[str, Any]:
    return {LEVEL: {"warnings": {rule: {"model": model, **SAID} for rule in RULES}}}


def test_a_training_says_in_a_backtest_what_it_would_have_said_in_force(tmp_path: Path) -> None:
    file = written(tmp_path / "tank.json", training(TAGS, together(), ALL))
    place = Place(DEVICE, "level", "park/edge-1", TAGS)
    learnt = {}
    for rule in RULES:
        found = taught(rule, EarlyWarning.model_validate({"model": str(file), **SAID}), place, read_training(file))
        assert isinstance(found, EarlyWarning)
        learnt[rule] = found
    with host(tmp_path / "with") as running:
        fed(running, tank(learnt))
        by_birth = asked(running, {LEVEL: {"without": list(RULES)}})["answer"]["gone"]
    with host(tmp_path / "without") as running:
        (tmp_path / "without" / FOLDER).mkdir()
        (tmp_path / "without" / FOLDER / "tank.json").write_bytes(file.read_bytes())
        fed(running, tank({}))
        by_backtest = asked(running, tried())["answer"]["added"]
    assert by_backtest[0]["alarm"] == f"{LEVEL}#UNIT"
    assert by_backtest == by_birth


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (tried("../tank.json"), "name the file alone"),
        (tried("none.json"), "none.json"),
        ({FLOW: {"warnings": {"trend": {"model": "tank.json"}}}}, "learns nothing"),
        ({LEVEL: {"warnings": {"ewma": {"model": "tank.json", "settings": {"mean": 3}}}}}, "comes from the model"),
        ({LEVEL: {"warnings": {"normal": {"model": "other.json"}}}}, "holds nothing of the rule normal"),
    ],
)
def test_what_does_not_fit_is_said_in_both_languages(tmp_path: Path, rules: Any, says: str) -> None:
    with host(tmp_path / "cloud") as running:
        folder = tmp_path / "cloud" / FOLDER
        folder.mkdir()
        written(folder / "tank.json", training(TAGS, together(), ALL))
        written(folder / "other.json", training(TAGS, together(), ALL[:1]))
        fed(running, tank({}))
        mistakes = asked(running, rules)["mistakes"]
    assert says in mistakes[0]["en"]
    assert mistakes[0]["zh"] != mistakes[0]["en"]


def test_a_csv_tries_a_training_of_its_own_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "tank.json", training(NAMES, together(), ALL))
    rows = [f"{1_760_000_000 + at},{','.join(map(str, row))}" for at, row in enumerate(apart().tolist())]
    (tmp_path / "day.csv").write_text("\n".join([f"time,{','.join(NAMES)}", *rows]) + "\n", encoding="utf-8")
    (tmp_path / "new.toml").write_text('["level"]\nwarnings.unit.model = "tank.json"\n', encoding="utf-8")
    given = ["backtest", "--csv", str(tmp_path / "day.csv"), "--rules", str(tmp_path / "new.toml"), "--quiet"]
    assert main([*given, "--json"]) == OK
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["added"]] == ["level UNIT"]
    (tmp_path / "new.toml").write_text('["level"]\nwarnings.unit.model = "gone.json"\n', encoding="utf-8")
    assert main(given) == BAD_INPUT
    assert "gone.json" in capsys.readouterr().err
