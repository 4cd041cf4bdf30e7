"""What an edge goes through while it is recorded: a real agent, broker and devices, and a host that comes and goes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from davylamp_edge.birth import Births
from davylamp_edge.check import load_edge
from davylamp_edge.install import install
from davylamp_edge.journal import Journal
from davylamp_edge.records import Entry, JournalClass
from davylamp_wire.payload import metrics_body
from davylamp_wire.reading import Readings
from davylamp_wire.topic import MessageType, Topic

from support.edge_host import DEADLINE_S, EdgeHost, edge_host
from support.edge_process import Process, came, config_of, edge_process
from support.field import Plc, plc
from support.services import broker, free_port
from support.sparkplug.packets import Disconnect, Publish
from support.sparkplug.recording import Recording
from support.sparkplug.tap import Tap, tapped
from support.sparkplug.witness import witness

GROUP, NODE = "davylamp", "edge-1"
COMMANDS = Topic(MessageType.NCMD, GROUP, NODE)
# A value is said again after `max_silence_s` at most, of two devices by turns: were that twice the silence after which
# the edge speaks of itself (half a keepalive of 2 s), or less, they might never leave it room to.
PROFILE = """
zh = "试验台"
en = "rig"
[points.count]
zh = "计数"
en = "count"
unit = ""
type = "uint16"
scan_s = 0.02
address = {modbus = "holding:0"}
[points.level]
zh = "液位"
en = "level"
unit = "m"
range = [0, 5]
scale = 0.001
type = "int16"
scan_s = 0.02
max_silence_s = 4
address = {modbus = "holding:1"}
[points.cold]
zh = "低温"
en = "cold"
unit = "°C"
type = "int16"
scan_s = 0.02
address = {modbus = "holding:2"}
[points.switch]
zh = "开关"
en = "switch"
unit = ""
kind = "status"
type = "bool"
scan_s = 0.5
journal_class = "event"
address = {modbus = "coil:0"}
"""
NOTHING_S = 0.3
"""How long the edge is given to do what it must not do."""

BACKLOG = 260
"""Records in the journal from before: the first session is longer than there are seqs without waiting for a plant."""


@dataclass
class Stage:
    """Everybody who plays, and what they have done so far."""

    folder: Path
    tap: Tap
    host: EdgeHost
    rig: Plc
    spare_port: int
    number: int = 0
    stood: int = 0
    quiet_ms: tuple[int, int] = (0, 0)

    def config(self, **others: str) -> Path:
        """Write the edge's config: the device `rig`, and others by name."""
        said: dict[str, Any] = {"report": "changes", "profile": PROFILE, "keepalive_s": 2, "others": others}
        return config_of(self.folder, self.tap, self.rig.address, **said)

    async def until(self, something: Callable[[], Any], what: str) -> None:
        """Wait for something in the host's eyes, or the tap's."""
        await came(self.host, something, what)

    async def birth(self, number: int, *devices: str) -> None:
        """Wait for the births of so many sessions and rebirths to be complete."""
        await self.until(lambda: _complete(self.host, number, devices), f"birth {number}")

    async def move(self) -> None:
        """Let the plant move once."""
        self.number = (self.number + 1) % 65_536
        await self.rig.write("holding", 0, [self.number, 2_500, 0xFFE9])
        await asyncio.sleep(0.01)  # the plant's own pace

    async def move_until(self, enough: Callable[[], Any]) -> None:
        """Let the plant move until something has happened."""
        async with asyncio.timeout(DEADLINE_S):
            while not enough():
                await self.move()

    async def say(self, online: bool, later_ms: int) -> None:
        """Let the host speak, and wait for it to reach the edge."""
        before = self.states()
        self.host.say(online, later_ms)
        await self.until(lambda: self.states() > before, "the STATE at the edge")

    def states(self) -> int:
        """Return how many STATEs of the host reached the edge."""
        topic = "spBv1.0/STATE/davylamp"
        return sum(isinstance(e.packet, Publish) and e.packet.topic == topic for e in list(self.tap.events))

    def goodbyes(self) -> int:
        """Return how many DISCONNECTs there have been."""
        return sum(isinstance(event.packet, Disconnect) for event in list(self.tap.events))

    def data(self) -> int:
        """Return how many DDATA there have been."""
        return len(self.host.of(MessageType.DDATA))


