"""The demo's processes: watched while they live, and none left when it ends."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from davylamp_simulators.crew import ChildDied, Crew
from davylamp_simulators.figures import Figures, figures_of, latencies_ms, percentile, warning_lead_s
from davylamp_simulators.ledger import Comparison, Served
from davylamp_simulators.regulator import Received
from davylamp_simulators.stage import dotted, toml
from davylamp_simulators.story import SUMMARY, TEXTS, Teller

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]
DIES = [sys.executable, "-c", "import sys; sys.exit('the disk is full')"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


async def test_every_process_has_ended_when_the_crew_goes(tmp_path: Path) -> None:
    async with Crew(tmp_path) as crew:
        children = [await crew.start(f"c{n}", SLEEPS) for n in range(3)]
        crew.children[0].measure()
        assert crew.peaks_mb()["c0"] > 0
    assert [child.process.returncode for child in children] == [-signal.SIGTERM] * 3


async def test_a_process_that_dies_is_named_with_its_last_words(tmp_path: Path) -> None:
    async with Crew(tmp_path) as crew:
        await crew.start("lives", SLEEPS)
        await crew.start("edge-9", DIES)
        with pytest.raises(ChildDied, match=r"edge-9 ended with 1(.|\n)*the disk is full"):
            await asyncio.wait_for(crew.watch(), 30)


async def test_a_process_may_end_once_it_is_expected_to(tmp_path: Path) -> None:
    async with Crew(tmp_path) as crew:
        child = await crew.start("plant", SLEEPS)
        await crew.stop(child)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(crew.watch(), 0.5)


async def test_a_process_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("davylamp_simulators.crew.STOP_S", 0.3)
    async with Crew(tmp_path) as crew:
        child = await crew.start("stubborn", STUBBORN, told=True)
        assert await anext(child.lines()) == "up"
    assert child.process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_the_children_of_a_killed_demo_die_with_it(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom davylamp_simulators.crew import Crew\n"
        "async def main():\n"
        f"    async with Crew(Path({str(tmp_path)!r})) as crew:\n"
        f"        child = await crew.start('c', {SLEEPS!r})\n"
        "        print(child.process.pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        child = psutil.Process(int(demo.stdout.readline()))
        os.kill(demo.pid, signal.SIGKILL)
        demo.wait(10)
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()


def received(name: str, at_ms: int, time_ms: int, due_ms: int | None = None, **more: object) -> Received:
    data = {"occurrence": name, "version": 1, "time_ms": time_ms, "due_ms": due_ms, "late": False, "kind": "L2", **more}
    return Received(at_ms, f"id-{name}", 0, {"type": "alarm.raised", "data": data})


def test_latency_runs_from_the_later_of_reply_and_due_time_and_leaves_late_ones_out() -> None:
    told = [received("a", 1050, 1000), received("b", 1050, 1000, 1030), received("c", 9999, 1, late=True)]
    assert latencies_ms(told) == [50, 20]


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 2), (0.99, 4), (0.01, 1)])
def test_a_percentile_is_one_of_the_values(share: float, wanted: int) -> None:
    assert percentile([4, 1, 3, 2], share) == wanted
    assert percentile([], share) is None


def test_the_figures_count_by_their_definitions() -> None:
    comparison = Comparison(matched=8, lost=[Served(0, 0, 1.0)], abandoned=[Served(0, 0, 2.0)])
    twice = Received(1100, "id-other", 0, received("a", 0, 1000).body)
    figures = figures_of(comparison, 1, [received("a", 1050, 1000), twice], {"cloud": 9.0}, 60.02)
    assert (figures.readings_served, figures.readings_stored, figures.readings_lost) == (10, 8, 1)
    assert (figures.notices_delivered, figures.notices_duplicate, figures.l2_delivered) == (2, 1, 2)
    assert figures.as_json()["peak_rss_mb"] == {"cloud": 9.0}


def told_of(tag: str, kind: str, at_ms: int, **more: object) -> Received:
    return received(f"{tag}-{kind}", at_ms, at_ms, None, tag=tag, kind=kind, **more)


@pytest.mark.parametrize(
    ("told", "lead_s"),
    [
        ([], None),
        ([told_of("a", "H", 9_000)], None),
        ([told_of("a", "TREND", 1_000, evidence={})], None),
        ([told_of("a", "TREND", 1_000, evidence={}), told_of("b", "H", 9_000)], None),
        ([told_of("a", "TREND", 1_000, evidence={}), told_of("a", "FAULT", 4_000), told_of("a", "H", 9_040)], 8.0),
        ([told_of("a", "TREND", 1_000, evidence={}), told_of("a", "HH", 9_000), told_of("a", "H", 5_000)], 4.0),
        ([told_of("a", "H", 1_000), told_of("a", "TREND", 3_000, evidence={})], -2.0),
    ],
)
def test_the_lead_is_from_a_warning_to_the_first_limit_alarm_of_its_tag(
    told: list[Received], lead_s: float | None
) -> None:
    assert warning_lead_s(told) == lead_s


def test_what_a_scenario_says_of_points_is_written_by_dotted_keys() -> None:
    said = {"level": {"scan_s": 1.0, "warnings": {"trend": {"settings": {"samples": 12}}}}}
    assert dict(dotted("points", said)) == {
        "points.level.scan_s": 1.0,
        "points.level.warnings.trend.settings.samples": 12,
    }


def test_a_config_is_written_as_toml() -> None:
    import tomllib

    text = toml({"a": '引"号\\'}, b={"c": 1, "d": True}, e=[{"f": ["x"]}, {"f": []}])
    assert tomllib.loads(text) == {"a": '引"号\\', "b": {"c": 1, "d": True}, "e": [{"f": ["x"]}, {"f": []}]}


def test_the_story_is_told_in_both_languages() -> None:
    assert all(zh and en for zh, en in TEXTS.values())
    figures = Figures(1, 1, 0, 0, 0, 0, None, None, {"cloud": 1.0})
    for language in ("zh", "en"):
        told: list[str] = []
        teller = Teller(language, 60.0, told.append)
        teller.tell("ended")
        teller.start()
        teller.tell("acknowledged", occurrence="x-1")
        teller.summary(figures)
        assert told[0] == TEXTS["ended"][language == "en"]
        assert "0.0/60 s" in told[1]
        assert "–" in told[2]
    assert SUMMARY.keys() == {"zh", "en"}
