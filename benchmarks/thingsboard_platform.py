"""What stands for the ThingsBoard platform: ``python -m benchmarks.thingsboard_platform PORT``, a client of the broker.

It answers what the gateway asks before it sends anything (its limits: none; its attributes: none), and counts the
readings that come. At ``count`` it says how many, as a line of JSON.
"""

import json
import sys
from dataclasses import dataclass

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

LIMITS, LIMITS_ASKED, LIMITS_TOLD = "getSessionLimits", "v1/devices/me/rpc/request/", "v1/devices/me/rpc/response/"
ATTRIBUTES_ASKED, ATTRIBUTES_TOLD = "v1/devices/me/attributes/request/", "v1/devices/me/attributes/response/"
READINGS = "v1/gateway/telemetry"


@dataclass
class Platform:
    """Answers and counts."""

    readings: int = 0

    def take(self, client: Client, _: object, message: MQTTMessage) -> None:
        """Take a message of the gateway's."""
        if message.topic == READINGS:
            self.readings += count(json.loads(message.payload))
        elif message.topic.startswith(LIMITS_ASKED) and json.loads(message.payload).get("method") == LIMITS:
            answer: dict[str, dict[str, str]] = {"rateLimits": {}, "gatewayRateLimits": {}}
            client.publish(LIMITS_TOLD + message.topic.removeprefix(LIMITS_ASKED), json.dumps(answer), qos=1)
        elif message.topic.startswith(ATTRIBUTES_ASKED):
            client.publish(ATTRIBUTES_TOLD + message.topic.removeprefix(ATTRIBUTES_ASKED), "{}", qos=1)


def count(payload: dict[str, list[dict[str, dict[str, float]]]]) -> int:
    """Return how many values a message of the gateway's carries: times of one device after another, values of each."""
    return sum(len(at["values"]) for times in payload.values() for at in times)


def serve(port: int) -> None:
    """Listen until standard input ends."""
    platform = Platform()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = platform.take
    client.connect("127.0.0.1", port)
    client.subscribe([(topic, 1) for topic in (f"{LIMITS_ASKED}+", f"{ATTRIBUTES_ASKED}+", READINGS)])
    client.loop_start()
    print(json.dumps({"listening": port}), flush=True)
    while sys.stdin.readline():
        print(json.dumps({"readings": platform.readings}), flush=True)
    client.loop_stop()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