def _complete(host: EdgeHost, number: int, devices: tuple[str, ...]) -> bool:
    seen = [(each.topic.type, each.topic.device) for each in list(host.seen)]
    births = [i for i, (kind, _) in enumerate(seen) if kind is MessageType.NBIRTH]
    if len(births) < number:
        return False
    return all((MessageType.DBIRTH, device) in seen[births[number - 1] :] for device in devices)


async def record(folder: Path) -> Recording:
    """Play it all, and return what was recorded."""
    began_ms = _now_ms()
    (folder / "mosquitto").mkdir()
    with broker(folder / "mosquitto") as mosquitto, witness(mosquitto) as heard:
        async with tapped(mosquitto) as tap, plc(holding=[0] * 8, coils=[True] * 8) as rig:
            with edge_host(mosquitto, greets=False) as host:
                stage = Stage(folder, tap, host, rig, free_port())
                await _play(stage)
            await asyncio.sleep(0.05)  # the last words on their way through the tap
    return Recording(GROUP, NODE, tap.events, heard, began_ms, stage.stood, stage.quiet_ms)


async def _play(stage: Stage) -> None:
    config = stage.config(spare=f"127.0.0.1:{stage.spare_port}")
    _read_before(config)
    async with AsyncExitStack() as spare:
        await spare.enter_async_context(_spare(stage))
        with edge_process(config) as edge:
            await _host_comes(stage)
            await _data_flow_and_rest(stage)
            await _births_are_asked_for(stage)
            await _line_is_cut(stage)
            await _device_is_lost(stage, spare)
            await _host_goes_and_comes(stage)
            await spare.enter_async_context(_spare(stage))
            await stage.until(lambda: _good_again(stage.host), "the lost device's return")
            await _host_goes_and_the_edge_too(stage, edge)
    with edge_process(stage.config()) as edge:
        await _device_is_taken_out(stage)
        await _killed_and_stopped(stage, edge)


def _read_before(file: Path) -> None:
    """Journal what an earlier run has read and the cloud has not confirmed."""
    config, profiles = load_edge(file)
    with Journal.open(config.journal.path, config.journal.max_bytes) as journal:
        tags = Births(journal, install(config, profiles)).tags["rig"]
        alias, now_ms = tags.aliases[tags.installed.names.index("count")], _now_ms()
        bodies = [metrics_body(Readings([alias], [now_ms], [10_000 + n], [0]), tags.types) for n in range(BACKLOG)]
        journal.append([Entry("rig", JournalClass.LIVE, body, now_ms) for body in bodies])


@asynccontextmanager
async def _spare(stage: Stage) -> AsyncIterator[None]:
    async with plc(holding=[7] * 8, coils=[True] * 8, port=stage.spare_port):
        yield


async def _host_comes(stage: Stage) -> None:
    """The host is offline, another is not; it comes with a stamp too old to count, and then in earnest."""
    with edge_host(stage.host.broker, host="another", confirms=False):
        stage.host.say(False)
        await stage.until(lambda: stage.states() == 1, "the retained STATE at the edge")
        await stage.say(True, -10_000)
        await asyncio.sleep(NOTHING_S)
    await stage.say(True, 1)
    await stage.birth(1, "rig", "spare")


