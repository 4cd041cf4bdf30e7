"""The command line: it explains itself, names every mistake, and ends cleanly."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from davylamp_simulators.__main__ import MODES, main
from davylamp_simulators.plant import load_plant
from davylamp_simulators.regulator import Mode
from davylamp_wire.config import ConfigError

EXAMPLE = Path(__file__).parents[2] / "simulators" / "example.toml"
FIVE_MISTAKES = """
scenario = "chlorine-leek"
[[devices]]
name = "a"
profile = "cl3-store"
protocol = "modbus"
process = "chlorine-shop"
port = 0
[[devices]]
name = "a"
profile = "cl2-store"
protocol = "modbus"
recording = "nist-fyre"
port = 0
"""


@contextmanager
def running(*arguments: str, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "davylamp_simulators", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    line: dict[str, object] = json.loads(process.stdout.readline())
    return line


def test_the_example_is_a_plant_and_check_says_what_it_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLE)]) == 0
    assert "3 devices, scenario chlorine-leak" in capsys.readouterr().out


def test_a_file_with_five_mistakes_gets_one_message_naming_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plant.toml").write_text(FIVE_MISTAKES)
    assert main(["check", str(tmp_path / "plant.toml")]) == 2
    told = capsys.readouterr().err
    assert "5 mistakes" in told
    for word in ("chlorine-leek", "cl3-store", "chlorine-shop", "two devices", "nist-fyre"):
        assert word in told


def test_a_device_is_either_a_process_or_a_recording(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(
        '[[devices]]\nname = "a"\nprofile = "cl2-store"\nprotocol = "modbus"\nport = 0\n'
    )
    with pytest.raises(ConfigError, match="either process or recording"):
        load_plant(tmp_path / "plant.toml")


def test_a_scenario_for_a_device_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(
        'scenario = "overfill"\n[[devices]]\nname = "a"\nprofile = "cl2-store"\nprotocol = "modbus"\n'
        'process = "chlorine-store"\nport = 0\n'
    )
    with pytest.raises(ConfigError, match="there is no device 'lpg-sphere'"):
        load_plant(tmp_path / "plant.toml")


@pytest.mark.parametrize("command", ["", "run", "check", "replay", "regulator", "demo", "list"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command.split(), "--help"])
    assert end.value.code == 0
    assert len(capsys.readouterr().out) > 100


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--scenario", "none-such"],
        ["demo", "--historian", "influxdb"],
        ["demo", "--json"],
        ["demo", "--historian", "influxdb", "--influx-url", "http://x", "--influx-token-file", "/none-such"],
        ["demo", "--seconds", "0"],
        ["replay", "none-such"],
        ["regulator"],
        ["regulator", "--secret-file", "/none-such"],
        ["run", "/none-such"],
    ],
)
def test_bad_input_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "mistake" in capsys.readouterr().err


def test_the_list_names_scenarios_recordings_and_licences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    told = capsys.readouterr().out
    for word in ("chlorine-leak", "nist-fire", "CC BY 4.0"):
        assert word in told


def test_the_modes_offered_are_those_there_are() -> None:
    assert tuple(Mode) == MODES


def test_a_profile_is_written_from_a_table(tmp_path: Path) -> None:
    (tmp_path / "run.csv").write_text("time,a\n0,1\n1,2\n")
    target = tmp_path / "profile.toml"
    assert main(["replay", str(tmp_path / "run.csv"), "--write-profile", str(target)]) == 0
    assert "[points.a]" in target.read_text()


def test_a_plant_ends_on_sigterm_with_its_ledger_whole(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(
        'ledger = "ledger.jsonl"\nendpoints = "ports.json"\n[[devices]]\nname = "a"\nprofile = "cl2-store"\n'
        'protocol = "modbus"\nprocess = "chlorine-store"\nport = 0\n'
    )
    with running("run", str(tmp_path / "plant.toml"), "--json") as process:
        port = first_line(process)["port"]
        assert json.loads((tmp_path / "ports.json").read_text()) == {"a": port}
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out.splitlines()[-1]) == {"served": 0}
    assert (tmp_path / "ledger.jsonl").read_text() == '{"ledger":1}\n'


def test_a_recording_is_replayed_until_ctrl_c() -> None:
    with running("replay", "nist-fire", "--json") as process:
        assert first_line(process)["device"] == "nist-fire"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


def test_a_port_that_is_taken_ends_with_one_and_a_sentence(tmp_path: Path) -> None:
    with running("replay", "nist-fire", "--json") as process:
        port = str(first_line(process)["port"])
        with running("replay", "nist-fire", "--port", port) as second:
            _, err = second.communicate(timeout=20)
    assert second.returncode == 1
    assert "Traceback" not in err
    assert port in err
    assert "take another port (--port" in err


def test_a_regulator_ends_with_its_counts(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("whsec_" + "A" * 44)
    with running("regulator", "--port", "0", "--secret-file", str(tmp_path / "secret")) as process:
        assert isinstance(first_line(process)["port"], int)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["notices"] == 0
