"""A rule that names a training's file: the edge reads it beside the config, and its births say the numbers."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from davylamp_alarms.watching.artefact import load
from davylamp_cloud.training.profile_words import tables
from davylamp_edge.__main__ import main
from davylamp_edge.birth import description_of
from davylamp_edge.check import load_edge
from davylamp_edge.config import EdgeConfig
from davylamp_edge.install import install
from davylamp_edge.reload import Reloader
from davylamp_edge.summary import summarise
from davylamp_wire.config import ConfigError
from davylamp_wire.describe import DeviceDescription
from davylamp_wire.profile import Profile
from davylamp_wire.training_file import sealed_table
from support.cloud_process import until
from support.trainings import ALL, together, training, written

DEVICE = "davylamp/edge1/tank1"
TAGS = (f"{DEVICE}/level", f"{DEVICE}/flow")
SOURCE = 'source = { standard = "training", basis = "proposal" }'
ACTION = 'action = { zh = "核实", en = "verify" }'
PROFILE = f"""
zh = "储罐"
en = "tank"
[points.level]
zh = "液位"
en = "level"
unit = "m"
address = {{ modbus = "holding:0" }}
[points.level.warnings.ewma]
model = "tank.json"
{SOURCE}
{ACTION}
[points.flow]
zh = "流量"
en = "flow"
unit = "m3/h"
address = {{ modbus = "holding:2" }}
"""
CONFIG = """
node = "edge1"
profiles = "profiles"
[broker]
host = "broker.plant"
[journal]
path = "data/journal.db"
[[devices]]
name = "tank1"
profile = "tank"
driver = "modbus"
hazard_source = "tanks"
address = "10.0.0.5:502"
"""
UNIT = f"""
[devices.points.level.warnings.unit]
model = "models/tank.json"
{SOURCE}
{ACTION}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A profile with its training beside it, and a site with another copy of it."""
    found = training(TAGS, together(tags=2), ALL)
    for path in (tmp_path / "profiles" / "tanks", tmp_path / "models"):
        path.mkdir(parents=True)
        written(path / "tank.json", found)
    (tmp_path / "profiles" / "tanks" / "tank.toml").write_text(PROFILE, encoding="utf-8")
    return tmp_path


def described(folder: Path, text: str) -> DeviceDescription:
    """Return what the birth says of the device."""
    path = folder / "edge.toml"
    path.write_text(text, encoding="utf-8")
    config, profiles = load_edge(path)
    (device,) = install(config, profiles)
    return DeviceDescription.decode(description_of(device).encode())


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        described(folder, text)
    return caught.value.mistakes


def test_a_birth_says_what_the_files_of_profile_and_site_say(folder: Path) -> None:
    warnings = described(folder, CONFIG + UNIT).points["level"].warnings
    assert set(warnings["ewma"].settings) == {"tau_s", "mean", "deviation", "limit"}
    assert warnings["unit"].inputs == ("level", "flow")
    assert str(warnings["unit"].settings["model"]).startswith("1:")
    assert {warning.model for warning in warnings.values()} == {""}
    clauses = {warning.source.clause for warning in warnings.values()}
    assert len(clauses) == 1
    assert clauses.pop().startswith("SHA-256 ")


def test_no_birth_names_a_file_of_the_edge(folder: Path) -> None:
    path = folder / "edge.toml"
    path.write_text(CONFIG + UNIT, encoding="utf-8")
    config, profiles = load_edge(path)
    (device,) = install(config, profiles)
    assert "tank.json" not in description_of(device).encode()
    assert "tank.json" not in profiles["tank"].model_dump_json()


def test_check_says_how_large_models_make_a_birth(folder: Path) -> None:
    path = folder / "edge.toml"
    path.write_text(CONFIG + UNIT, encoding="utf-8")
    said = "\n".join(summarise(*load_edge(path)))
    assert "trained: level/ewma, level/unit (0.2 kB of the birth)" in said
    assert "say nothing" not in said


def test_a_rule_that_nobody_taught_is_owed(folder: Path) -> None:
    path = folder / "edge.toml"
    unit = UNIT.replace('model = "models/tank.json"', 'inputs = ["level", "flow"]')
    path.write_text(CONFIG + unit, encoding="utf-8")
    said = "\n".join(summarise(*load_edge(path)))
    assert "未训练的统计规则" in said
    assert "tank1/level/unit" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.unlink(), "cannot be read (No such file or directory)"),
        (lambda file: file.write_text(file.read_text().replace('"li"', '"wang"')), "does not match its own SHA-256"),
        (lambda file: file.write_text(file.read_text().replace('"version": 2', '"version": 9')), "is of version 9"),
        (lambda file: written(file, training(TAGS[1:], together(tags=1), ALL)), "holds nothing of the rule unit"),
        (lambda file: written(file, training(("x/y/z/a", "x/y/z/b"), together(tags=2), ALL)), f"know {TAGS[0]}"),
        (
            lambda file: written(file, training((*TAGS, f"{DEVICE}/heat"), together(), ALL)),
            f"the model looks at {DEVICE}/heat, and this site has no such points",
        ),
    ],
    ids=["missing", "changed", "version", "rule", "tag", "input"],
)
def test_a_file_that_does_not_fit_is_refused_by_key(folder: Path, change: object, said: str) -> None:
    change(folder / "models" / "tank.json")  # type: ignore[operator]  # one of the lambdas above
    (mistake,) = mistakes(folder, CONFIG + UNIT)
    assert mistake.startswith(f"{folder / 'edge.toml'}: devices.tank1.points.level.warnings.unit.")
    assert said in mistake


def test_a_file_that_does_not_fit_hides_no_other_mistake(folder: Path) -> None:
    (folder / "models" / "tank.json").unlink()
    found = mistakes(folder, CONFIG.replace("10.0.0.5:502", "nowhere:x") + UNIT.replace(ACTION, ""))
    assert len(found) == 3


def test_a_model_of_a_rule_that_learns_nothing_is_refused(folder: Path) -> None:
    (mistake,) = mistakes(folder, CONFIG + UNIT.replace("warnings.unit", "warnings.frozen"))
    assert mistake.endswith("warnings.frozen.model: this rule learns nothing; leave it out")


def test_what_the_cloud_prints_of_a_training_is_what_an_edge_takes(folder: Path) -> None:
    found = load(folder / "models" / "tank.json")
    printed = "\n".join(tables(found, Path("tank.json"), ["*/level"])).replace("# action", "action")
    by_hand = f'[points.level.warnings.ewma]\nmodel = "tank.json"\n{SOURCE}\n{ACTION}\n'
    profile = folder / "profiles" / "tanks" / "tank.toml"
    profile.write_text(PROFILE.replace(by_hand, "") + printed, encoding="utf-8")
    assert set(described(folder, CONFIG).points["level"].warnings) == {"ewma", "cusum", "normal", "unit"}


def test_a_rule_of_one_tag_does_not_care_what_else_its_training_knows(folder: Path) -> None:
    written(folder / "profiles" / "tanks" / "tank.json", training((TAGS[0], f"{DEVICE}/gone"), together(tags=2), ALL))
    assert set(described(folder, CONFIG).points["level"].warnings) == {"ewma"}


WRONG = f"""
[devices.points.level.warnings.rate]
settings = {{ window_s = -1, limit = 1 }}
{SOURCE}
{ACTION}
"""


def test_check_names_a_setting_that_a_rule_does_not_take_and_a_running_edge_goes_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "window_s" in str(described(folder, CONFIG + WRONG).points["level"].warnings["rate"].settings)
    assert main(["check", str(folder / "edge.toml")]) != 0
    assert "devices.tank1.points.level.warnings.rate.settings: window_s: Input should be" in capsys.readouterr().err


def test_check_says_that_it_did_not_judge_settings_where_the_rules_are_not_installed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("davylamp_edge.rule_settings.find_spec", lambda name: None)
    described(folder, CONFIG + WRONG)
    assert main(["check", str(folder / "edge.toml")]) == 0
    assert "settings of statistical rules are judged by the cloud" in capsys.readouterr().out


def test_check_named_full_lines_and_settings_of_rules_only_once_nothing_else_was_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = folder / "profiles" / "tanks" / "tank.toml"
    rate = f"[points.flow.warnings.rate]\nsettings = {{ window_s = 10, limitt = 5 }}\n{SOURCE}\n{ACTION}\n"
    profile.write_text(PROFILE + rate, encoding="utf-8")
    plain = 'zh = "表"\nen = "gauge"\n' + PROFILE[PROFILE.index("[points.flow]") :] + rate
    (profile.parent / "plain.toml").write_text(plain, encoding="utf-8")
    full = CONFIG[CONFIG.index("[[devices]]") :].replace("tank1", "full").replace('"tank"', '"plain"')
    device = CONFIG + "[devices.points.levell]\ntag = 'LT-1'\n"
    whole = (
        device.replace('node = "edge1"', 'node = "edge1"\nspeed = 3')
        + full.replace("10.0.0.5", "10.0.0.6")
        + "round_trip_ms = 3000\n"
    )
    config = folder / "edge.toml"
    config.write_text(whole, encoding="utf-8")
    assert main(["check", str(config)]) == 2
    said = capsys.readouterr().err
    assert "speed: is not a known key" in said
    assert "devices.tank1.points.levell: profile 'tank' has no such point" in said
    for name in ("tank1", "full"):
        assert f"devices.{name}.points.flow.warnings.rate.settings: limit: is missing; write it" in said
    assert "modbus 10.0.0.6:502: " in said
    assert "scan less often, leave points out, or split it" in said
    assert "处）" in said
    config.write_text("[" + whole, encoding="utf-8")
    assert main(["check", str(config)]) == 2


async def test_a_training_sealed_by_hand_is_refused_whole_by_a_reload_and_the_old_config_runs_on(folder: Path) -> None:
    config = folder / "edge.toml"
    config.write_text(CONFIG, encoding="utf-8")
    followed: list[EdgeConfig] = []

    async def follow(wanted: EdgeConfig, profiles: Mapping[str, Profile]) -> None:
        followed.append(wanted)

    reloader, stop = Reloader(lambda: load_edge(config), follow), asyncio.Event()
    model = folder / "profiles" / "tanks" / "tank.json"
    whole = model.read_text(encoding="utf-8")
    table = json.loads(whole)
    del table["sha256"], table["learnt"][0]["columns"]["limit"]
    model.write_text(sealed_table(table), encoding="utf-8")
    running = asyncio.create_task(reloader.run(stop))
    reloader.asked.set()
    async with asyncio.timeout(20):
        await asyncio.to_thread(until, lambda: reloader.count.refused, "the refusal")
        (mistake,) = reloader.count.mistakes
        assert f"level.warnings.ewma.model: {model}: is incomplete: shifts (ewma): limit is missing; train" in mistake
        assert not followed
        model.write_text(whole, encoding="utf-8")
        reloader.asked.set()
        await asyncio.to_thread(until, lambda: reloader.count.taken, "the good one")
    assert len(followed) == 1
    stop.set()
    await running
