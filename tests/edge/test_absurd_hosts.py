"""What a broken host or a mistyped broker says must cost the edge neither its session nor its voice (SAFETY S26)."""

from pathlib import Path

import paho.mqtt.publish as publish
import pytest
from davylamp_wire.payload import REBIRTH, BirthMetric, SparkplugType, command_payload
from davylamp_wire.topic import MessageType, state_topic
from support.edge_host import edge_host
from support.services import Broker
from support.uplink import NODE, born, edge_on


def say(broker: Broker, topic: str, payload: bytes, *, retain: bool = False) -> None:
    publish.single(topic, payload, qos=1, retain=retain, hostname=broker.host, port=broker.port)


@pytest.mark.parametrize("sent_ms", [(1 << 64) - 1, 1 << 62])
def test_a_command_with_an_absurd_time_does_not_leave_the_edge_mute(
    tmp_path: Path, mosquitto: Broker, sent_ms: int
) -> None:
    """-1 as an unsigned time: the offset did not fit its metric, and every birth with it failed."""
    with edge_host(mosquitto, confirms=False) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        rebirth = BirthMetric(REBIRTH, SparkplugType.BOOLEAN, None, True)
        say(mosquitto, NODE.text, command_payload([rebirth], sent_ms))
        born(host, 2)
        edge.read(7.0)
        host.wait(lambda: host.records, "a record")
        assert edge.uplink.counters.failures == 0
        assert edge.uplink.clock.ms is None or abs(edge.uplink.clock.ms) < 60_000


def test_a_state_nested_beyond_reason_does_not_end_the_session(tmp_path: Path, mosquitto: Broker) -> None:
    with edge_host(mosquitto) as host, edge_on(tmp_path, mosquitto) as edge:
        born(host)
        say(mosquitto, state_topic("davylamp"), b"[" * 100_000)
        host.wait(lambda: edge.uplink.counters.refused_commands, "the refusal")
        edge.read(7.0)
        host.wait(lambda: host.records, "a record")
        assert edge.uplink.counters.failures == 0
        assert len(host.of(MessageType.NBIRTH)) == 1
