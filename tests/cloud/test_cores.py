"""Threads that share a core: who is kept to one, who is not, and that nothing of it outlives the start."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from davylamp_cloud import cores
from davylamp_cloud.app import App
from davylamp_cloud.config import CloudConfig

several = pytest.mark.skipif(len(cores.ALL) < 2, reason="needs a machine with two cores")


def seen_by(start: Callable[[], None]) -> set[int]:
    """Return on which cores a thread may run, after it did something."""
    found: set[int] = set()

    def look() -> None:
        start()
        found.update(os.sched_getaffinity(0))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found


@several
def test_threads_started_within_are_kept_to_one_core_and_the_starter_is_not() -> None:
    before = os.sched_getaffinity(0)
    with cores.kept_to_one():
        kept = seen_by(lambda: None)
        free = seen_by(cores.use_all)
    assert len(kept) == 1
    assert free == before == os.sched_getaffinity(0)


@several
@pytest.mark.parametrize("one_core", [True, False])
def test_a_cloud_decides_on_one_core_and_writes_history_on_all(tmp_path: Path, one_core: bool) -> None:
    config = CloudConfig(data_dir=tmp_path, one_core=one_core, http={"port": 0}, broker={"port": 1})  # type: ignore[arg-type]  # pydantic takes tables
    app = App(config)
    app.start()
    try:
        on = {t.name: len(os.sched_getaffinity(t.native_id or 0)) for t in threading.enumerate()}
    finally:
        app.stop()
    wide = len(cores.ALL)
    for name in ("monitor", "group-commit", "outbox", "ticker", "http"):
        assert on[name] == (1 if one_core else wide), name
    assert on["historian-feed"] == on["MainThread"] == wide


def test_where_the_system_says_nothing_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getaffinity(0)
    monkeypatch.setattr(cores, "_now_on", lambda: -1)
    with cores.kept_to_one():
        assert os.sched_getaffinity(0) == before
