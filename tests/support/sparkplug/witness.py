"""A second client that subscribes to everything: what the broker hands on, wills included."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from support.services import Broker


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as the broker handed it on."""

    topic: str
    payload: bytes
    at_ms: int


@contextmanager
def witness(broker: Broker) -> Iterator[list[Heard]]:
    """Everything a broker hands on, for the length of a with block."""
    heard: list[Heard] = []
    ready = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="witness")

    def connected(client: mqtt.Client, *_: Any) -> None:
        client.subscribe("#", qos=1)

    def subscribed(*_: Any) -> None:
        ready.set()

    def came(_client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        heard.append(Heard(message.topic, bytes(message.payload), time.time_ns() // 1_000_000))

    client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, came
    client.connect_async(broker.host, broker.port)
    client.loop_start()
    try:
        assert ready.wait(10), "the witness cannot subscribe"
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()
        # paho closes its own pair of sockets when it is collected; its callbacks keep it from that.
        client.on_connect = client.on_subscribe = client.on_message = None
        del client
