"""In which order the values of one tag cross the wire: a real agent, a real broker, a device that keeps a ledger."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from davylamp_edge.report import utc_ms
from davylamp_simulators.ledger import Run
from davylamp_wire.decode import Metric
from davylamp_wire.payload import RECORD
from davylamp_wire.profile import load_profile
from davylamp_wire.topic import MessageType
from support.counted import counted
from support.edge_host import EdgeHost, Seen, edge_host
from support.edge_process import Process, came, config_of, edge_process
from support.services import Broker
from support.sparkplug.tap import Tap, tapped

TOP = 40
PROFILE = "".join(
    f'[points.{name}]\nzh = "点"\nen = "point"\nunit = ""\ntype = "uint16"\nscan_s = 0.02\njournal_class = "{name}"\n'
    f'range = [0.0, {TOP / 2}]\naddress = {{modbus = "holding:{at}"}}\n'
    for at, name in enumerate(("event", "live", "bulk"))
)
"""A point of each class; half of what it reads is beyond its range, so that its quality changes again and again."""


@dataclass
class Arrivals:
    """What came of each tag, in order: readings of records that had not come before."""

    live: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Their times, where they came live."""
    backlog: dict[tuple[int, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    """Their times, where they came as backlog, by session."""


def arrivals(host: EdgeHost) -> Arrivals:
    names: dict[int, str] = {}
    found, known, session = Arrivals(), set[int](), 0
    for seen in host.seen:
        if seen.topic.type in (MessageType.NBIRTH, MessageType.DBIRTH):
            session += seen.topic.type is MessageType.NBIRTH
            names |= {metric.alias: metric.name for metric in seen.message.metrics if metric.alias is not None}
        for number, name, metric in readings(seen, names):
            if number in known:
                continue
            if metric.historical:
                found.backlog[session, name].append(metric.time_ms or 0)
            else:
                found.live[name].append(metric.time_ms or 0)
        known |= {number for number, _, _ in readings(seen, names)}
    return found


def readings(seen: Seen, names: Mapping[int, str]) -> list[tuple[int, str, Metric]]:
    """Return the readings in a message of the device, each with the number of its record."""
    if seen.topic.type is not MessageType.DDATA or not seen.message.metrics:
        return []
    first, *rest = seen.message.metrics
    assert names[first.alias or 0] == RECORD
    found = [(int(str(first.value)), names[metric.alias or 0], metric) for metric in rest]
    return [each for each in found if each[1] in ("event", "live", "bulk")]


async def hardships(host: EdgeHost, edge: Process, line: Tap, broker: Broker) -> tuple[int, int]:
    """Cut the link in silence, kill the broker, kill the edge; return between which times that was."""
    await harm(host, line.pull, 0.5, line.plug)
    await harm(host, broker.kill, 0.3, broker.start)
    return await harm(host, edge.kill, 0.3, edge.start)


async def harm(
    host: EdgeHost, begin: Callable[[], None], cut_s: float = 0.0, end: Callable[[], object] = bool
) -> tuple[int, int]:
    """Do harm for a while, until the edge is born again and live; return between which times it began."""
    seen, births = len(host.records), len(host.of(MessageType.NBIRTH))
    await came(host, lambda: len(host.records) > seen + 60, "records")
    began_ms = utc_ms()
    begin()
    begun_ms = utc_ms()
    await asyncio.sleep(cut_s)  # the cut itself
    before, came_before = host.stored.highest or 0, len(host.records)
    end()
    await came(host, lambda: len(host.of(MessageType.NBIRTH)) > births, "a birth")
    await came(
        host, lambda: any(r.number > before and not r.historical for r in host.records[came_before:]), "live data again"
    )
    return began_ms, begun_ms


async def test_s26_cuts_and_kills_keep_the_order_of_each_tag_and_every_value_of_the_ledger(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """What comes live is in order, and so is a session's backlog: a tag whose quality changes overtakes itself not."""
    (tmp_path / "rig.toml").write_text(f'zh = "台"\nen = "rig"\n{PROFILE}')
    points = load_profile(tmp_path / "rig.toml").points
    async with tapped(mosquitto) as line, AsyncExitStack() as plant:
        device = await plant.enter_async_context(counted(tmp_path, "rig", points, TOP))
        profile = (tmp_path / "rig.toml").read_text()
        config = config_of(tmp_path, line, device.address, profile=profile, keepalive_s=1, timeout_s=5)
        with edge_host(mosquitto) as host, edge_process(config) as edge:
            killed_ms = await hardships(host, edge, line, mosquitto)
            await plant.aclose()
            await came(host, lambda: host.newest("rig", "comm_ok") is False, "that nothing more is served")
            await came(host, lambda: not host.stored.missing(1, host.stored.highest or 0), "every record")
            assert await edge.terminate() == 0
            found = arrivals(host)
    assert all(times == sorted(times) for times in found.live.values())
    assert all(times == sorted(times) for times in found.backlog.values())
    assert {name for _, name in found.backlog} == set(points)
    for name in points:
        held = device.held_against(host, name, Run(killed_ms, 5000))
        assert (held.lost, held.extra) == ([], [])
        assert held.matched > 100
