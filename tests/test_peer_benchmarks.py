"""What stands beside the edge in `python -m benchmarks edge --peer thingsboard`: how it is told, and what it said."""

import json
import sys
from pathlib import Path

import pytest
from davylamp_simulators.fleet import Counter
from davylamp_simulators.registers import Area
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks import thingsboard
from benchmarks.processes import stage, until
from benchmarks.thingsboard import Found, compared, device
from benchmarks.thingsboard_platform import LIMITS_ASKED, LIMITS_TOLD, READINGS, count

SAID = (
    b'{"d0":[{"ts":1795852097915,"values":{"p_0":1.0,"p_2":1.001,"p_4":1.002}},'
    b'{"ts":1795852098721,"values":{"p_0":3.0,"p_2":3.001,"p_4":3.002}}]}'
)
"""Of thingsboard-gateway 3.8.5, polling one device of three points in blocks."""
HALF = Found(cores=0.5, busy=60.0, rss_mb=80.0, read_s=5_000.0, delivered_s=4_000.0)


def test_the_gateway_asks_for_every_point_of_a_device_in_both_ways() -> None:
    by_tag, by_range = (device(0, 1502, 1000, blocks)["timeseries"] for blocks in (False, True))
    registers = {at for point in by_tag for at in range(point["address"], point["address"] + point["objectsCount"])}
    first, last = (int(end) for end in by_range[0]["address"].split("-"))
    assert registers == set(range(first, last + 1))
    assert Counter(1000).read(Area.HOLDING, last, 1) is not None
    assert Counter(1000).read(Area.HOLDING, last + 1, 1) is None


def test_a_message_of_the_gateways_counts_each_value_of_each_time() -> None:
    assert count(json.loads(SAID)) == 6


def test_the_platform_answers_what_the_gateway_asks_and_counts_its_readings(tmp_path: Path) -> None:
    answers: list[str] = []
    with stage(tmp_path) as site:
        platform = site.begin("platform", "benchmarks.thingsboard_platform", str(site.broker.port))
        platform.hear()
        gateway = Client(CallbackAPIVersion.VERSION2)
        gateway.on_message = lambda _, __, message: answers.append(message.topic)
        gateway.connect("127.0.0.1", site.broker.port)
        gateway.subscribe(f"{LIMITS_TOLD}+")
        gateway.loop_start()
        gateway.publish(f"{LIMITS_ASKED}1", '{"method":"getSessionLimits","params":{"timeout":5000}}', qos=1)
        until(lambda: answers, "the answer")
        gateway.publish(READINGS, SAID, qos=1)

        def counted() -> int:
            platform.say("count")
            return int(platform.hear()["readings"])

        assert until(counted, "its count") == 6
        gateway.loop_stop()
    assert answers == [f"{LIMITS_TOLD}1"]


def test_a_ratio_is_of_the_cpu_of_a_reading_that_was_read() -> None:
    ours = Found(cores=0.05, busy=60.0, rss_mb=70.0, read_s=10_000.0, delivered_s=10_000.0)
    figures = {figure.name: figure for figure in compared(10, 1000, ours, HALF, HALF, 25.0)}
    assert figures["10 x 1,000 tags: gateway, tag by tag: read"].value == 50.0
    assert figures["10 x 1,000 tags: edge: delivered of what it read"].met
    assert figures["10 x 1,000 tags: gateway's CPU by the edge's, tag by tag"].value == pytest.approx(20.0)
    assert figures["10 x 1,000 tags: gateway's CPU by the edge's, tag by tag"].met is False
    assert figures["10 x 1,000 tags: gateway's CPU by the edge's, in blocks"].met is None


def test_a_gateway_that_cannot_be_fetched_is_said_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thingsboard, "CACHE", tmp_path / "gateway")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(thingsboard.NotInstalled, match=r"could not be installed into .*by hand: .*pip install"):
        thingsboard.python()
