"""What the demo writes before it starts: folders, keys and configs of broker, cloud, edges and plant."""

import base64
import json
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from davylamp_simulators.beacon import HORN, LAMP, WATCHDOG
from davylamp_simulators.recording import load_config

LOOPBACK = "127.0.0.1"
GROUP = "demo"


@dataclass(frozen=True, slots=True)
class Part:
    """One edge of the demo and the device it polls."""

    node: str
    device: str
    profile: str
    protocol: str
    hazard_source: str
    inside: tuple[str, str]
    """("process" or "recording", its name)."""
    detectors: tuple[str, ...] = ()
    """Points whose alarms the edge decides itself where it has a beacon to show them on."""


DETECTORS = tuple(f"cl2_{number}" for number in range(1, 7))
CHLORINE = Part("edge-1", "cl2-store", "cl2-store", "modbus", "cl2-store-1", ("process", "chlorine-store"), DETECTORS)
SPHERE = Part("edge-2", "lpg-sphere", "lpg-sphere", "opcua", "lpg-sphere-1", ("process", "lpg-sphere"))


@dataclass(frozen=True, slots=True)
class Historian:
    """Where the demo's cloud keeps history."""

    kind: str = "duckdb"
    url: str | None = None
    bucket: str = "davylamp"
    token_file: Path | None = None

    @property
    def token(self) -> str:
        """Return the token, empty where none is asked for."""
        return self.token_file.read_text(encoding="ascii").strip() if self.token_file else ""


def parts_of(recording: str | None) -> tuple[Part, Part]:
    """Return the two edges: both processes, or the recording beside the process of the other protocol."""
    if recording is None:
        return CHLORINE, SPHERE
    config = load_config(recording)
    played = Part(
        "edge-1", config.name, config.profile or "", config.protocol, config.hazard_source, ("recording", recording)
    )
    return played, replace(CHLORINE, node="edge-2")


