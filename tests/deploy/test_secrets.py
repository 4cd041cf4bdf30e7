"""The secrets docker-compose.yml names: random, kept, and good for a real Mosquitto with our ACL."""

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from support.services import Broker, broker

ROOT = Path(__file__).parents[2]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_secrets", ROOT / "deploy" / "make_secrets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    script().make(folder)
    return folder


@pytest.fixture
def guarded(tmp_path: Path, secrets: Path) -> Iterator[Broker]:
    """A Mosquitto with the shipped ACL and the passwords just made."""
    folder = tmp_path / "broker"
    folder.mkdir()
    rules = f"password_file {secrets / 'mosquitto_passwords'}\nacl_file {ROOT / 'deploy' / 'mosquitto' / 'acl'}\n"
    # Started by root it would become user mosquitto, who may not read a test's folder.
    with broker(folder, extra=rules + "user root\n", anonymous=False) as running:
        yield running


def client(running: Broker, user: str | None, password: str) -> tuple[mqtt.Client, bool]:
    """Return a started client and whether the broker let it in."""
    answered = threading.Event()
    codes: list[bool] = []
    made = mqtt.Client(CallbackAPIVersion.VERSION2)
    if user is not None:
        made.username_pw_set(user, password)

    def connected(*given: object) -> None:
        codes.append(not getattr(given[3], "is_failure", True))
        answered.set()

    made.on_connect = connected
    made.connect(running.host, running.port)
    made.loop_start()
    assert answered.wait(5)
    return made, codes[0]


def end(*clients: mqtt.Client) -> None:
    for each in clients:
        each.disconnect()
        each.loop_stop()


def test_every_secret_is_made_once_and_kept(secrets: Path) -> None:
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    script().make(secrets)
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before
    assert secrets.stat().st_mode & 0o077 == 0


def test_two_sites_share_no_secret(tmp_path: Path) -> None:
    for name in ("a", "b"):
        script().make(tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_text() != (tmp_path / "b" / path.name).read_text()


def test_the_broker_refuses_strangers_and_wrong_passwords(guarded: Broker, secrets: Path) -> None:
    stranger, stranger_in = client(guarded, None, "")
    wrong, wrong_in = client(guarded, "edge-1", "guess")
    edge, edge_in = client(guarded, "edge-1", (secrets / "mqtt_edge-1").read_text())
    end(stranger, wrong, edge)
    assert (stranger_in, wrong_in, edge_in) == (False, False, True)


def test_an_edge_speaks_for_itself_alone(guarded: Broker, secrets: Path) -> None:
    heard: list[str] = []
    done = threading.Event()
    cloud, _ = client(guarded, "cloud", (secrets / "mqtt_cloud").read_text())
    subscribed = threading.Event()
    cloud.on_subscribe = lambda *_: subscribed.set()

    def received(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        heard.append(message.topic)
        if message.topic.endswith("/NDATA/edge-1"):
            done.set()

    cloud.on_message = received
    cloud.subscribe("spBv1.0/#")
    assert subscribed.wait(5)
    password = (secrets / "mqtt_edge-1").read_text()
    forgers = []
    for topic in ("spBv1.0/davylamp/NBIRTH/edge-2", "spBv1.0/davylamp/NCMD/edge-2"):
        forger, _ = client(guarded, "edge-1", password)  # Mosquitto hangs up on a forger, so each has a line of its own
        forger.publish(topic, b"forged").wait_for_publish(5)
        forgers.append(forger)
    edge, _ = client(guarded, "edge-1", password)
    edge.publish("spBv1.0/davylamp/DDATA/edge-1/cl2", b"own")
    edge.publish("spBv1.0/davylamp/NDATA/edge-1", b"own")
    assert done.wait(5)
    end(cloud, edge, *forgers)
    assert heard == ["spBv1.0/davylamp/DDATA/edge-1/cl2", "spBv1.0/davylamp/NDATA/edge-1"]
