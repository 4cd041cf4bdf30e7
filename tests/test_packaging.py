"""The wheel as a user gets it: a gateway installs no cloud libraries, and every part finds its data."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CLOUD_LIBRARIES = ("numpy", "fastapi", "duckdb", "sqlalchemy", "asyncua", "pandas")


def run(*command: str | Path, cwd: Path | None = None) -> str:
    # Only what is installed may be found: neither the checkout nor the tests' own path.
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (built,) = folder.glob("davylamp-*.whl")
    return built


@pytest.fixture(scope="module")
def gateway(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with `davylamp[edge]` and nothing else."""
    folder = tmp_path_factory.mktemp("gateway") / "venv"
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[edge]")
    return folder / "bin"


@pytest.mark.timeout(300)
def test_a_gateway_carries_no_cloud_libraries(gateway: Path, tmp_path: Path) -> None:
    listed = json.loads(run(gateway / "pip", "list", "--format", "json", "--disable-pip-version-check"))
    installed = {each["name"].lower() for each in listed}
    assert installed.isdisjoint(CLOUD_LIBRARIES)
    assert "usage" in run(gateway / "davylamp-edge", "--help", cwd=tmp_path).lower()


@pytest.mark.timeout(300)
def test_an_installed_gateway_finds_the_profiles_and_checks_a_config(gateway: Path, tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(
        'node = "n"\n[broker]\nhost = "127.0.0.1"\n[journal]\npath = "j.db"\n[[devices]]\nname = "cl2"\n'
        'profile = "cl2-store"\ndriver = "modbus"\nhazard_source = "cl2"\naddress = "127.0.0.1:502"\n'
    )
    assert "cl2" in run(gateway / "davylamp-edge", "check", config, cwd=tmp_path)


@pytest.mark.timeout(300)
def test_a_gateway_without_the_extra_refuses_to_decide_alarms_and_says_what_to_install(
    gateway: Path, tmp_path: Path
) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(
        'node = "n"\n[broker]\nhost = "127.0.0.1"\n[journal]\npath = "j.db"\n[[devices]]\nname = "cl2"\n'
        'profile = "cl2-store"\ndriver = "modbus"\nhazard_source = "cl2"\naddress = "127.0.0.1:502"\n'
        "[devices.points.cl2_1]\nlocal = true\n"
    )
    for command in ("check", "run"):
        done = subprocess.run([gateway / "davylamp-edge", command, config], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "devices.cl2.points.cl2_1.local" in done.stderr
        assert "pip install 'davylamp[edge-alarms]'" in done.stderr


@pytest.mark.timeout(300)
def test_the_wheel_holds_the_data_of_every_part(wheel: Path) -> None:
    names = run(sys.executable, "-m", "zipfile", "-l", wheel)
    for needed in (
        "davylamp_wire/device_profiles/chlorine/cl2-store.toml",
        "davylamp_cloud/dashboards/json/overview-zh.json",
        "davylamp_cloud/console/templates/",
        "davylamp_cloud/console/static/",
        "davylamp_simulators/scenarios/chlorine-leak.toml",
        "davylamp_simulators/recordings/",
        "davylamp_wire/sparkplug.proto",
    ):
        assert needed in names, f"the wheel lacks {needed}"
    assert "tests/" not in names