class Stage:
    """The demo's folder and everything in it."""

    def __init__(
        self, folder: Path, parts: Sequence[Part], language: str, points: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        """`points` are what a scenario's edges say otherwise of their devices' points."""
        self.folder = folder
        self._points = points or {}
        self.parts = parts
        self._language = language
        self.broker_port = free_port()
        self.token = secrets.token_urlsafe(32)
        self.secret_file = self._secret("webhook_secret", "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
        self.token_file = self._secret("operator_token", self.token)
        self.ledger = folder / "ledger.jsonl"
        self.notices = folder / "notices.jsonl"
        self.endpoints = folder / "endpoints.json"
        self.data_dir = folder / "cloud"
        self.address_file = self.data_dir / "http.json"

    def _secret(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text + "\n", encoding="ascii")
        return path

    def broker_command(self, kind: str) -> list[str]:
        """Return how to start the broker: Mosquitto where it is installed, else amqtt."""
        mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if kind == "mosquitto" or (kind == "auto" and mosquitto):
            config = self.folder / "mosquitto.conf"
            # Started by root it would become another user, and the kernel then forgets to end it with the demo.
            user = "user root\n" if os.geteuid() == 0 else ""
            config.write_text(
                user
                + f"listener {self.broker_port} {LOOPBACK}\nallow_anonymous true\npersistence false\nlog_dest stderr\n"
                "max_queued_messages 0\n",
                encoding="ascii",
            )
            return [mosquitto or "mosquitto", "-c", str(config)]
        config = self.folder / "amqtt.yaml"
        config.write_text(
            f"listeners:\n  default:\n    type: tcp\n    bind: {LOOPBACK}:{self.broker_port}\n"
            "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n",
            encoding="ascii",
        )
        return [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(config)]

    def write_plant(self, scenario: str | None, seed: int = 1) -> Path:
        """Write the plant file; its clock waits until both devices are read."""
        top = {"seed": seed, "start": "first-read", "ledger": "ledger.jsonl", "endpoints": "endpoints.json"}
        devices = [
            {"name": p.device, "profile": p.profile, "protocol": p.protocol, p.inside[0]: p.inside[1], "port": 0}
            for p in self.parts
        ]
        return self._write("plant.toml", top | ({"scenario": scenario} if scenario else {}), devices=devices)

    def write_cloud(self, regulator_port: int, historian: Historian, port: int) -> Path:
        """Write the cloud's config; its regulator asks for every level, so that each alarm goes the whole way."""
        receiver = {
            "name": "regulator",
            "url": f"http://{LOOPBACK}:{regulator_port}/notices",
            "insecure_http": True,
            "secret_file": self.secret_file.name,
            "priorities": ["red", "orange", "yellow", "blue"],
            "language": self._language,
        }
        store = {"kind": historian.kind, "bucket": historian.bucket}
        store |= {"url": historian.url} if historian.url else {}
        store |= {"token_file": str(historian.token_file.resolve())} if historian.token_file else {}
        return self._write(
            "cloud.toml",
            {"data_dir": "cloud", "language": self._language},
            broker={"host": LOOPBACK, "port": self.broker_port},
            http={"host": LOOPBACK, "port": port},
            historian=store,
            receivers=[receiver],
            tokens=[{"name": "demo-operator", "role": "operator", "token_file": self.token_file.name}],
            sites=[{"name": "demo", "zh": "演示厂区", "en": "demonstration site", "groups": [GROUP]}],
        )

    def write_edges(self, beacon_port: int | None = None) -> list[Path]:
        """Write the edges' configs, once the plant's ports are known. They hold nothing back: losses are counted."""
        ports: dict[str, int] = json.loads(self.endpoints.read_text(encoding="utf-8"))
        return [self._write_edge(part, ports[part.device], beacon_port) for part in self.parts]

    def _write_edge(self, part: Part, port: int, beacon_port: int | None) -> Path:
        scheme = "opc.tcp://" if part.protocol == "opcua" else ""
        device: dict[str, Any] = {
            "name": part.device,
            "profile": part.profile,
            "driver": part.protocol,
            "hazard_source": part.hazard_source,
            "address": f"{scheme}{LOOPBACK}:{port}",
            # A block that bridges a gap reads points it was not asked for; they would stand in the ledger for nothing.
            "gap_registers": 0,
        }
        if part.protocol == "opcua":
            device["opcua.mode"] = "poll"  # what is told may be repeated, and every reading is counted
        device |= dict(dotted("points", self._points.get(part.device, {})))
        sections: dict[str, Any] = {}
        if beacon_port is not None and part.detectors:
            device |= {f"points.{name}.local": True for name in part.detectors}
            coils = {"coils.lamp": LAMP, "coils.horn": HORN, "coils.watchdog": WATCHDOG}
            sections["beacon"] = {"address": f"{LOOPBACK}:{beacon_port}", **coils}
        return self._write(
            f"{part.node}.toml",
            {"node": part.node, "group": GROUP, "report": "every"},
            broker={"host": LOOPBACK, "port": self.broker_port},
            journal={"path": f"{part.node}/journal.db"},
            **sections,
            devices=[device],
        )

    def _write(self, name: str, top: dict[str, Any], **sections: Any) -> Path:
        path = self.folder / name
        path.write_text(toml(top, **sections), encoding="utf-8")
        if name.startswith("edge-"):
            (self.folder / path.stem).mkdir(exist_ok=True)
        return path


def toml(top: dict[str, Any], **sections: Any) -> str:
    """Return a config of plain values, tables and lists of tables as TOML. JSON's strings are TOML's strings."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in top.items()]
    for name, section in sections.items():
        for table in section if isinstance(section, list) else [section]:
            lines += ["", f"[[{name}]]" if isinstance(section, list) else f"[{name}]"]
            lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def dotted(key: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the values of a table of tables by their dotted keys."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from dotted(f"{key}.{name}", value)
        else:
            yield f"{key}.{name}", value


def free_port() -> int:
    """Return a TCP port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
