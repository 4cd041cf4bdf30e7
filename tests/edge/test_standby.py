"""The probe of the idle way, against real brokers, and what a socket says that cannot be bound."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from davylamp_edge.config import EdgeConfig
from davylamp_edge.dial import dial
from davylamp_edge.standby import PROBE_S, probe, watch
from davylamp_edge.ways import Way, Ways
from davylamp_wire.topic import MessageType
from support.certificates import tls_broker
from support.edge_host import edge_host
from support.services import LOOPBACK, Broker, broker, free_port


def config(host: str, port: int, **standby: Any) -> EdgeConfig:
    """Return an edge's config whose standby leads there."""
    device = {"name": "a", "profile": "p", "driver": "modbus", "hazard_source": "h", "address": "x"}
    table = {
        "node": "edge-1",
        "broker": {"host": "192.0.2.1", "standby": {"host": host, "port": port, **standby}},
        "journal": {"path": "unused"},
        "devices": [device],
    }
    return EdgeConfig.model_validate(table)


def standby_of(edge: EdgeConfig) -> Way:
    return Ways(edge.broker).all[1]


async def test_a_probe_is_let_in_and_no_host_takes_it_for_the_node(tmp_path: Path) -> None:
    with broker(tmp_path, log_dest="stderr") as running, edge_host(running) as host:
        edge = config(running.host, running.port)
        assert await probe(standby_of(edge), edge) == ""
        await asyncio.to_thread(host.wait, lambda: "edge-1-probe disconnected" in log_of(running), "a clean end")
        assert not host.of(*MessageType)
    assert "as davylamp-edge-davylamp-edge-1-probe (p2, c1, k10)" in log_of(running)


def log_of(running: Broker) -> str:
    return (running.folder / "mosquitto.log").read_text()


async def test_a_broker_that_refuses_the_probe_says_why(tmp_path: Path) -> None:
    with broker(tmp_path, anonymous=False) as running:
        edge = config(running.host, running.port)
        assert await probe(standby_of(edge), edge) == "refused: not authorized"


async def test_a_probe_shakes_hands_with_the_certificates_of_its_way(tmp_path: Path) -> None:
    with tls_broker(tmp_path) as (authority, tls, _):
        own = authority.sign("edge-1", days=5)
        files = {"cert_file": str(own.cert), "key_file": str(own.key)}
        edge = config(tls.host, tls.port, tls={"ca_file": str(authority.file), **files})
        assert await probe(standby_of(edge), edge) == ""
        nobody = config(tls.host, tls.port, tls={"ca_file": str(authority.file)})
        assert await probe(standby_of(nobody), nobody) != ""
        stranger = config(tls.host, tls.port, tls=files)
        assert "certificate verify failed" in await probe(standby_of(stranger), stranger)


async def test_a_probe_that_leads_nowhere_says_why() -> None:
    edge = config(LOOPBACK, free_port())
    assert "nothing listens at 127.0.0.1:" in await probe(standby_of(edge), edge)
    edge = config(LOOPBACK, free_port(), interface="wwan7")
    assert "this machine has no interface 'wwan7' now" in await probe(standby_of(edge), edge)
    edge = config(LOOPBACK, free_port(), source="192.0.2.77")
    assert "cannot send from 192.0.2.77" in await probe(standby_of(edge), edge)


async def test_a_stop_waits_for_no_probe() -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        edge = config(LOOPBACK, silent.getsockname()[1])
        ways, stop = Ways(edge.broker), asyncio.Event()
        watching = asyncio.create_task(watch(ways, lambda: edge, stop))
        peer, _ = await asyncio.to_thread(silent.accept)
        with peer:
            stop.set()
            await asyncio.wait_for(watching, PROBE_S / 2)


def test_a_link_says_what_its_socket_cannot_be_bound_to(mosquitto: Broker) -> None:
    way = standby_of(config(mosquitto.host, mosquitto.port, interface="lo"))
    with dial(way, None, 5.0) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 4000
    with pytest.raises(OSError, match="has no interface 'wwan7' now"):
        dial(standby_of(config(mosquitto.host, mosquitto.port, interface="wwan7")), None, 5.0)
