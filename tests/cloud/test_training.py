"""`davylamp-cloud train`: over history that went the whole way from payloads to the store, stopped and running."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from argon2 import PasswordHasher
from davylamp_alarms.watching.artefact import Artefact, load
from davylamp_alarms.watching.training import check
from davylamp_alarms.watching.watch import default_plan
from davylamp_cloud.__main__ import BAD_INPUT, FAILED, OK, main
from davylamp_cloud.app import App
from davylamp_cloud.config import BrokerConfig, CloudConfig, HistorianConfig, HttpConfig, Role, TokenConfig
from davylamp_cloud.historian import LogNames, open_historian
from davylamp_cloud.historian.feed import Feed
from davylamp_cloud.retention import only_one
from davylamp_cloud.training.parts import rows_of_stretches
from davylamp_wire.point import Point
from davylamp_wire.quality import Reason, bad
from support.host import host
from support.services import free_port
from support.speaker import START_MS, Speaker, limit

STEP_MS = 10_000
ROWS = 700
ALARM_ROW, BAD_ROW, CUT_ROW, BACK_ROW = 600, 620, 640, 680
CALM_MS = START_MS + 500 * STEP_MS
PLAN = """
about = "a test"
[[watch]]
id = "shifts"
rule = "ewma"
tags = ["*"]
settings = { tau_samples = 2 }
limit = { times = 1.5 }
[[watch]]
id = "sums"
rule = "cusum"
tags = ["*/level"]
settings = { period_samples = 1 }
limit = { times = 2 }
[[watch]]
id = "together"
rule = "unit"
tags = ["*"]
"""


def point(name: str, **more: Any) -> Point:
    fields = {"zh": name, "en": name, "unit": "m", "type": "float64", "plant_tag": f"1#{name.upper()}"}
    return Point.model_validate({**fields, "range": (0.0, 100.0), **more})


POINTS = {
    "level": point("level", limits={"H": limit(90.0, deadband=1.0)}),
    "flow": point("flow"),
    "valve": point("valve", kind="status", type="uint16"),
}


@dataclass(frozen=True, slots=True)
class Plant:
    """A folder in which a cloud ran, its config, and the values it was sent."""

    folder: Path
    config: Path
    value: "np.typing.NDArray[np.float64]"

    def train(self, *more: str, to_ms: int = CALM_MS) -> int:
        out = ["--out", str(self.out), "--rules", str(self.folder.parent / "plan.toml"), "--language", "en"]
        return main(["train", str(self.config), "--from", iso(START_MS), "--to", iso(to_ms), *out, *more])

    @property
    def out(self) -> Path:
        return self.folder.parent / "plant.json"

    def trained(self) -> Artefact:
        found = load(self.out)
        self.out.unlink()
        return found


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def values() -> "np.typing.NDArray[np.float64]":
    random = np.random.default_rng(4)
    wander = np.cumsum(random.normal(size=ROWS)) * 0.1
    level, flow = 50 + wander + random.normal(size=ROWS), 20 - wander + random.normal(size=ROWS)
    level[ALARM_ROW] = 95.0
    return np.column_stack([level, flow, np.ones(ROWS)])


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """A cloud that heard rows ten seconds apart: one over a limit, one of bad quality, then a cut; and stopped."""
    root = tmp_path_factory.mktemp("training")
    folder, value = root / "cloud", values()
    edge = Speaker(points=POINTS)
    with host(folder) as running:
        running.hear(*edge.birth())
        for row, at in enumerate(value.tolist()):
            running.now_ms = edge.now_ms = START_MS + row * STEP_MS
            if row < CUT_ROW or row >= BACK_ROW:
                running.hear(edge.data(at, quality=bad(Reason.COMM) if row == BAD_ROW else 0))
        running.settle()
        historian = open_historian(HistorianConfig(), folder, LogNames(running.log))
        feed = Feed(running.log, historian, now_ms=lambda: START_MS, keep_days=9000, failed=running.failures.append)
        feed.start()
        assert feed.wait(running.log.last_seq, 20.0)
        feed.stop()
        historian.close()
    (root / "plan.toml").write_text(PLAN, encoding="utf-8")
    config = root / "cloud.toml"
    config.write_text('data_dir = "cloud"\nlanguage = "en"\n', encoding="utf-8")
    return Plant(folder, config, value)


def test_a_calm_window_is_learnt_from_and_the_file_says_from_what(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plant.train("--by", "li") == OK
    said = capsys.readouterr().out
    found = plant.trained()
    level, flow = "park/edge-1/store/level", "park/edge-1/store/flow"
    assert [(one.watch.id, one.tags) for one in found.learnt] == [
        ("shifts", (level, flow)),
        ("sums", (level,)),
        ("together", (level, flow)),
    ]
    assert (found.made_by, found.source, found.from_ms, found.to_ms) == ("li", "history of davylamp", START_MS, CALM_MS)
    assert (found.every_s, found.rows, found.alarms) == (10.0, 500, ())
    assert [(one.tag, one.samples, one.missing, one.not_good) for one in found.seen] == [
        (level, 500, 0.0, 0.0),
        (flow, 500, 0.0, 0.0),
    ]
    usual = found.watch("shifts").of(level)
    assert usual["home"] == pytest.approx(plant.value[:500, 0].mean())
    assert usual["deviation"] == pytest.approx(plant.value[:500, 0].std(ddof=1))
    assert found.watch("shifts").settings == {"every_s": 10.0, "tau_s": 20.0}
    assert "500 rows 10 s apart, 2 tags" in said
    assert "together (unit): 2 tags" in said


def test_the_same_window_is_the_same_data_and_another_is_not(plant: Plant) -> None:
    hashes = []
    for to_ms in (CALM_MS, CALM_MS, CALM_MS - STEP_MS):
        assert plant.train("--least-samples", "400", to_ms=to_ms) == OK
        found = plant.trained()
        hashes.append((found.data_sha256, found.settings_sha256))
    assert hashes[0] == hashes[1]
    assert hashes[0][0] != hashes[2][0]
    assert hashes[0][1] == hashes[2][1]


def test_a_window_with_an_alarm_is_refused_and_learnt_from_where_a_person_says_so(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    over_ms = START_MS + (ALARM_ROW + 10) * STEP_MS
    assert plant.train("--json", to_ms=over_ms) == FAILED
    said = capsys.readouterr()
    alarm = "park/edge-1/store/level#H"
    refused = json.loads(said.out)["refused"]
    assert [(one["reason"], one["of"]) for one in refused] == [("alarm", alarm)]
    assert refused[0]["zh"]
    assert "--despite-alarms" in said.err
    assert not plant.out.exists()
    assert plant.train("--despite-alarms", to_ms=over_ms) == OK
    assert "alarms that stood in the window: 1" in capsys.readouterr().out
    found = plant.trained()
    assert found.despite_alarms
    at_ms = START_MS + ALARM_ROW * STEP_MS
    assert [(one.alarm, one.from_ms, one.to_ms) for one in found.alarms or ()] == [(alarm, at_ms, at_ms + STEP_MS)]


def test_a_window_after_an_alarm_is_calm_again(plant: Plant) -> None:
    more = ["--from", iso(START_MS + (ALARM_ROW + 2) * STEP_MS), "--least-samples", "10"]
    assert plant.train(*more, to_ms=START_MS + (BAD_ROW - 2) * STEP_MS) == OK
    assert plant.trained().alarms == ()


def test_few_samples_gaps_and_bad_values_are_refused_each_with_a_way_out(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = ["--despite-alarms", "--most-missing", "0.01", "--longest-gap", "60", "--most-not-good", "0.001"]
    assert plant.train(*strict, "--least-samples", "900", to_ms=START_MS + ROWS * STEP_MS) == FAILED
    said = capsys.readouterr().err
    flow = "park/edge-1/store/flow: "
    assert f"{flow}659 good readings, and 900 are the least" in said
    assert f"{flow}without a value for " in said
    assert f"{flow}a gap of " in said
    assert f"{flow}0.2% of the readings were not good" in said
    for option in ("--least-samples", "--most-missing", "--longest-gap", "--most-not-good"):
        assert f"by {option}" in said
    assert plant.train("--language", "zh", "--least-samples", "900") == FAILED
    assert "有效数据 500 个，至少需要 900 个" in capsys.readouterr().err


def test_the_defaults_and_tags_by_the_plants_own_name(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--tags", "1#LEV*", "--out", str(plant.out), "--json"]
    assert main(["train", str(plant.config), "--from", iso(START_MS), "--to", iso(CALM_MS), *more]) == OK
    said = json.loads(capsys.readouterr().out)
    assert said["trained"]
    assert said["sha256"] == json.loads(plant.out.read_text())["sha256"]
    found = plant.trained()
    assert {one.tags for one in found.learnt} == {("park/edge-1/store/level",)}
    assert any("20 tags or more" in one.en for one in found.untaught)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--tags", "x*"], "'x*' means no tag that measures something; there are 2: park/edge-1/store/level, park/"),
        (["--tags", "*/valve"], "'*/valve' means no tag that measures something"),
        (["--to", "2020-01-01"], "is not after --from"),
        (["--from", "tomorrow"], "--from: 'tomorrow' is no time"),
        (["--every", "0"], "--every: 0 is not between 0.001 and 86400 seconds"),
        (
            ["--every", "0.001"],
            "5000000 rows of 2 tags are too many to learn from at once; give --every 0.0025 or more",
        ),
        (["--most-missing", "7"], "most_missing: Input should be less than or equal to 1"),
        (["--rules", "none.toml"], "none.toml: cannot be read"),
        (["--out", "/nowhere/x.json"], "the folder /nowhere is not there"),
    ],
)
def test_a_mistake_is_bad_input_and_names_the_way_out(
    more: list[str], said: str, plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plant.train(*more) == BAD_INPUT
    assert said in capsys.readouterr().err
    assert not plant.out.exists()


def test_a_devices_pattern_means_what_measures_and_a_name_in_full_means_itself(plant: Plant) -> None:
    store = "park/edge-1/store"
    assert plant.train("--tags", f"{store}/*") == OK
    assert [one.tag for one in plant.trained().seen] == [f"{store}/level", f"{store}/flow"]
    assert plant.train("--tags", "1#VALVE", "--tags", f"{store}/level") == OK
    assert [one.tag for one in plant.trained().seen] == [f"{store}/level", f"{store}/valve"]


def test_a_watch_of_no_known_rule_is_refused_though_it_would_learn_nothing(
    plant: Plant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('[[watch]]\nid = "x"\nrule = "ewmaa"\ntags = ["*"]\n', encoding="utf-8")
    assert plant.train("--rules", str(path)) == BAD_INPUT
    assert "wrong.toml: watch x: there is no rule 'ewmaa'; there are " in capsys.readouterr().err
    assert not plant.out.exists()


def test_a_typo_in_the_settings_of_watches_that_learn_nothing_passed(
    plant: Plant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(
        """[[watch]]
