"""Training: what a window has to be, what watches learn from it, and the file that keeps it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from davylamp_alarms.batch import Floats
from davylamp_alarms.watching.artefact import Artefact, load, sealed, sha256_of_rows
from davylamp_alarms.watching.learnt import Learnt, ready
from davylamp_alarms.watching.lessons import learn
from davylamp_alarms.watching.recorded import Condition, Recorded, follow
from davylamp_alarms.watching.training import Plant, WatchError, trained
from davylamp_alarms.watching.watch import Calibration, Watch
from davylamp_alarms.watching.window import Demands, Readings, Reason, grid, laid_out, refused, seen
from davylamp_wire.training_file import ArtefactError, sha256_of

DAY_MS, START_MS = 86_400_000, 1_764_028_800_000
TAGS = ("a", "b", "c", "still")

SHIFTS = Watch(id="shifts", rule="ewma", tags=("*",), settings={"tau_samples": 2}, limit=Calibration(times=1.5))
SUMS = Watch(id="sums", rule="cusum", tags=("a", "b"), settings={"period_samples": 1}, limit=Calibration(times=2.0))
UNIT = Watch(id="unit", rule="unit", tags=("*",), settings={"lags": 1, "share": 0.9})
NORMAL = Watch(id="normal", rule="normal", tags=("a", "c"), settings={"percent": 30, "least_days": 2})
RISES = Watch(id="rises", rule="rate", tags=("*",), settings={"window_s": 60, "limit": 1})
ALL = (SHIFTS, SUMS, UNIT, NORMAL, RISES)


def plant(rows: int = 1600, period_s: float = 60.0, seed: int = 1) -> Recorded:
    """Return a plant of three tags that move together and one that stands still."""
    random = np.random.default_rng(seed)
    together = np.cumsum(random.normal(size=rows)) * 0.05
    own = random.normal(size=(rows, 3))
    value = np.column_stack([50 + together + own[:, 0], 20 - together + own[:, 1], 5 + own[:, 2], np.full(rows, 7.0)])
    return Recorded(TAGS, START_MS + (np.arange(rows) * period_s * 1000).astype(np.int64), value, period_s)


def artefact(learnt: tuple[Learnt, ...] = ()) -> Artefact:
    history = plant()
    return Artefact(
        made_ms=START_MS,
        made_by="li",
        made_with="0.1.0",
        source="test",
        from_ms=START_MS,
        to_ms=START_MS + DAY_MS,
        every_s=60.0,
        rows=len(history.time_ms),
        about="",
        watches=ALL,
        demands=Demands(),
        seen=(),
        despite_alarms=False,
        alarms=(),
        data_sha256=sha256_of_rows(TAGS, history.time_ms, history.value),
        settings_sha256="",
        learnt=learnt,
        untaught=(),
    )


def written(folder: Path, text: str) -> Path:
    path = folder / "plant.training.json"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("watch", [SHIFTS, SUMS, UNIT, NORMAL], ids=lambda watch: watch.rule)
def test_what_was_learnt_judges_after_the_file_as_it_would_have_before(watch: Watch, tmp_path: Path) -> None:
    history = plant()
    (one,) = learn([watch], history, thinned=False).learnt
    path = written(tmp_path, sealed(artefact((one,))))
    again = ready(load(path).watch(watch.id), TAGS)
    fresh = trained(watch, Plant(TAGS, (), history.time_ms, history.value, history.period_s))
    assert again is not None
    assert fresh is not None
    where = {tag: at for at, tag in enumerate(np.array(TAGS)[fresh.places].tolist())}
    for name in one.columns:
        now, then = getattr(again.bank.state, name), getattr(fresh.bank.state, name)
        at = slice(None) if again.joint else [where[tag] for tag in one.tags]
        np.testing.assert_array_equal(now[..., : len(again.bank)], then[..., at][..., : len(again.bank)])


def test_rows_from_a_file_find_what_rows_from_the_history_find() -> None:
    history, rest = plant(), plant(400, seed=2)
    rest.value[200:, 0] += 12
    (one,) = learn([SHIFTS], history, thinned=False).learnt
    rows = ready(one, TAGS)
    assert rows is not None
    condition = Condition(SHIFTS, rows, 60.0)
    good = np.zeros(len(rows.places), np.uint8)
    stands = [condition.step(int(at), rest.value[row, rows.places], good) for row, at in enumerate(rest.time_ms)]
    (said,) = follow([SHIFTS], rest, history.before(rest))
    assert stands[20:] == said.standing[20:].tolist(), "only the memory of the last minutes differs"
    assert stands[-1]
    assert not stands[100]


def test_what_learns_nothing_is_named_with_the_reason() -> None:
    large = SHIFTS.model_copy(update={"id": "large", "at_least": 20})
    absent = SHIFTS.model_copy(update={"id": "absent", "tags": ("x*",)})
    week = NORMAL.model_copy(update={"id": "week", "settings": {"percent": 30}})
    lone = UNIT.model_copy(update={"id": "lone", "tags": ("a", "still")})
    lessons = learn([SHIFTS, RISES, large, absent, week, lone], plant(), thinned=False)
    assert [one.watch.id for one in lessons.learnt] == ["shifts"]
    said = {(one.watch, one.tag): one.en for one in lessons.untaught}
    assert "did not move" in said["shifts", "still"]
    assert said["large", ""] == "it is for 20 tags or more"
    assert said["absent", ""] == "there is no such tag"
    assert said["week", "a"] == "fewer than 7 days have readings"
    assert "fewer than two tags move" in said["lone", ""]
    assert all(one.zh for one in lessons.untaught)


def test_normal_is_the_median_of_the_days_means() -> None:
    history = plant(3 * 144, period_s=600.0)
    (one,) = learn([NORMAL], history, thinned=False).learnt
    means = history.value.reshape(3, 144, 4).mean(axis=1)
    assert one.of("c")["normal"] == pytest.approx(np.median(means[:, 2]))


def test_a_rule_that_can_runs_on_means_where_it_was_trained_on_means() -> None:
    means, plain = (learn([SHIFTS, UNIT], plant(), thinned=thinned).learnt for thinned in (True, False))
    assert [one.settings.get("every_s") for one in means] == [60.0, 60.0]
    assert [one.settings.get("every_s") for one in plain] == [None, None]
    assert plain[0].settings == {"tau_s": 120.0}


def test_a_limit_is_trained_only_where_there_is_something_to_compare_it_with() -> None:
    with pytest.raises(WatchError, match=r"watch rises, rule rate: training finds no limit of it; give one, or take"):
        learn([RISES.model_copy(update={"limit": SHIFTS.limit})], plant(), thinned=False)


def test_a_unit_of_which_a_tag_is_gone_is_not_ready_and_single_tags_are() -> None:
    single, unit = learn([SHIFTS, UNIT], plant(), thinned=False).learnt
    some = ready(single, ("c", "new", "a"))
    assert some is not None
    assert some.places.tolist() == [2, 0]
    assert some.bank.state.mean[0] == single.of("a")["mean"]
    assert ready(unit, ("c", "new", "a")) is None


def test_a_file_says_what_it_holds_and_answers_by_watch_and_by_tag(tmp_path: Path) -> None:
    found = load(written(tmp_path, sealed(artefact(learn(ALL, plant(), thinned=False).learnt))))
    assert [one.watch.id for one in found.learnt] == ["shifts", "sums", "unit", "normal"]
    assert found.made_by == "li"
    by_rule = found.of("cusum", "b")
    assert by_rule is not None
    assert by_rule.of("b")["limit"] > 0
    assert found.of("cusum", "c") is None
    with pytest.raises(KeyError, match="no watch rises learnt anything; those that did: shifts, sums, unit, normal"):
        found.watch("rises")


def changed(**more: Any) -> str:
    table = json.loads(sealed(artefact()))
    table.update(more)
    return json.dumps(table)


def resealed(**more: Any) -> str:
    table = json.loads(sealed(artefact()))
    table.pop("sha256")
    table.update(more)
    return json.dumps({**table, "sha256": sha256_of(table)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is no training; name a file that davylamp-cloud train wrote"),
        (changed(version=3), "is of version 3, and this program reads version 2: update this program, or train again"),
        (changed(version=0), "reads version 2: train again"),
        (changed(made_by="wang"), "does not match its own SHA-256: it was changed or damaged since"),
        (changed(made_by=float("nan")), "does not match its own SHA-256"),
        (changed(made_by="\ud800"), "does not match its own SHA-256"),
        ("[" * 100_000, "is not JSON"),
        (resealed(rows="many"), "cannot be used (rows: "),
        (resealed(learnt=[{"watch": SHIFTS.model_dump(), "settings": {}, "tags": [], "columns": {}}]), "is incomplete"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_in_both_languages(text: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ArtefactError) as refused:
        load(path)
    zh, en = refused.value.words
    assert said in en
    assert zh.startswith(f"{path}：")
    assert en.startswith(f"{path}: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"none\.json: cannot be read \(No such file"):
        load(tmp_path / "none.json")


def readings(seconds: list[float], value: list[float], good: list[bool] | None = None) -> Readings:
    number = np.array(value, np.float64)
    there = np.isfinite(number) if good is None else np.array(good)
    return Readings("t", (np.array(seconds) * 1000).astype(np.int64), number, there)


def rows_of(given: Readings, hold_s: float = 0.0, seconds: int = 10, every_s: int = 2) -> list[float | None]:
    value: Floats = laid_out(given, grid(0, seconds * 1000, every_s * 1000), round(hold_s * 1000))
    return [None if np.isnan(one) else float(one) for one in value]


def test_a_row_is_the_mean_of_its_readings() -> None:
    assert rows_of(readings([0, 1, 2, 3.9, 8], [1, 3, 5, 7, 9])) == [2, 6, None, None, 9]


def test_a_row_with_a_reading_that_is_not_good_has_no_value() -> None:
    assert rows_of(readings([0, 1, 2], [1, 3, 5], [True, False, True])) == [None, 5, None, None, None]


def test_a_row_without_a_reading_has_the_last_one_as_long_as_it_may_be_held() -> None:
    assert rows_of(readings([0.5, 1.5], [1, 3]), hold_s=5) == [2, 3, 3, 3, None]
    assert rows_of(readings([0.5, 1.5], [1, 3], [True, False]), hold_s=5) == [None] * 5, "what is not good holds not"


def test_readings_outside_the_window_count_for_nothing_but_what_they_hold() -> None:
    assert rows_of(readings([-1, 11], [4, 8]), hold_s=2) == [4, None, None, None, None]


def test_what_a_window_holds_and_why_it_is_refused() -> None:
    given = readings([-1, 0, 1, 2, 3, 8, 11], [1, 1, 1, 1, float("nan"), 2, 1])
    span = grid(0, 10_000, 1000)
    one = seen(given, laid_out(given, span, 0), span)
    assert (one.samples, one.not_good, one.missing, one.longest_gap_s) == (4, 0.2, 0.6, 5.0)
    demands = Demands(least_samples=5, most_missing=0.5, longest_gap_s=4, most_not_good=0.1)
    assert [found.reason for found in refused([one], demands)] == [
        Reason.FEW_SAMPLES,
        Reason.MISSING,
        Reason.GAP,
        Reason.NOT_GOOD,
    ]
    easy = Demands(least_samples=4, most_missing=0.6, longest_gap_s=5, most_not_good=0.2)
    assert refused([one], easy) == []
    empty = readings([], [])
    assert [found.en for found in refused([seen(empty, laid_out(empty, span, 0), span)], demands)] == [
        "t: no good reading in the window"
    ]
