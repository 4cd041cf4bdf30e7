"""A backtest over stored history: what both cover it says like the log, apart from what history does not have."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from davylamp_alarms.transition import Lane, Transition
from davylamp_cloud.__main__ import BAD_INPUT, OK, main
from davylamp_cloud.backtest.history_trial import Run, led
from davylamp_cloud.backtest.laid import everything
from davylamp_cloud.backtest.rules import NO_RULES
from davylamp_cloud.backtest.stored import said_between
from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import LogNames, Rows
from davylamp_cloud.historian.duckdb import DuckDbHistorian
from davylamp_cloud.historian.duckdb_past import CopiedDays
from davylamp_cloud.historian.feed import rows_of
from davylamp_cloud.historian.past import ByTag, Past, Stretch
from davylamp_wire.point import LimitKind
from davylamp_wire.quality import Reason, bad
from support.host import Host, host
from support.speaker import START_MS, Speaker, gas_point, limit

GAS, HALL = "park/edge-1/store/gas", "park/edge-2/hall/gas"
POINT = gas_point(limits={"L1": limit(1.0, deadband=0.1, on_delay_s=5, off_delay_s=20), "L2": limit(3.0, deadband=0.3)})
POINTS = {"temperature": gas_point(plant_tag="TT-1", kind="process", limits={}), "gas": POINT}
LEAK = [0.2, 0.5, 0.9, 1.2, 1.6, 2.2, 3.1, 3.4, 3.3, 2.8, 2.0, 1.2, 0.6, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2]
STEP_S = 4

Told = tuple[Host, Speaker, Path]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    folder, config = tmp_path / "cloud", tmp_path / "cloud.toml"
    config.write_text(f'data_dir = "{folder}"\nlanguage = "en"\n', encoding="utf-8")
    with host(folder) as running:
        edge = Speaker(points=POINTS)
        running.hear(*edge.birth())
        yield running, edge, config


def say(told: Told, *values: float, quality: int = 0) -> None:
    running, edge, _ = told
    for _ in range(STEP_S):
        running.pass_time(1)
        running.tick()
    edge.now_ms = running.now_ms
    running.hear(edge.data(values, quality=quality))
    running.settle()


def leak(told: Told) -> None:
    for value in LEAK:
        say(told, 20.0, value)


def much(told: Told) -> None:
    """Let limits, faults, silence, an edit and a birth happen."""
    running, _, _ = told
    leak(told)
    say(told, 20.0, 9.0, quality=bad(Reason.DEVICE_FAULT))
    said = {kind: wanted.model_dump(mode="json") for kind, wanted in {**POINT.limits, LimitKind.L2: limit(2.0)}.items()}
    assert running.change("limits", tag=GAS, base=1, limits=said, comment="lower").refusal is None
    other = Speaker(device="hall", node="edge-2", points={"gas": POINT}, now_ms=running.now_ms)
    running.hear(*other.birth())
    leak(told)
    other.now_ms = running.now_ms
    running.hear(other.data([4.0]))
    for _ in range(12):
        say(told, 20.0)
    leak(told)


@contextmanager
def history(told: Told) -> Iterator[DuckDbHistorian]:
    """Give the history of what was told, open in the cloud that writes it."""
    running, _, config = told
    store = DuckDbHistorian.open(HistorianConfig(), config.parent / "cloud", LogNames(running.log))
    with closing(store):
        records = running.log.read(0, 100_000)
        store.write(rows_of(records, running.log.births)[0], records[-1].seq)
        yield store


def heard(told: Told, past: Past) -> list[tuple[Any, ...]]:
    running, _, _ = told
    run = Run(running.state, NO_RULES, START_MS - 3_600_000, everything)
    led(past, running.state, [run], (START_MS - 1000, running.now_ms + 1000), lambda done: None)
    assert run.listener is not None
    return shown(one.step for one in run.listener.heard)


def shown(steps: Iterator[Transition]) -> list[tuple[Any, ...]]:
    """Return what transitions say, apart from numbers and names that count from another beginning."""
    live = (one for one in steps if one.lane is Lane.LIVE and one.kind in ("L1", "L2", "FAULT", "STALE"))
    return [
        (one.time_ms, one.alarm_id, one.event, one.condition, one.letter, one.priority, one.value, one.quality)
        for one in live
    ]


def test_what_log_and_history_both_cover_is_said_alike(told: Told) -> None:
    running, _, _ = told
    much(told)
    said = shown(one.transition for one in said_between(running.state, 0, running.log.last_seq))
    with history(told) as store:
        copied = heard(told, CopiedDays(told[2].parent / "cloud" / "history"))
        assert heard(told, ByTag(store)) == copied
    assert {name.partition("#")[2] for _, name, *_ in said} == {"L1", "L2", "FAULT", "STALE"}
    assert {name for _, name, *_ in said if HALL in name} == {f"{HALL}#L2", f"{HALL}#L1"}
    assert sorted(copied) == sorted(said)


def answered(told: Told, capsys: pytest.CaptureFixture[str], text: str, *more: str, code: int = OK) -> Any:
    running, _, config = told
    (config.parent / "rules.toml").write_text(text, encoding="utf-8")
    span = ["--from", iso(START_MS), "--to", iso(running.now_ms + 1000)]
    assert main(["backtest", str(config), "--rules", str(config.parent / "rules.toml"), *span, "--json", *more]) == code
    out, complaint = capsys.readouterr()
    return json.loads(out.splitlines()[-1]) if code == OK else complaint


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def test_where_the_log_was_trimmed_history_answers_and_the_answer_says_so(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    running, _, _ = told
    leak(told)
    higher = f'["{GAS}"]\nlimits.L1.value = 1.5\nlimits.L2.value = 5.0\n'
    with history(told):
        by_log = answered(told, capsys, higher)
        by_history = answered(told, capsys, higher, "--over", "history", "--from", iso(START_MS - 86_400_000))
        running.log.trim(running.log.last_seq, 1 << 62, 1 << 62)
        trimmed = answered(told, capsys, higher, "--from", iso(START_MS - 86_400_000))
    assert (by_log["source"], by_history["source"]) == ("log", "history")
    assert [note["en"].partition(":")[0] for note in by_history["notes"]] == ["from history, not from the log"]
    assert by_history["from_ms"] == START_MS + STEP_S * 1000
    for key in ("added", "gone", "later"):
        assert by_log[key] == by_history[key]
    assert trimmed == by_history


def test_a_span_that_goes_on_into_the_future_ends_where_the_records_do(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    running, _, _ = told
    leak(told)
    higher, over = f'["{GAS}"]\nlimits.L1.value = 1.5\n', ("--over", "history")
    with history(told):
        by_now = answered(told, capsys, higher, *over)
        assert answered(told, capsys, higher, *over, "--to", iso(running.now_ms + 3_600_000)) == by_now
        assert answered(told, capsys, higher, *over, "--to", "9999-12-31") == by_now


def test_a_span_of_which_nothing_is_stored_is_a_mistake(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    leak(told)
    long_ago = ("--from", "2020-01-01", "--to", "2020-01-02")
    with history(told):
        said = answered(told, capsys, f'["{GAS}"]\nlimits.L1.value = 1.5\n', *long_ago, code=BAD_INPUT)
    assert "no readings are stored of this span; name another" in said


def test_an_edge_that_was_off_is_one_lost_link_and_no_silence_of_its_tags(told: Told) -> None:
    running, _, _ = told
    leak(told)
    running.pass_time(600)
    leak(told)
    run = Run(running.state, NO_RULES, START_MS - 3_600_000, everything)
    with history(told) as store:
        led(ByTag(store), running.state, [run], (START_MS - 1000, running.now_ms + 1000), lambda done: None)
    assert run.listener is not None
    kinds = [str(one.step.kind) for one in run.listener.heard]
    assert "STALE" not in kinds
    assert kinds.count("LINK") == 2


WRITES = """
import sys
from pathlib import Path
import numpy as np
from davylamp_cloud.historian import Rows
from davylamp_cloud.historian.duckdb import DuckDbHistorian
store = DuckDbHistorian(Path(sys.argv[1]))
store._files._root.execute("SET checkpoint_threshold = '1MB'")
for second in range(int(sys.argv[2])):
    seq, tag = np.full(5000, second + 1, np.int64), np.arange(5000, dtype=np.int32)
    time_ms, value = np.full(5000, 86_400_000 + second * 1000, np.int64), np.random.random(5000)
    store.write(Rows(seq, tag, time_ms, value, np.zeros(5000, np.uint16), tag, seq), second + 1)
    print(second + 1, flush=True)