id = "rises"
rule = "rate"
tags = ["nowhere"]
settings = { window_s = 10, limitt = 8 }
[[watch]]
id = "shifts"
rule = "ewma"
tags = ["*"]
settings = { tau_samples = "six" }
[[watch]]
id = "apart"
rule = "deviation"
tags = ["*"]
settings = { limit = -1 }
""",
        encoding="utf-8",
    )
    assert plant.train("--rules", str(path)) == BAD_INPUT
    said = capsys.readouterr().err
    assert "3 mistakes:" in said
    assert "watch rises, rule rate: limit: is missing; write it; limitt: is no setting of it; it has " in said
    assert "watch shifts, rule ewma: tau_s: is missing; write it; tau_samples: is no setting of it" in said
    assert "watch apart, rule deviation: limit: Input should be greater than 0" in said
    assert not plant.out.exists()


def test_the_default_plan_is_one_that_may_be_trained() -> None:
    check(default_plan().watches, 10.0)


def test_a_watch_that_does_not_say_how_its_limit_is_learnt_is_told_of(
    plant: Plant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('[[watch]]\nid = "x"\nrule = "ewma"\ntags = ["*"]\nsettings = { tau_s = 30 }\n', encoding="utf-8")
    assert plant.train("--rules", str(path)) == OK
    assert "x: it does not say how its limit is learnt: write limit = " in capsys.readouterr().out
    assert plant.trained().untaught[0].zh


def test_a_watch_that_cannot_be_made_is_named(plant: Plant, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(PLAN.replace('"ewma"', '"magic"'), encoding="utf-8")
    assert plant.train("--rules", str(path)) == BAD_INPUT
    assert "wrong.toml: watch shifts: there is no rule 'magic'" in capsys.readouterr().err


def test_a_training_that_is_there_is_not_overwritten_unasked(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    plant.out.write_text("precious", encoding="utf-8")
    try:
        assert plant.train() == BAD_INPUT
        assert "is there already, and may be in use" in capsys.readouterr().err
        assert plant.out.read_text() == "precious"
        assert plant.train("--replace") == OK
    finally:
        plant.out.unlink()


def test_where_no_cloud_ran_there_is_nothing_to_learn_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "cloud.toml"
    config.write_text('data_dir = "cloud"\n', encoding="utf-8")
    assert main(["train", str(config), "--from", "7d", "--out", str(tmp_path / "x.json")]) == BAD_INPUT
    assert "name the config of a cloud that has run" in capsys.readouterr().err


@pytest.fixture
def running(plant: Plant, tmp_path: Path) -> Iterator[Plant]:
    """The same plant with its cloud running, which wants a token of whoever asks it."""
    folder = tmp_path / "cloud"
    shutil.copytree(plant.folder, folder)
    token = TokenConfig(name="reader", role=Role.VIEWER, hash=PasswordHasher().hash("nobody says it"))
    broker, http = BrokerConfig(port=free_port()), HttpConfig(port=0)
    app = App(CloudConfig(data_dir=folder, broker=broker, http=http, tokens=(token,)))
    app.start()
    try:
        for path in (plant.config, plant.folder.parent / "plan.toml"):
            shutil.copy(path, tmp_path)
        yield Plant(folder, tmp_path / "cloud.toml", plant.value)
    finally:
        app.stop()


def test_beside_a_running_cloud_the_same_is_learnt_and_the_same_refused(plant: Plant, running: Plant) -> None:
    assert plant.train() == OK
    alone = plant.trained()
    assert running.train() == OK
    beside = running.trained()
    assert (beside.data_sha256, beside.learnt, beside.seen) == (alone.data_sha256, alone.learnt, alone.seen)
    assert running.train(to_ms=START_MS + (ALARM_ROW + 10) * STEP_MS) == FAILED


def test_a_folder_was_locked_by_training_and_no_cloud_could_start_in_it(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def laid(*given: Any) -> Any:
        with only_one(plant.folder):  # what a cloud that starts does
            held.append(True)
        return rows_of_stretches(*given)

    monkeypatch.setattr("davylamp_cloud.training.history.rows_of_stretches", laid)
    assert plant.train() == OK
    assert held
    plant.trained()
