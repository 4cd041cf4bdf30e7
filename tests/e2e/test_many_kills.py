"""Minutes of trouble in any order: parts killed at once, full disks, history's file held by another program."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.aftermath import goes_on, holds_together, leak_acknowledged, live_values_are_in_order
from support.site import WholeSite, whole_site

EDGES = ("edge-1", "edge-2")
PARTS = ("broker", "cloud", *EDGES)
HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
ROOM = 4096
"""Bytes that still fit into a file of a process whose disk is full."""


def some_are_killed(site: WholeSite, chance: random.Random) -> None:
    """Kill some parts at once, and bring them back one after another in another order."""
    gone = chance.sample(PARTS, chance.randint(1, len(PARTS)))
    for name in gone:
        site.kill(name)
    for name in chance.sample(gone, len(gone)):
        time.sleep(chance.uniform(0, 2))  # the plant's own pace: nothing here can be moved
        site.revive(name)


def the_clouds_disk_is_full(site: WholeSite, chance: random.Random) -> None:
    """Nothing can be recorded, so the cloud ends; there is room again when it starts."""
    site.ends_on_a_full_disk("cloud", ROOM)
    time.sleep(chance.uniform(0, 2))
    site.revive("cloud")


def an_edges_disk_is_full(site: WholeSite, chance: random.Random) -> None:
    """For a while an edge holds what it reads in memory."""
    with site.full_disk(chance.choice(EDGES), ROOM):
        time.sleep(chance.uniform(1, 4))


def history_is_held(site: WholeSite, chance: random.Random) -> None:
    """Another program has the newest day's file when the cloud starts, and lets go of it later."""
    site.kill("cloud")
    newest = max((site.stage.data_dir / "history").glob("*.duckdb"))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, newest], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        site.revive("cloud")
        time.sleep(chance.uniform(1, 4))
        holder.communicate()


TROUBLE: tuple[Callable[[WholeSite, random.Random], None], ...] = (
    some_are_killed,
    some_are_killed,
    the_clouds_disk_is_full,
    an_edges_disk_is_full,
    history_is_held,
)


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2))
def test_s26_minutes_of_trouble_lose_nothing_repeat_nothing_and_keep_the_order(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with whole_site(tmp_path / "site", "chlorine-leak") as site:
        before = leak_acknowledged(site)
        deadline = time.monotonic() + 150
        rounds = [*TROUBLE]  # each at least once
        while rounds or time.monotonic() < deadline:
            trouble = rounds.pop() if rounds else chance.choice(TROUBLE)
            trouble(site, chance)
            time.sleep(chance.uniform(0, 6))
        goes_on(site)
        holds_together(site, before)
        site.end("cloud")
        live_values_are_in_order(site)
