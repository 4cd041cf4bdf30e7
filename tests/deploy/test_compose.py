"""docker-compose.yml holds together: every path, port, secret, volume, variable and health check it names is there.

No Docker engine runs where these tests run; the images are not built here, their Dockerfiles are read.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from davylamp_cloud.config import CloudConfig
from davylamp_edge.config import EdgeConfig
from davylamp_simulators.plant import PlantConfig
from davylamp_wire.config import load

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_pinned_image_a_health_check_and_restarts(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r".+:\d+\.\d+\.\d+", service["image"]), "pin the image to a version"
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_every_path_a_service_mounts_exists(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        source, target, *options = mount.split(":")
        if source.startswith("."):
            assert (ROOT / source).exists(), f"{name} mounts {source}, which is not there"
            assert options == ["ro"], f"{name}: {target} comes from the checkout and must be read-only"
        else:
            assert source in COMPOSE["volumes"], f"{name} names the volume {source}, which is not declared"


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_by_file_and_are_declared(name: str) -> None:
    service = SERVICES[name]
    declared = set(COMPOSE["secrets"])
    assert set(service.get("secrets", [])) <= declared
    text = yaml.safe_dump(service)
    for used in re.findall(r"/run/secrets/([\w-]+)", text):
        assert used in service["secrets"], f"{name} reads {used} without naming it"
    for variable, value in service.get("environment", {}).items():
        if re.search("PASSWORD|TOKEN|SECRET", variable):
            assert "/run/secrets/" in value, f"{name}: {variable} must come from a file"


def test_make_secrets_makes_every_secret(tmp_path: Path) -> None:
    from runpy import run_path

    run_path(str(ROOT / "deploy" / "make_secrets.py"))["make"](tmp_path / "secrets")
    for name, secret in COMPOSE["secrets"].items():
        assert (tmp_path / "secrets" / Path(secret["file"]).name).exists(), f"nobody makes {name}"
        assert Path(secret["file"]).parent == Path("deploy/secrets")


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:"), f"{name} publishes {port} to everyone"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_is_a_service(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        assert how["condition"] in ("service_healthy", "service_started")


@pytest.mark.parametrize("part", ["cloud", "edge", "simulators"])
def test_a_dockerfile_copies_what_exists_and_drops_root(part: str) -> None:
    text = (ROOT / part / "Dockerfile").read_text(encoding="utf-8")
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for path in source.split():
            assert (ROOT / path).exists(), f"{part}/Dockerfile copies {path}"
    extras = re.search(r"'\.\[(.+)\]'", text)
    assert extras is not None
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in extras.group(1).split(","):
        assert re.search(rf"^{extra} = \[", pyproject, re.MULTILINE)
    assert "\nUSER davylamp\n" in text
    assert all(
        re.fullmatch(r"FROM python:\d+\.\d+\.\d+-\S+( AS build)?", line)
        for line in text.splitlines()
        if "FROM " in line[:5]
    )
    entry = re.search(r'ENTRYPOINT \["(.+)"\]', text)
    assert entry is not None
    assert f"{entry.group(1)} = " in pyproject


@pytest.mark.parametrize("name", ["edge-1", "edge-2"])
def test_an_edges_config_fits_the_compose_file(name: str) -> None:
    config = load(EdgeConfig, ROOT / "deploy" / f"{name}.toml")
    assert config.node == name == config.broker.username, "the broker's rules know an edge by its user name"
    assert config.broker.host in SERVICES
    assert config.status is not None
    assert f":{config.status.port}/healthz" in SERVICES[name]["healthcheck"]["test"][-1]
    plant = {device.name: device for device in load(PlantConfig, ROOT / "deploy" / "plant.toml").devices}
    for device in config.devices:
        host, port = device.address.removeprefix("opc.tcp://").rsplit(":", 1)
        assert (host, int(port)) == ("simulators", plant[device.name].port)
        assert (device.profile, device.driver) == (plant[device.name].profile, plant[device.name].protocol)


def test_the_clouds_config_fits_the_compose_file() -> None:
    config = load(CloudConfig, ROOT / "deploy" / "cloud.toml")
    assert config.broker.host in SERVICES
    assert urlsplit(config.historian.url or "").hostname in SERVICES
    assert config.historian.bucket == SERVICES["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_BUCKET"]
    assert config.historian.org == SERVICES["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_ORG"]
    (receiver,) = config.receivers
    command = SERVICES["regulator"]["command"]
    assert urlsplit(receiver.url).hostname == "regulator"
    assert str(urlsplit(receiver.url).port) == command[command.index("--port") + 1]
    assert f"127.0.0.1:{config.http.port}:{config.http.port}" in SERVICES["cloud"]["ports"]


def test_the_clouds_health_check_asks_a_route_that_exists() -> None:
    asked = urlsplit(re.findall(r"http://[^']+", SERVICES["cloud"]["healthcheck"]["test"][-1])[0])
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "cloud/davylamp_cloud/api").glob("*.py"))
    assert f'"{asked.path}"' in source
