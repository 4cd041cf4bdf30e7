"""A unit in a running cloud, with a model that came in a birth: kept, replayed, trained anew by a person's word."""

import sqlite3
from pathlib import Path
from typing import Any

from davylamp_alarms.batch import Floats
from davylamp_cloud.store import schema
from davylamp_wire.point import EarlyWarning, Point
from davylamp_wire.trained import Place, read_training, taught
from sqlalchemy import select
from support.host import Host, host
from support.speaker import Speaker
from support.trainings import UNIT, together, training, written

DEVICE = "park/edge-1/tank"
NAMES = ("level", "flow", "amps")
TAGS = tuple(f"{DEVICE}/{name}" for name in NAMES)
SOURCE = {"standard": "training", "basis": "proposal"}
ACTION = {"zh": "核对仪表", "en": "compare the gauges"}


def model(folder: Path, seed: int = 1) -> EarlyWarning:
    """Return the rule as its edge says it."""
    file = written(folder / f"tank-{seed}.json", training(TAGS, together(seed=seed), [UNIT]))
    said = EarlyWarning.model_validate({"model": str(file), "source": SOURCE, "action": ACTION})
    found = taught("unit", said, Place(DEVICE, "level", "park/edge-1", TAGS), read_training(file))
    assert isinstance(found, EarlyWarning)
    return found


def tank(rule: EarlyWarning) -> Speaker:
    def point(name: str, **more: Any) -> Point:
        return Point.model_validate({"zh": name, "en": name, "unit": "%", "type": "float64", **more})

    points = {name: point(name) for name in NAMES} | {"level": point("level", warnings={"unit": rule})}
    return Speaker(device="tank", hazard_source="tank-farm", points=points)


def born(running: Host, edge: Speaker) -> Speaker:
    edge.now_ms = running.now_ms
    running.hear(*edge.birth())
    running.settle()
    return edge


def feed(running: Host, edge: Speaker, value: Floats) -> None:
    for row in value.tolist():
        edge.now_ms += 1000
        running.now_ms = edge.now_ms
        running.hear(edge.data(row))
        running.tick()
    running.settle()


def apart(rows: int) -> Floats:
    value = together(rows=rows, seed=5)
    value[:, 1] = 100 - value[:, 1]
    return value


def test_a_unit_is_warned_of_with_each_tags_share_and_a_replay_of_the_whole_log_agrees(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with host(tmp_path) as running:
        edge = born(running, tank(model(tmp_path / "models")))
        feed(running, edge, together(rows=20, seed=3))
        assert running.events() == []
        feed(running, edge, apart(5))
        assert running.events() == ["UNIT raised B"]
        (warned,) = running.state.rows(select(schema.TRANSITIONS.c.body))
        assert "most of it by flow" in str(warned["body"])
    with sqlite3.connect(tmp_path / "state.db") as stored:
        stored.execute("DELETE FROM snapshots")
    stored.close()
    with host(tmp_path, now_ms=edge.now_ms + 1000) as running:
        running.settle()
        assert running.events() == ["UNIT raised B"]
        assert not {kind for kind in running.standing() if "SYSTEM" in kind}, "the replay agrees"
        born(running, edge)
        feed(running, edge, together(rows=4, seed=3))
        assert running.events() == ["UNIT raised B", "UNIT cleared D"]


def test_the_same_training_born_again_is_nothing_and_another_waits_for_a_person(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with host(tmp_path) as running:
        edge = born(running, tank(model(tmp_path / "models")))
        feed(running, edge, apart(5))
        for _ in range(20):
            born(running, edge)
        assert running.events() == ["UNIT raised B"]
        assert not running.state.rows(select(schema.PROPOSALS))
        born(running, tank(model(tmp_path / "models", seed=9)))
        (proposal,) = running.state.rows(select(schema.PROPOSALS))
        assert [difference[0] for difference in proposal["differences"]] == ["warnings.unit"]
        assert running.events() == ["UNIT raised B"]
        running.change("accept", proposal=proposal["id"])
        running.settle()
        assert running.events() == ["UNIT raised B", "UNIT updated B"]


def test_s14_a_model_of_other_inputs_is_an_alarm_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with host(tmp_path) as running:
        wrong = model(tmp_path / "models").model_copy(update={"inputs": ("level", "flow")})
        edge = born(running, tank(wrong))
        feed(running, edge, apart(5))
        assert running.events() == ["SYSTEM raised B"]
        (said,) = running.state.rows(select(schema.TRANSITIONS.c.body))
        assert "is of 3 inputs with 0 lags, the rule has 2 with 0" in str(said["body"])
