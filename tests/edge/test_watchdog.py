"""The watchdog is fed while the edge does its work, and not for being alive; over a real socket as systemd's."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from davylamp_edge import watchdog
from davylamp_edge.agent import Agent
from davylamp_edge.check import load_edge
from davylamp_edge.scan import Scanner
from davylamp_edge.watchdog import Part, Progress, Watchdog
from support.edge_host import edge_host
from support.edge_process import came, config_of, edge_process
from support.field import device, edge_config, plc, point, profile
from support.services import Broker


class Manager:
    """What systemd is for a service: a datagram socket, and what came on it."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + address[1:] if address.startswith("@") else address)
        self.sock.settimeout(10)
        self.environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "150000"}

    def next(self) -> str:
        return self.sock.recv(4096).decode()

    def drain(self) -> list[str]:
        """Return what has come and was not looked at."""
        found = []
        self.sock.setblocking(False)
        try:
            while True:
                found.append(self.sock.recv(4096).decode())
        except BlockingIOError:
            self.sock.settimeout(10)
            return found


@contextmanager
def manager(address: str) -> Iterator[Manager]:
    running = Manager(address)
    try:
        yield running
    finally:
        running.sock.close()


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
async def test_the_real_agent_is_ready_feeds_and_stops(tmp_path: Path, mosquitto: Broker, abstract: bool) -> None:
    address = f"@davylamp-{os.getpid()}-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with manager(address) as systemd, edge_host(mosquitto) as host:
        async with plc(holding=[0] * 8, coils=[True] * 8) as rig:
            config = config_of(tmp_path, mosquitto, rig.address)
            with edge_process(config, **systemd.environment) as edge:
                assert [await asyncio.to_thread(systemd.next) for _ in range(4)] == ["READY=1", *["WATCHDOG=1"] * 3]
                await came(host, lambda: host.records, "a record")
                assert await edge.terminate() == 0
                assert systemd.drain()[-1] == "STOPPING=1"


async def test_a_device_a_broker_and_a_host_that_are_away_are_no_reason_to_start_anew(tmp_path: Path) -> None:
    with manager(str(tmp_path / "notify")) as systemd:
        config = config_of(tmp_path, Broker(tmp_path, 1), "127.0.0.1:1")
        with edge_process(config, **systemd.environment) as edge:
            said = [await asyncio.to_thread(systemd.next) for _ in range(6)]
            assert said == ["READY=1", *["WATCHDOG=1"] * 5]
            assert "device lost" in edge.log.read_text()


async def test_a_writer_that_hangs_in_the_disk_is_fed_no_more_until_it_moves(
    tmp_path: Path, mosquitto: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal's lock is held, as by a disk that does not come back from a write."""
    monkeypatch.setattr(watchdog, "STUCK_S", 0.3)
    with manager(str(tmp_path / "notify")) as systemd:
        for name, value in systemd.environment.items():
            monkeypatch.setenv(name, value)
        async with plc(holding=[0] * 8, coils=[True] * 8) as rig:
            agent = Agent(*load_edge(config_of(tmp_path, mosquitto, rig.address)))
            stop = asyncio.Event()
            running = asyncio.create_task(agent.run(stop))
            await until(systemd, "WATCHDOG=1")
            with held(agent):
                await until(systemd, "STATUS=stuck: writer")
                await asyncio.sleep(0.2)  # four feeds' time
                assert systemd.drain() == []
            await until(systemd, "STATUS=moving")
            await until(systemd, "WATCHDOG=1")
            stop.set()
            await running


@contextmanager
def held(agent: Agent) -> Iterator[None]:
    """Another thread holds the journal's lock for the length of a with block."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with agent.journal._lock:
            taken.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(10)
    try:
        yield
    finally:
        done.set()
        holder.join()


async def until(systemd: Manager, state: str) -> None:
    """Read what comes until it is this."""
    async with asyncio.timeout(20):
        while await asyncio.to_thread(systemd.next) != state:
            pass


async def test_nobody_is_told_where_nobody_asked(tmp_path: Path) -> None:
    stop = asyncio.Event()
    stop.set()
    await Watchdog(list, {}).run(stop)
    await Watchdog(list, {"NOTIFY_SOCKET": str(tmp_path / "nobody")}).run(stop)


def test_a_part_is_stuck_when_it_is_busy_with_one_step_for_too_long() -> None:
    progress = Progress()
    for now_s, steps, busy, stuck in (
        (0, 1, True, False),
        (60, 1, True, False),
        (61, 1, True, True),
        (62, 2, True, False),
        (200, 2, False, False),
        (201, 2, True, False),
        (262, 2, True, True),
    ):
        assert progress.stuck([Part("line", steps, busy)], now_s) == (["line"] if stuck else []), now_s


def test_a_line_that_may_wait_a_minute_for_an_answer_is_not_stuck_because_it_does() -> None:
    """Timeout and the wait for a late answer are one step: two minutes, and the watchdog had the edge killed."""
    patient = edge_config(device("rtu-tcp://127.0.0.1:1", timeout_s=60))
    scanner = Scanner(patient, {"rig": profile({"a": point(address={"modbus": "holding:0"})})}, lambda _: None)
    ((name, _, _, wait_s),) = scanner.lines()
    progress = Progress()
    assert [progress.stuck([Part(name, 1, True, wait_s)], now_s) for now_s in (0, 130, 600)] == [[], [], []]
    assert progress.stuck([Part(name, 1, True, wait_s)], 700) == [name]
