"""The clock of the host is set while the real process runs: libfaketime moves its wall clock, no other.

Delays stay right, what stands goes on standing, nothing is lost or silenced, and the clock is alarmed (SAFETY S2, S3).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.cloud_process import CloudProcess, JournalingEdge, until
from support.services import Broker, binary
from support.wall import Wall

ON_DELAY_S = 3.0
"""Of the chlorine store's L1."""

LEAK, CALM = 1.5, 0.1
"""mg/m3: over L1 and under L2; inside."""


CLOCKS = {"SYSTEM", "CLOCK"}
"""What may say that clocks are apart, and that they are not any more."""


@contextmanager
def plant(folder: Path, broker: Broker) -> Iterator[tuple[Wall, CloudProcess, JournalingEdge]]:
    """A cloud whose clock can be set, and an edge whose clock is right."""
    binary("faketime")
    wall = Wall(folder)
    cloud = CloudProcess(folder, broker, environment=wall.environment()).start()
    edge = JournalingEdge(folder, broker)
    try:
        yield wall, cloud, edge
    finally:
        edge.close()
        cloud.stop()


def kinds(cloud: CloudProcess, point: str = "") -> dict[str, str]:
    """Return the alarms that stand of one tag, or of all, with their letters."""
    return {alarm["kind"]: alarm["letter"] for alarm in cloud.alarms() if alarm["tag"].endswith(point)}


def leak(cloud: CloudProcess, edge: JournalingEdge, point: str, wall: Wall, apart_s: int) -> float:
    """Let a detector leak, set the clock a second later; return after how long its L1 is raised."""
    began_s, due_s = time.monotonic(), 0.0
    while True:
        passed_s = time.monotonic() - began_s
        if passed_s >= due_s:
            edge.read(**{point: LEAK})
            if due_s == 1.0:
                wall.set(apart_s)
            due_s += 1.0
        if "L1" in kinds(cloud, point):
            return time.monotonic() - began_s
        assert passed_s < 20, "L1 is not raised"
        time.sleep(0.02)  # a real process is at work


def test_s02_delays_are_right_and_nothing_clears_while_the_hosts_clock_is_set_an_hour_on_and_back(
    tmp_path: Path, mosquitto: Broker
) -> None:
    with plant(tmp_path, mosquitto) as (wall, cloud, edge):
        edge.read(cl2_1=CALM, cl2_2=CALM)
        until(edge.all_confirmed, "the first readings")
        taken_s = leak(cloud, edge, "cl2_1", wall, 3600)
        assert ON_DELAY_S - 0.2 <= taken_s <= ON_DELAY_S + 1.0
        until(lambda: kinds(cloud).get("SYSTEM"), "the alarm of the clock")
        again_s = leak(cloud, edge, "cl2_2", wall, 0)
        assert ON_DELAY_S - 0.2 <= again_s <= ON_DELAY_S + 1.0
        assert kinds(cloud, "cl2_1") == {"L1": "B"}
        edge.read(cl2_1=CALM, cl2_2=LEAK)
        until(edge.all_confirmed, "everything read")
        told = cloud.get("/api/v1/transitions?limit=1000")["items"]
        assert {step["kind"] for step in told} - CLOCKS == {"L1"}, "nothing is taken for silent or lost"
        assert {step["kind"] for step in told if step["event"] == "cleared"} <= CLOCKS