"""


def test_a_day_that_another_process_writes_is_read_as_of_a_moment(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITES, str(tmp_path), "120"], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        reads, written = 0, int(writer.stdout.readline())
        while written < 120:
            reads += 1
            found = list(CopiedDays(tmp_path).stretches(range(5000), 86_400_000, 2 * 86_400_000))
            seconds = sum(len(one) for one in found) // 5000
            assert sum(len(one) for one in found) == 5000 * seconds
            assert seconds >= written
            for _ in range(20):
                written = int(writer.stdout.readline() or 120)
    assert reads >= 6


def test_stretches_follow_each_other_by_time_whatever_the_order_they_were_stored_in(tmp_path: Path) -> None:
    day_ms, count = 86_400_000, 5_000
    order = np.random.default_rng(1).permutation(count)
    times_ms = day_ms + 90_000 + order * 700
    tags = (order % 3).astype(np.int32)
    numbers = np.arange(1, count + 1)
    store = DuckDbHistorian(tmp_path)
    with closing(store):
        store.write(Rows(numbers, tags, times_ms, order / 8, np.zeros(count, np.uint16), tags, numbers), count)
        copied = list(CopiedDays(tmp_path).stretches(range(2), day_ms, 2 * day_ms))
        asked = list(ByTag(store).stretches(range(2), day_ms, 2 * day_ms))
    for found in (copied, asked):
        whole = Stretch(*(np.concatenate([getattr(one, name) for one in found]) for name in Stretch.__slots__))
        assert (np.diff(whole.times_ms) > 0).all()
        assert whole.tags.max() == 1
        assert len(whole) == np.count_nonzero(tags < 2)
        assert (whole.values == (whole.times_ms - day_ms - 90_000) / 700 / 8).all()


def test_tags_that_do_not_follow_each_other_are_read_alone(tmp_path: Path) -> None:
    day_ms, tags = 86_400_000, np.arange(6, dtype=np.int32)
    numbers = np.arange(1, 7)
    store = DuckDbHistorian(tmp_path)
    with closing(store):
        store.write(Rows(numbers, tags, numbers + day_ms, tags / 2, np.zeros(6, np.uint16), tags, numbers), 6)
        for past in (CopiedDays(tmp_path), ByTag(store)):
            found = list(past.stretches([1, 3, 4], day_ms, 2 * day_ms))
            assert [tag for one in found for tag in one.tags.tolist()] == [1, 3, 4]
            assert not [one for one in past.stretches([], day_ms, 2 * day_ms) if len(one)]
