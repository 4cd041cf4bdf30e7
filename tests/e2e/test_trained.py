"""A unit watched as a plant engineer has it watched: a PLC, the real edge, Mosquitto, the real cloud, and its training.

History of the plant is learnt from, the edge is given the file, a person accepts, and a fault that no limit sees is
warned of with the share of each tag.
"""

import asyncio
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.cloud_process import CloudProcess, until
from support.edge_process import config_of, edge_process
from support.field import Plc, plc
from support.receiver import KEY, SECRET, Receiver, receiver
from support.services import Broker

POINT = """
[points.{name}]
zh = "{zh}"
en = "{name}"
unit = "%"
type = "uint16"
scale = 0.01
range = [0, 100]
scan_s = 0.05
address = {{modbus = "holding:{at}"}}
[points.{name}.limits.HH]
value = 95
action = {{zh = "停车", en = "stop"}}
source = {{standard = "test", basis = "proposal"}}
"""
NAMES = {"level": "液位", "flow": "流量", "amps": "电流"}
PROFILE = 'zh = "储罐"\nen = "tank"\n' + "".join(
    POINT.format(name=name, zh=zh, at=at) for at, (name, zh) in enumerate(NAMES.items())
)
UNIT = """
[devices.points.level.warnings.unit]
model = "tank-1.json"
on_delay_s = 1
action = {zh = "核对三台仪表", en = "compare the three gauges"}
source = {standard = "training", basis = "proposal"}
"""
TOKEN = "a-token-that-only-this-test-knows"
PLAN = """
about = "a tank"
[[watch]]
id = "tank"
rule = "unit"
tags = ["*"]
quantile = 0.999
settings = { share = 0.8 }
"""


