"""A host whose clock was set back is heard all the same: edges pass over a STATE older than the last they saw."""

import time
from pathlib import Path

import paho.mqtt.publish as publish
from davylamp_cloud.app import App
from davylamp_cloud.config import BrokerConfig, CloudConfig, HttpConfig
from davylamp_wire.topic import HostState, state_topic
from support.cloud_process import JournalingEdge, until
from support.services import Broker

DAY_MS = 86_400_000


def test_s26_edges_come_back_to_a_cloud_whose_clock_was_a_day_ahead_before_its_restart(
    tmp_path: Path, mosquitto: Broker
) -> None:
    """They waited for a day: the offline STATE of the run before outdated each word of the next."""
    before = HostState(False, int(time.time() * 1000) + DAY_MS)
    publish.single(
        state_topic("davylamp"), before.encode(), qos=1, retain=True, hostname=mosquitto.host, port=mosquitto.port
    )
    edge = JournalingEdge(tmp_path, mosquitto)
    app = App(
        CloudConfig(data_dir=tmp_path / "cloud", broker=BrokerConfig(port=mosquitto.port), http=HttpConfig(port=0))
    )
    try:
        until(lambda: edge.uplink.state == "waiting_host", "that the edge waits")
        edge.read(level=1.0)
        app.start()
        until(edge.all_confirmed, "that the edge is heard")
    finally:
        edge.close()
        app.stop()
