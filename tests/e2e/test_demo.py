"""The demo from a register to a regulator's webhook: nothing lost, nothing twice, and nobody left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from davylamp_simulators.scenario import SHIPPED
from support import services

PROMISED = {
    "readings_served",
    "readings_stored",
    "readings_lost",
    "alarms_raised",
    "notices_delivered",
    "notices_duplicate",
    "latency_ms_p50",
    "latency_ms_p99",
    "peak_rss_mb",
    "warning_lead_s",
}
WORST_P99_MS = 300
"""Of a machine that does nothing else (issue 2, It must show). Tests run beside other tests."""
ROOM = 4


def run_demo(*arguments: str, seconds: int = 20) -> tuple[dict[str, Any], str]:
    """Run the demo to its end; return its figures and its story."""
    command = [sys.executable, "-m", "davylamp_simulators", "demo", "--json", "--seconds", str(seconds), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 150)
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures, done.stdout


def check(figures: dict[str, Any]) -> None:
    assert figures.keys() >= PROMISED
    assert figures["readings_served"] == figures["readings_stored"] > 0
    assert figures["readings_lost"] == figures["readings_stored_twice_or_unserved"] == 0
    assert figures["alarms_raised"] >= 1
    assert figures["notices_delivered"] >= figures["alarms_raised"]
    assert figures["notices_duplicate"] == 0
    assert 0 <= figures["latency_ms_p50"] <= figures["latency_ms_p99"] <= ROOM * WORST_P99_MS
    assert figures["peak_rss_mb"].keys() == {"broker", "regulator", "cloud", "plant", "beacon", "edge-1", "edge-2"}
    assert all(peak > 0 for peak in figures["peak_rss_mb"].values())


@pytest.mark.timeout(240)
def test_a_chlorine_leak_reaches_the_regulator_and_is_acknowledged() -> None:
    figures, story = run_demo("--lang", "en")
    check(figures)
    assert figures["l2_delivered"] >= 1
    assert figures["acknowledged"] >= 1
    for moment in (
        "starts to leak",
        "beacon: watchdog contact closed",
        "beacon: lamp closed",
        "beacon: horn closed",
        "ALARM MONITORING RED",
        "signature valid",
        "the operator acknowledges",
        "has ended",
    ):
        assert moment in story


@pytest.mark.timeout(240)
def test_a_recorded_run_raises_its_alarm_on_amqtt_as_well() -> None:
    figures, story = run_demo("--recording", "well-3w", "--broker", "amqtt", seconds=25)
    check(figures)
    assert "3W" in story


@pytest.mark.timeout(240)
def test_a_slow_overfill_is_warned_of_before_its_limit(tmp_path: Path) -> None:
    text = (SHIPPED / "slow-overfill.toml").read_text(encoding="utf-8")
    quicker = tmp_path / "slow-overfill.toml"
    quicker.write_text(text.replace("level_pct = 83.0", "level_pct = 84.4").replace("samples = 12", "samples = 8"))
    figures, story = run_demo("--scenario", str(quicker), "--lang", "en", seconds=20)
    check(figures)
    assert figures["warning_lead_s"] > 0
    assert re.search(r"early warning, trend: raised · 84\.\d+ %, reaches H 85 % in \d+ s \(\d+–\d+\)", story)


@contextmanager
def open_demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo without an end, up and running."""
    command = [sys.executable, "-m", "davylamp_simulators", "demo", "--lang", "en", "--keep", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            for line in demo.stdout:
                if "everything is up" in line:
                    break
            yield demo
        finally:
            demo.kill()


def children_of(demo: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(demo.pid).children(recursive=True)


def gone(children: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(children, timeout=10)
    return not alive


@pytest.mark.timeout(240)
def test_ctrl_c_ends_every_process_and_the_demo_with_zero(tmp_path: Path) -> None:
    with open_demo(tmp_path) as demo:
        children = children_of(demo)
        assert len(children) == 7
        demo.send_signal(signal.SIGINT)
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (0, "")
    assert "every process has ended" in out
    assert gone(children)


@pytest.mark.timeout(240)
def test_when_one_process_dies_the_demo_says_which_and_why_and_ends_with_one(tmp_path: Path) -> None:
    with open_demo(tmp_path) as demo:
        children = children_of(demo)
        edge = next(child for child in children if "edge-2.toml" in " ".join(child.cmdline()))
        edge.kill()
        _, err = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert re.search(r"edge-2 was ended by signal 9; its last words", err)
    assert gone(children)


@pytest.mark.timeout(240)
def test_a_killed_demo_leaves_nobody_behind(tmp_path: Path) -> None:
    with open_demo(tmp_path) as demo:
        children = children_of(demo)
        os.kill(demo.pid, signal.SIGKILL)
        demo.wait(10)
    assert gone(children)


@pytest.mark.torture
@pytest.mark.timeout(400)
def test_a_minute_of_the_leak_keeps_the_promised_latency() -> None:
    figures, _ = run_demo("--scenario", "chlorine-leak", seconds=60)
    check(figures)
    assert figures["latency_ms_p99"] <= WORST_P99_MS


@pytest.mark.torture
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", ["nist-fire", "well-3w", "tennessee-eastman"])
def test_a_minute_of_every_recording(name: str) -> None:
    check(run_demo("--recording", name, seconds=60)[0])


@pytest.mark.torture
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "name",
    [
        "overfill",
        "slow-overfill",
        "fan-stop",
        "frozen-sensor",
        "wire-break",
        "over-range",
        "dead-device",
        "slow-device",
        "flapping-link",
    ],
)
def test_a_minute_of_every_scenario(name: str) -> None:
    check(run_demo("--scenario", name, seconds=60)[0])


@pytest.mark.timeout(240)
def test_the_leak_on_influxdb(influx: services.Influx) -> None:
    began_s = time.monotonic()
    figures, _ = run_demo("--historian", "influxdb", "--influx-url", influx.url)
    check(figures)
    assert time.monotonic() - began_s > figures["seconds"]