@dataclass
class Tank:
    """Level, flow and current that rise and fall together; `apart` lets the flow go its own way, within its limits."""

    plc: Plc
    apart: bool = False
    noise: Random = field(default_factory=lambda: Random(7))

    async def run(self) -> None:
        """Move as a plant does, twenty times a second, until cancelled."""
        while True:
            together = 20 * math.sin(time.monotonic() * 2)
            ways = (together, -together if self.apart else together, together)
            values = [round(100 * (50 + way + self.noise.gauss(0, 0.4))) for way in ways]
            await self.plc.write("holding", 0, values)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def tank() -> AsyncIterator[Tank]:
    async with plc(holding=[5000, 5000, 5000, 0]) as rig:
        found = Tank(rig)
        moving = asyncio.create_task(found.run())
        try:
            yield found
        finally:
            moving.cancel()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a person would."""
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=60)


class Engineer:
    """Who may edit, with a token of their own."""

    def __init__(self, cloud: CloudProcess) -> None:
        self.cloud = cloud

    def get(self, path: str) -> Any:
        """Return what a route answers."""
        return self._asked("GET", path).json()

    def page(self, path: str) -> str:
        """Return a page of the console."""
        return self._asked("GET", path).text

    def post(self, path: str, **body: Any) -> None:
        """Send a change."""
        self._asked("POST", path, json=body)

    def alarms(self) -> list[dict[str, Any]]:
        """Return the alarms that stand or wait."""
        return list(self.get("/api/v1/alarms")["items"])

    def warned(self) -> list[dict[str, Any]]:
        """Return those of the unit."""
        return [one for one in self.alarms() if one["kind"] == "UNIT"]

    def _asked(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx.request(method, self.cloud.url + path, headers=headers, timeout=20, **more)
        assert answer.is_success, answer.text
        return answer


async def train(cloud: CloudProcess, folder: Path, began_s: float) -> None:
    """Train on what the historian has by now; its window ends where the last reading surely is stored."""
    (folder / "plan.toml").write_text(PLAN, encoding="utf-8")
    span = [f"--from={iso(began_s + 1)}", f"--to={iso(began_s + 7)}", "--every=0.1", "--least-samples=40"]
    tags = [f"--tags=davylamp/edge-1/rig/{name}" for name in NAMES]
    files = [f"--rules={folder / 'plan.toml'}", f"--out={folder / 'tank-1.json'}"]
    asked = ["davylamp_cloud", "train", str(cloud.config), *span, *tags, *files]
    done = await asyncio.to_thread(run, *asked)
    assert done.returncode == 0, done.stdout + done.stderr


def iso(at_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at_s))


async def accept(cloud: Engineer) -> None:
    """Accept what the reloaded edge proposes."""
    (proposal,) = await asyncio.to_thread(until, lambda: cloud.get("/api/v1/proposals"), "the proposal")
    assert [one["field"] for one in proposal["differences"]] == ["warnings.unit"]
    said = {"version": proposal["version"], "comment": "trained on a calm day"}
    await asyncio.to_thread(cloud.post, f"/api/v1/proposals/{proposal['id']}/accept", **said)


@pytest.mark.timeout(180)
async def test_a_fault_that_no_limit_sees_is_warned_of_by_a_unit_trained_on_history(
    tmp_path: Path, mosquitto: Broker
) -> None:
    async with receiver() as duty, tank() as plant:
        process = CloudProcess(tmp_path, mosquitto, settings(tmp_path, duty.url))
        await asyncio.to_thread(process.start)
        cloud = Engineer(process)
        try:
            config = config_of(tmp_path, mosquitto, plant.plc.address, profile=PROFILE, report="changes")
            with edge_process(config) as edge:
                await asyncio.to_thread(until, lambda: len(cloud.get("/api/v1/tags")["items"]) > 3, "the tags")
                began_s = time.time()
                await asyncio.sleep(8.5)  # what is learnt from has to be lived through
                await train(process, tmp_path, began_s)
                config.write_text(config.read_text() + UNIT, encoding="utf-8")
                checked = await asyncio.to_thread(run, "davylamp_edge", "check", str(config))
                assert "trained: level/unit" in checked.stdout, checked.stdout + checked.stderr
                edge.reload()
                await accept(cloud)
                await asyncio.sleep(3)
                assert await asyncio.to_thread(cloud.warned) == [], "the plant is as it was"
                plant.apart = True
                (alarm,) = await asyncio.to_thread(until, cloud.warned, "the warning")
                assert len(await asyncio.to_thread(cloud.alarms)) == 1, "no limit sees it"
                await told_of_it(cloud, duty, alarm)
        finally:
            await asyncio.to_thread(process.stop)


def settings(folder: Path, url: str) -> str:
    """Return what a cloud's config says of its receiver and its engineer."""
    (folder / "secret").write_text(SECRET, encoding="utf-8")
    key = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(key)
    signed = 'secret_file = "secret"\ned25519_key_file = "key.pem"\npriorities = ["blue"]\n'
    told = f'[[receivers]]\nname = "duty"\nurl = "{url}"\ninsecure_http = true\n{signed}'
    return f'{told}[[tokens]]\nname = "li"\nrole = "engineer"\nhash = "{PasswordHasher().hash(TOKEN)}"\n'


async def told_of_it(cloud: Engineer, duty: Receiver, alarm: dict[str, Any]) -> None:
    """The share of each tag is in the words, in the evidence, on the page and in the notice."""
    (most, share), *_ = alarm["evidence"]["contributions"]
    assert most == "davylamp/edge-1/rig/flow"
    assert share > 0.4
    assert "most of it by flow" in alarm["forecast"]["en"]
    assert "主要来自 流量" in alarm["forecast"]["zh"]
    page = await asyncio.to_thread(cloud.page, f"/console/alarms/{alarm['occurrence']}/evidence")
    assert "流量" in page
    await duty.until(lambda: any(one.content["data"].get("kind") == "UNIT" for one in duty.accepted))
    notice = next(one.content["data"] for one in duty.accepted if one.content["data"].get("kind") == "UNIT")
    assert notice["evidence"]["contributions"][0][0] == most
    assert notice["forecast"]["en"] in notice["text"]["en"]
    assert notice["text"]["zh"].endswith("核对三台仪表")
