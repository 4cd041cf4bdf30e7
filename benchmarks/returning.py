"""An edge that is born and alarms as soon as it hears that the host is there."""

import threading

import paho.mqtt.client as mqtt
from davylamp_wire.topic import HostState, state_topic
from paho.mqtt.enums import CallbackAPIVersion
from support.speaker import Speaker

HOST = state_topic("davylamp")
GAS_OVER_L2 = 5.0


class Returning:
    """One node a round, named after it; each alarm it leads to is a new one."""

    def __init__(self, port: int) -> None:
        self._speaker: Speaker | None = None
        self._lock = threading.Lock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="returning")
        self._client.on_connect = lambda client, *_: client.subscribe(HOST, 1)
        self._client.on_message = self._on_state
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    @staticmethod
    def name(number: int) -> str:
        """Return the node of a round."""
        return f"returning-{number}"

    def announce(self, number: int) -> None:
        """Be this round's node from the host's next word on."""
        with self._lock:
            self._speaker = Speaker(group="bench", node=self.name(number), hazard_source="returning")

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_state(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        if message.retain or not HostState.decode(bytes(message.payload)).online:
            return
        with self._lock:
            speaker, self._speaker = self._speaker, None
        if speaker is not None:
            speaker.now_ms = HostState.decode(bytes(message.payload)).timestamp_ms
            for topic, payload in (*speaker.birth(), speaker.data([GAS_OVER_L2])):
                client.publish(topic, payload, qos=0)
