"""The command: what it says of a good config, of a bad one, and how it ends."""

import io
import tomllib
from pathlib import Path

import pytest
from davylamp_edge.__main__ import BAD_INPUT, OK, _Tolerant, main
from davylamp_edge.beacon_settings import BeaconSettings
from davylamp_edge.check import load_edge

EXAMPLE = Path(__file__).parents[2] / "edge/example.toml"


def test_the_example_is_a_config_that_can_be_run() -> None:
    config, profiles = load_edge(EXAMPLE)
    assert config.node == "edge-1"
    assert {device.profile for device in config.devices} <= profiles.keys()


def test_the_example_names_every_key_of_the_config() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    commented = tomllib.loads(text)
    config, _ = load_edge(EXAMPLE)
    for key in type(config).model_fields:
        assert key in commented or f"# {key} = " in text, key
    for device in type(config.devices[0]).model_fields:
        assert f"{device} = " in text or f"[devices.{device}" in text, device
    for key in BeaconSettings.model_fields:
        assert f"{key} = " in text or f"[beacon.{key}]" in text, key
    for setting in type(config.devices[0].opcua).model_fields:
        assert f"{setting} = " in text, setting


def test_check_says_what_the_config_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLE)]) == OK
    said = capsys.readouterr().out
    assert "davylamp/edge-1: 2 devices, 37 tags" in said
    assert "cl2-store (cl2-store, modbus 192.0.2.10:502): 19 tags" in said
    assert "requests/s, birth " in said


def test_five_mistakes_get_one_message_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(
        'node = "edge 1"\ncolour = "red"\n[broker]\nhost = "127.0.0.1"\nport = 99999\n'
        '[journal]\npath = "j.db"\nmax_bytes = 10\n'
        '[[devices]]\nname = "a"\nprofile = "nothing"\ndriver = "modbus"\nhazard_source = "h"\n'
        'address = "127.0.0.1:502"\n'
    )
    assert main(["check", str(config)]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "输入有误（5 处），未执行" in said
    assert "5 mistakes" in said
    for key in ("node", "colour", "broker.port", "journal.max_bytes", "devices.a.profile"):
        assert key in said


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_file_that_is_not_there_is_bad_input(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "/nowhere/edge.toml"]) == BAD_INPUT
    assert "/nowhere/edge.toml" in capsys.readouterr().err


def test_help_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == OK
    for word in ("run", "check", "exit codes: 0 ok, 1 failed, 2 bad input", "example.toml", "边缘"):
        assert word in said


def test_no_command_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == BAD_INPUT
    assert "COMMAND" in capsys.readouterr().err


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_log_on_a_full_disk_costs_lines_and_no_exception() -> None:
    stream = _Tolerant(FullDisk())
    assert stream.write("line") == 0
    stream.flush()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("probe 127.0.0.1:502 40001 --unit 999", "'999': give 0 to 255（请给0 至 255）"),
        ("probe 127.0.0.1:502 40001 --unit one", "'one': give 0 to 255"),
        ("probe 127.0.0.1:502 40001 --timeout -1", "'-1': give seconds above 0, at most 60"),
        ("probe 127.0.0.1:502 40001 --timeout nan", "'nan': give seconds above 0"),
        ("browse opc.tcp://127.0.0.1:4840 --depth 0", "'0': give 1 to 100"),
        ("certificate tls --uri 植物", "'植物': give like urn:plant:edge-1, plain ASCII"),
        ("certificate tls --uri urn:x --host 主机", "'主机': give a host name or IP address in plain ASCII"),
        ("certificate tls --uri urn:x --days -5", "'-5': give 1 to 36500"),
    ],
)
def test_what_cannot_be_meant_on_the_command_line_is_bad_input(
    capsys: pytest.CaptureFixture[str], arguments: str, says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == BAD_INPUT
    assert says in capsys.readouterr().err
