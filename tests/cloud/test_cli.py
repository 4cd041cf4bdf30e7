"""The command `davylamp-cloud`: what it says, and with which exit code it ends."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from davylamp_cloud.__main__ import BAD_INPUT, FAILED, OK, main
from support.cloud_process import CloudProcess, until
from support.host import host
from support.services import Broker
from support.speaker import SOURCE, Speaker, gas_point, limit

EXAMPLE = Path(__file__).parents[2] / "cloud" / "example.toml"


def test_help_explains_itself() -> None:
    command = [sys.executable, "-m", "davylamp_cloud", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for words in ("exit codes: 0 ok, 1 failed, 2 bad input", "run", "check", "verify", "token", "grafana"):
        assert words in said


def test_check_accepts_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLE)]) == OK
    assert "good" in capsys.readouterr().out


def test_five_mistakes_come_in_one_message_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(
        'data_dir = "var"\nlanguage = "fr"\n[broker]\nport = 0\n[http]\nhost = "0.0.0.0"\n'
        '[historian]\nkind = "oracle"\n[[tokens2]]\nname = "x"\n'
    )
    assert main(["check", str(path)]) == BAD_INPUT
    said = capsys.readouterr().err
    assert said.count("cloud.toml:") == 5
    for key in ("language", "broker.port", "http.host", "historian.kind", "tokens2"):
        assert key in said
    assert main(["run", str(path)]) == BAD_INPUT


def test_check_called_good_what_run_refused_for_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every mistake in one go: those of keys and certificates beside those of the config."""
    path = tmp_path / "cloud.toml"
    for name in ("short", "pem", "binary"):
        (tmp_path / name).write_bytes(b"whsec_c2hvcnQ=" if name == "short" else b"\xff\xfe")
    receiver = '[[receivers]]\nname = "{name}"\nurl = "https://r.example/{name}"\n{more}\n'
    good = (
        'data_dir = "var"\n[broker]\n[broker.tls]\nca_file = "pem"\n'
        + receiver.format(name="one", more='secret_file = "short"')
        + receiver.format(name="two", more='ed25519_key_file = "pem"')
        + '[[tokens]]\nname = "desk"\nrole = "viewer"\ntoken_file = "binary"\n'
    )
    for text, count in ((good, 4), (good.replace('data_dir = "var"', 'data_dir = "var"\nlanguage = "fr"'), 5)):
        path.write_text(text)
        assert main(["check", str(path)]) == BAD_INPUT
        said = capsys.readouterr().err
        assert f"{count} mistakes:" in said
        for words in (
            "short: needs whsec_ and 24",
            "pem: is no Ed25519 key",
            "binary: token desk is not UTF-8",
            "tls: ",
        ):
            assert words in said
    path.write_text(good.replace("short", "none"))
    assert main(["check", str(path)]) == BAD_INPUT
    assert capsys.readouterr().err.count("none") == 1


def test_a_file_that_is_not_there_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "none.toml")]) == BAD_INPUT
    assert "none.toml" in capsys.readouterr().err


def test_run_stops_cleanly_when_asked_and_ends_with_0(tmp_path: Path, mosquitto: Broker) -> None:
    cloud = CloudProcess(tmp_path, mosquitto).start()
    assert cloud.get("/api/v1/alarms")["items"] == []
    assert cloud.stop() == OK


def test_run_goes_on_without_a_broker_and_still_stops_cleanly(tmp_path: Path, mosquitto: Broker) -> None:
    mosquitto.kill()
    cloud = CloudProcess(tmp_path, mosquitto).start()
    assert not cloud.get("/api/v1/health")["ingest"]["connected"]
    address = f"{mosquitto.host}:{mosquitto.port}"
    until(lambda: f'"broker unreachable, trying on" broker={address}' in cloud.log.read_text(), "that it says so")
    assert cloud.stop() == OK


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = tmp_path / "cloud.toml"
        path.write_text(f'data_dir = "cloud"\n[http]\nport = {taken.getsockname()[1]}\n')
        assert main(["run", str(path)]) == FAILED
    assert "set host or port under [http]" in capsys.readouterr().err


def test_run_in_a_folder_nobody_may_write_fails_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "cloud.toml"
    path.write_text('data_dir = "file/cloud"\n')
    assert main(["run", str(path)]) == FAILED
    assert "file" in capsys.readouterr().err


def test_s29_verify_names_the_changed_row_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "cloud.toml"
    config.write_text('data_dir = "."\n')
    edge = Speaker()
    with host(tmp_path) as running:
        running.hear(*edge.birth(), edge.data([5.0]))
        running.settle()
    assert main(["verify", str(config)]) == OK
    with host(tmp_path) as running, running.state.writing() as connection:
        connection.exec_driver_sql("UPDATE transitions SET letter = 'A' WHERE source_no = 2")
    assert main(["verify", str(config)]) == FAILED
    assert "chain cl2-store, row 2: was changed" in capsys.readouterr().err


def test_verify_without_a_database_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "cloud.toml"
    config.write_text('data_dir = "nothing"\n')
    assert main(["verify", str(config)]) == BAD_INPUT
    assert "has run" in capsys.readouterr().err


def test_a_token_fits_the_hash_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token"]) == OK
    token, hashed = (line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines())
    assert PasswordHasher().verify(hashed.removeprefix("= ").strip('"'), token)


def test_dashboards_are_written_as_files(tmp_path: Path) -> None:
    assert main(["grafana", "write", str(tmp_path)]) == OK
    assert len(list(tmp_path.glob("*.json"))) == 2


@pytest.mark.parametrize(
    ("language", "error", "warning"),
    [
        ("en", "error: park/edge-1/store/bad limits.L1: is 3 as limits.L2 is", "warning: park/edge-1/store/gas limits"),
        ("zh", "错误 park/edge-1/store/bad limits.L1：与 limits.L2 同为 3", "警告 park/edge-1/store/gas limits"),
    ],
)
def test_check_judges_every_registered_tag_beside_a_running_cloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str, error: str, warning: str
) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(f'data_dir = "cloud"\nlanguage = "{language}"\n', encoding="utf-8")
    bad = {"L1": limit(3.0, deadband=0.1), "L2": limit(3.0)}
    points = {
        "bad": gas_point(gas="NH3", limits=bad),
        "gas": gas_point(gas="Cl2"),
        "level": gas_point(kind="process", unit="%", limits={}),
        "mute": gas_point(kind="status", range=None, limits={}),
        "thin": gas_point(kind="process", deadband=0.1, warnings={"frozen": {"source": SOURCE}}),
    }
    with host(tmp_path / "cloud") as running:
        running.hear(*Speaker(points=points).birth())
        running.settle()
        assert main(["check", str(path)]) == OK
    said = capsys.readouterr().out
    for line in (error, warning, "tags without limits (无限值的位号): 1", "    park/edge-1/store/level", ": 5"):
        assert line in said
    assert "mute" not in said
    assert f"{error.split()[0]} park/edge-1/store/thin deadband" in said
