"""SIGKILL at named and at random points of the real process: what it had said and remembered is as if never killed."""

import json
import random
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from davylamp_alarms.definition import Register as EngineRegister
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Transition
from davylamp_cloud import faultpoints
from davylamp_cloud.config import SiteConfig
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.live import Live
from davylamp_cloud.log import Log
from davylamp_cloud.monitor import shifts_ms
from davylamp_cloud.register import Register
from davylamp_cloud.replay import compare, snapshot_of
from davylamp_cloud.store import schema
from davylamp_cloud.store.snapshots import Snapshot, load_snapshot
from davylamp_cloud.store.state import State
from davylamp_cloud.store.verify import verify_chain
from davylamp_cloud.store.writes import load_set_aside
from davylamp_simulators.regulator import Received, read_received
from sqlalchemy import select
from support.cloud_process import CloudProcess, JournalingEdge, until
from support.receiver import SECRET
from support.services import Broker, free_port, stop, wait_for_port

ONE_IN = 100
"""Mean number of fault points between two kills: two seconds or so of this small plant's life."""

ROUND_S = 5.0
"""Chance may spare a process for long; then it is killed wherever it is. Its start is not of this time."""

SLICE = 500
SNAPSHOTS = "[monitor]\nsnapshot_s = 1.0\n"
"""So often that snapshots are interrupted, too."""

ALWAYS = ("log.", "monitor.before_engine", "monitor.after_engine")
OFTEN = 40
"""These are passed with every tick; the plant is to live for a moment before it happens."""

PRIORITIES = '["red", "orange", "yellow"]'
GAS = (0.1, 1.2, 5.0)
"""At rest, over L1, over L2."""
ACTS = 4
DETECTORS = ("cl2_1", "cl2_2", "cl2_3", "cl2_4")


@contextmanager
def regulator(folder: Path) -> Iterator[tuple[str, Path]]:
    """A receiver in a process of its own: its section of the cloud's config, and what it was told."""
    port, notices, secret = free_port(), folder / "notices.jsonl", folder / "secret"
    secret.write_text(SECRET)
    keys = ["--secret-file", str(secret), "--log", str(notices), "--port", str(port)]
    running = subprocess.Popen([sys.executable, "-m", "davylamp_simulators", "regulator", *keys])
    try:
        wait_for_port(port, running)
        url = f"http://127.0.0.1:{port}/notices"
        told = f'url = "{url}"\ninsecure_http = true\nsecret_file = "{secret}"\npriorities = {PRIORITIES}'
        yield f'[[receivers]]\nname = "regulator"\n{told}\n', notices
    finally:
        stop(running)


class Duty:
    """Somebody who does something all the time: values move, alarms are acknowledged, shelved, reset."""

    def __init__(self, cloud: CloudProcess, edge: JournalingEdge, seed: int) -> None:
        self._cloud = cloud
        self._edge = edge
        self._dice = random.Random(seed)

    def act(self) -> None:
        """Let the plant move, and do some things; a process that dies meanwhile answers nothing."""
        self._edge.read(
            cl2_1=self._dice.choice(GAS), cl2_2=self._dice.choice(GAS), level=self._dice.choice((2.0, 50.0))
        )
        with suppress(OSError, HTTPException, json.JSONDecodeError):  # an HTTPError, which a refusal is, is an OSError
            alarms = self._cloud.alarms()
            for alarm in self._dice.sample(alarms, min(len(alarms), ACTS)):
                with suppress(urllib.error.HTTPError):
                    self._answer(alarm)
        time.sleep(0.05)

    def _answer(self, alarm: dict[str, Any]) -> None:
        what = self._dice.choice(("acknowledge", "acknowledge", "reset", "shelve", "unshelve"))
        body: dict[str, Any] = {"version": alarm["version"], "comment": "in a test"}
        if what == "shelve":
            body |= {"minutes": 1}
        self._cloud.post(f"/api/v1/alarms/{alarm['occurrence']}/{what}", **body)


def killed_once(cloud: CloudProcess, duty: Duty, faults: str) -> None:
    """Start the cloud with faults armed and work with it until it is dead."""
    cloud.begin(faults)
    until(lambda: cloud.answers() or not cloud.lives(), "the cloud's start, or its end")
    deadline = time.monotonic() + ROUND_S
    while cloud.lives() and time.monotonic() < deadline:
        duty.act()
    cloud.kill()