async def _data_flow_and_rest(stage: Stage) -> None:
    """Backlog and data until seq has begun anew; then the plant stands still until the edge speaks of itself."""
    await stage.move_until(lambda: len(stage.host.seen) > BACKLOG + 30)
    stage.stood = stage.number
    await stage.until(lambda: _heard_count(stage.host, stage.stood), "the last the plant did")
    began_ms = _now_ms()
    quiet = time.monotonic() + 0.5
    for kind in (MessageType.NDATA, MessageType.DDATA):
        await stage.until(lambda kind=kind: _last(stage.host, kind) > quiet, f"{kind} while the plant stands still")  # type: ignore[misc]  # a default binds kind
    stage.quiet_ms = (began_ms, _now_ms())


async def _births_are_asked_for(stage: Stage) -> None:
    """Once while the plant stands still, once while it moves, and twice right behind that."""
    stage.host.ask_rebirth(COMMANDS)
    await stage.birth(2, "rig", "spare")
    again = time.monotonic() + 1.2
    await stage.move_until(lambda: time.monotonic() > again)
    stage.host.ask_rebirth(COMMANDS)
    await stage.move_until(lambda: _complete(stage.host, 3, ("rig", "spare")))
    stage.host.ask_rebirth(COMMANDS)
    stage.host.ask_rebirth(COMMANDS)
    await stage.move_until(lambda: _complete(stage.host, 4, ("rig", "spare")))


async def _line_is_cut(stage: Stage) -> None:
    stage.tap.cut()
    await stage.birth(5, "rig", "spare")


async def _device_is_lost(stage: Stage, spare: AsyncExitStack) -> None:
    """From here on the host confirms nothing: what is said of the device must outlive the device."""
    stage.host.confirms = False
    await spare.aclose()
    await stage.until(lambda: _turned_bad(stage.host), "the lost device's bad quality")


async def _host_goes_and_comes(stage: Stage) -> None:
    """It says so with a stamp too old to count, and then with the stamp of its birth, as its will does."""
    await stage.say(False, -5_000)
    data = stage.data()
    await stage.move_until(lambda: stage.data() > data + 3)
    states = stage.states()
    await stage.say(False, 1)
    await stage.until(lambda: stage.goodbyes() == 1, "the edge's goodbye")
    await stage.until(lambda: stage.states() == states + 2, "the retained STATE at the edge")
    await asyncio.sleep(NOTHING_S)
    await stage.say(True, 2)
    await stage.birth(6, "rig", "spare")


async def _host_goes_and_the_edge_too(stage: Stage, edge: Process) -> None:
    """The edge is stopped while it waits for the host: a session that is never born."""
    states = stage.states()
    await stage.say(False, 3)
    await stage.until(lambda: stage.states() == states + 2, "the retained STATE at the edge")
    await edge.terminate()
    stage.host.confirms = True
    stage.host.say(True, 4)


async def _device_is_taken_out(stage: Stage) -> None:
    await stage.birth(7, "rig", "spare")
    await stage.until(lambda: stage.host.of(MessageType.DDEATH), "the death of the device that was taken out")


async def _killed_and_stopped(stage: Stage, edge: Process) -> None:
    edge.kill()
    edge.start()
    await stage.birth(8, "rig")
    await stage.move_until(lambda: stage.host.seen[-1].topic.type is MessageType.DDATA)
    await edge.terminate()


def _heard_count(host: EdgeHost, number: int) -> bool:
    return any(record.device == "rig" and number in record.values for record in host.records[-20:])


def _last(host: EdgeHost, kind: MessageType) -> float:
    """Return when the last message of a type came."""
    return max((seen.at_s for seen in host.of(kind)), default=0.0)


def _last_of_spare(host: EdgeHost) -> list[int]:
    """Return the qualities the spare device said last."""
    said = [seen for seen in host.of(MessageType.DDATA) if seen.topic.device == "spare"]
    return [metric.quality for metric in said[-1].message.metrics[1:]] if said else []


def _turned_bad(host: EdgeHost) -> bool:
    return any(quality >> 8 == 2 for quality in _last_of_spare(host))


def _good_again(host: EdgeHost) -> bool:
    qualities = _last_of_spare(host)
    return bool(qualities) and not any(qualities)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