def last_snapshot(folder: Path, seq: int) -> Snapshot:
    state = State(folder / "state.db")
    with state.reading() as connection:
        found = load_snapshot(connection, seq)
    state.close()
    assert found is not None
    assert found[0] == seq, "a clean stop leaves a snapshot of where it stopped"
    return found[1]


def never_killed(log: Log, sites: list[SiteConfig]) -> tuple[list[Transition], dict[str, Any]]:
    """Return what one engine makes of the whole log in one life."""
    shifts = shifts_ms(sites, time.time_ns() // 1_000_000)
    evaluator = Evaluator(Engine(EngineRegister(shifts_ms=shifts)), Register(), Live(), log)
    made: list[Transition] = []
    at = 0
    while records := log.read(at, SLICE):
        at = records[-1].seq
        made += [step.transition for step in evaluator.take(records).steps]
    return made, snapshot_of(evaluator)


def holds_against_the_log(folder: Path) -> list[dict[str, Any]]:
    """Compare everything stored with an engine nobody killed; return the stored transitions."""
    log, state = Log(folder / "log.db"), State(folder / "state.db")
    try:
        made, whole = never_killed(log, [])
        stored = [json.loads(row["body"]) for row in state.transitions(limit=1_000_000)]
        assert list(compare(sorted(stored, key=lambda s: (s["hazard_source"], s["source_no"])), made)) == []
        assert verify_chain(state) is None
        with state.reading() as connection:
            assert not load_set_aside(connection, 0), "no record was given up"
        kept = last_snapshot(folder, log.last_seq)
        assert kept.keys() == whole.keys()
        differ = [name for name in whole if bytes(kept[name]) != bytes(whole[name])]
        assert not differ, "timers, acknowledgements, latches, shelves, delays: all as if never killed"
        return stored
    finally:
        log.close()
        state.close()


def every_notice_arrived_in_order(stored: list[dict[str, Any]], heard: list[Received]) -> None:
    wanted = {step["id"] for step in stored if step["priority"] != "blue" and step["hazard_source"] == "cl2-1"}
    firsts = [one for one in heard if not one.again and one.data.get("hazard_source") == "cl2-1"]
    assert {one.id for one in firsts} == wanted
    versions: dict[str, list[int]] = {}
    for one in firsts:
        versions.setdefault(one.data["occurrence"], []).append(one.data["version"])
    for occurrence, seen in versions.items():
        assert seen == sorted(seen), f"{occurrence} was told out of order"


def kills(tmp_path: Path, broker: Broker, rounds: int, seed: int, names: tuple[str, ...] = ()) -> None:
    """Kill a cloud at each named point, then at random ones, and hold what is left against its log."""
    with regulator(tmp_path) as (section, notices):
        cloud = CloudProcess(tmp_path, broker, more=SNAPSHOTS + section)
        edge = JournalingEdge(tmp_path, broker)
        try:
            duty = Duty(cloud, edge, seed)
            for name in names:
                killed_once(cloud, duty, f"{name}#{OFTEN if name.startswith(ALWAYS) else 2}")
            for number in range(rounds - len(names)):
                killed_once(cloud, duty, f"random:{seed + number}:{ONE_IN}")
            cloud.start()
            until(edge.all_confirmed, "the confirmation of everything")
            until(lambda: pending(cloud) == 0, "the last notice")
        finally:
            edge.close()
            code = cloud.stop()
        assert code == 0
        stored = holds_against_the_log(cloud.folder)
        assert len(stored) > rounds // 2, "this run says nothing: hardly anything happened"
        every_notice_arrived_in_order(stored, read_received(notices))


def pending(cloud: CloudProcess) -> int:
    state = State(cloud.folder / "state.db")
    try:
        return len(state.rows(select(schema.OUTBOX.c.id).where(schema.OUTBOX.c.state == "pending")))
    finally:
        state.close()


CHANCE = tuple(sorted(set(faultpoints.POINTS) - faultpoints.NOT_BY_CHANCE))


@pytest.mark.timeout(240)
def test_s23_s26_s29_twenty_kills_lose_no_transition_and_repeat_none(tmp_path: Path, mosquitto: Broker) -> None:
    kills(tmp_path, mosquitto, rounds=20, seed=20_261_127, names=CHANCE)


@pytest.mark.torture
def test_s23_s26_s29_two_hundred_kills_lose_no_transition_and_repeat_none(tmp_path: Path, mosquitto: Broker) -> None:
    kills(tmp_path, mosquitto, rounds=200, seed=1, names=CHANCE)
