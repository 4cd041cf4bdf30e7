"""A backtest over a cloud's own log: with today's rules it is what the cloud said, to the letter."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud.__main__ import BAD_INPUT, OK, main
from davylamp_cloud.backtest.log_trial import Stretch, said_under
from davylamp_cloud.backtest.rules import NO_RULES, Rules, load_rules
from davylamp_cloud.backtest.stored import said_between
from davylamp_cloud.backtest.tried import Tried
from davylamp_cloud.live import Live
from davylamp_cloud.replay import moment
from davylamp_wire.point import LimitKind
from davylamp_wire.quality import Reason, bad
from support.host import Host, host
from support.speaker import START_MS, Speaker, gas_point, limit

GAS = "park/edge-1/store/gas"
POINT = gas_point(limits={"L1": limit(1.0, deadband=0.1, on_delay_s=5, off_delay_s=20), "L2": limit(3.0, deadband=0.3)})
LEAK = [0.2, 0.5, 0.9, 1.2, 1.6, 2.2, 3.1, 3.4, 3.3, 2.8, 2.0, 1.2, 0.6, 0.3, 0.2]
STEP_S = 4.0

Told = tuple[Host, Speaker, Path]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    folder, config = tmp_path / "cloud", tmp_path / "cloud.toml"
    config.write_text(f'data_dir = "{folder}"\nlanguage = "en"\n', encoding="utf-8")
    with host(folder) as running:
        edge = Speaker(points={"gas": POINT})
        running.hear(*edge.birth())
        yield running, edge, config


def say(told: Told, value: float, after_s: float = STEP_S, quality: int = 0) -> int:
    running, edge, _ = told
    running.pass_time(after_s)
    edge.now_ms = running.now_ms
    running.hear(edge.data([value], quality=quality))
    running.settle()
    return running.now_ms


def leak(told: Told) -> None:
    for value in LEAK:
        say(told, value)
    told[0].pass_time(30)
    told[0].settle()


def tried(told: Told, rules: Rules, from_ms: int = 0) -> tuple[Tried, Stretch]:
    running = told[0]
    start = running.log.seq_at(from_ms)
    of = Stretch(start, running.state.cursor(), from_ms, running.now_ms + 1)
    return Tried(moment(running.log, running.state, Live(), start), rules, start, from_ms), of


def rules(folder: Path, text: str) -> Rules:
    path = folder / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return load_rules(path)


def answered(told: Told, capsys: pytest.CaptureFixture[str], text: str, *more: str) -> Any:
    running, _, config = told
    rules(config.parent, text)
    span = ["--from", iso(START_MS), "--to", iso(running.now_ms + 1)]
    given = ["backtest", str(config), "--rules", str(config.parent / "rules.toml"), *span, "--json", *more]
    assert main(given) == OK
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


@pytest.mark.parametrize("text", [None, f'["{GAS}"]\nlimits.L1.value = 1.0\n'])
@pytest.mark.parametrize("middle", [False, True])
def test_with_todays_rules_it_is_what_the_cloud_said(told: Told, text: str | None, middle: bool) -> None:
    running, _, config = told
    leak(told)
    half_ms = say(told, 3.5) if middle else 0
    running.act("shelve", alarm=f"{GAS}#L1", comment="test gas", until_ms=running.now_ms + 30_000)
    say(told, 9.0, quality=bad(Reason.DEVICE_FAULT))
    running.hear(*Speaker(device="hall", node="edge-2", points={"gas": POINT}, now_ms=running.now_ms).birth())
    said = {kind: wanted.model_dump(mode="json") for kind, wanted in {**POINT.limits, LimitKind.L2: limit(2.0)}.items()}
    assert running.change("limits", tag=GAS, base=1, limits=said, comment="lower").refusal is None
    leak(told)
    running.pass_time(120)
    running.settle()
    same, of = tried(told, NO_RULES if text is None else rules(config.parent, text), half_ms)
    found = [one.transition for one in said_under(same, running.log, running.state, of, lambda done: None)]
    stored = [one.transition for one in said_between(running.state, of.start, of.end)]
    assert {step.kind for step in stored} >= {"L1", "L2", "FAULT", "LINK"}
    assert same.begun == []
    assert found == stored


def test_a_higher_limit_comes_later_and_another_never(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    leak(told)
    said = answered(told, capsys, '["1#AT-*"]\nlimits.L1.value = 1.5\nlimits.L2.value = 5.0\n')
    (later,) = said["later"]
    assert later["name"] == "1#AT-101/A L1"
    assert later["from_ms"] - later["before_from_ms"] == STEP_S * 1000
    assert [one["alarm"] for one in said["gone"]] == [f"{GAS}#L2"]
    by = {one["alarm"]: one for one in said["alarms"]}
    assert (by[f"{GAS}#L2"]["before"]["limit"], by[f"{GAS}#L2"]["after"]["limit"]) == (3.0, 5.0)
    assert said["readings"] == len(LEAK)


def test_what_persons_did_and_no_longer_fits_is_noted(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    for value in (0.2, 1.2, 1.2, 1.2):
        say(told, value)
    one = told[0].standing()["L1 live"]
    told[0].act("acknowledge", occurrence=one["occurrence"], version=one["version"])
    for value in (1.7, 1.7, 1.7, 0.2):
        say(told, value)
    (note,) = answered(told, capsys, f'["{GAS}"]\nlimits.L1.value = 1.5\n')["notes"]
    assert note["en"].startswith("1 acknowledgement")
    assert "1 次确认" in note["zh"]
    assert answered(told, capsys, f'["{GAS}"]\nlimits.L1.value = 1.0\n')["notes"] == []


def test_a_statistical_rule_is_tried_over_the_log(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    leak(told)
    rate = "warnings.rate = { settings = { window_s = 20, limit = 1.0, per_s = 60 } }"
    said = answered(told, capsys, f'["{GAS}"]\n{rate}\n')
    assert {one["alarm"] for one in said["added"]} == {f"{GAS}#RATE"}
    assert said["gone"] == []


def test_what_stands_when_it_begins_stands_before_and_after(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    leak(told)
    standing_ms = say(told, 3.5)
    say(told, 3.5)
    say(told, 0.2, after_s=40)
    said = answered(told, capsys, f'["{GAS}"]\nlimits.L1.value = 2.0\n', "--from", iso(standing_ms + 1))
    by = {one["alarm"]: one for one in said["alarms"]}
    assert by[f"{GAS}#L2"]["before"] == {**by[f"{GAS}#L2"]["after"], "limit": 3.0}
    assert by[f"{GAS}#L2"]["after"]["times"] == 1


def test_a_limit_that_is_tried_outlives_births_and_edits(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    running, _, _ = told
    say(told, 0.2)
    said = {kind: wanted.model_dump(mode="json") for kind, wanted in {**POINT.limits, LimitKind.L2: limit(2.0)}.items()}
    assert running.change("limits", tag=GAS, base=1, limits=said, comment="lower").refusal is None
    other = Speaker(device="hall", node="edge-2", points={"gas": POINT}, now_ms=running.now_ms)
    running.hear(*other.birth())
    leak(told)
    other.now_ms = running.now_ms
    running.hear(other.data([4.0]))
    running.settle()
    found = answered(told, capsys, '["*/gas"]\nlimits.L2.value = 9.5\n')
    gone = {one["alarm"] for one in found["gone"]}
    assert gone == {f"{GAS}#L2", "park/edge-2/hall/gas#L2"}


def test_a_limit_its_edge_decides_is_tried_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, config = tmp_path / "cloud", tmp_path / "cloud.toml"
    config.write_text(f'data_dir = "{folder}"\n', encoding="utf-8")
    with host(folder) as running:
        edge = Speaker(points={"gas": gas_point(local=True)})
        running.hear(*edge.birth())
        mine = running, edge, config
        for value in (0.2, 2.0, 2.0):
            say(mine, value)
        running.act("shelve", alarm=f"{GAS}#L2", comment="stored", until_ms=running.now_ms + 30_000)
        assert answered(mine, capsys, f'["{GAS}"]\nlimits.L1.value = 1.0\n')["added"] == []
        added = answered(mine, capsys, f'["{GAS}"]\nlimits.L1.value = 1.5\n')["added"]
    assert [one["alarm"] for one in added] == [f"{GAS}#L1"]


@pytest.mark.parametrize(
    ("text", "more", "says"),
    [
        ('["park/*/gaz"]\nlimits.L1.value = 1\n', (), "means no tag; there are 1, such as 1#AT-101/A"),
        (f'["{GAS}"]\nkind = "gas"\n', (), f"{GAS}.kind: is only said for a CSV"),
        (f'["{GAS}"]\nlimits.L1.value = 8\n', (), "lies above limits.L2"),
        (f'["{GAS}"]\nlimits.L1.value = 2\n', ("--to", "1999-01-01"), "is not after --from"),
        (
            f'["{GAS}"]\nlimits.L1.value = 2\n',
            ("--from", "1999-01-01", "--to", "1999-01-02"),
            "no readings are stored of this span",
        ),
        (f'["{GAS}"]\nlimits.L1.value = 2\n', ("--from", "soon"), "--from: 'soon' is no time"),
        (f'["{GAS}"]\nlimits.L1.value = 2\n', ("--timezone", "Moon"), "--timezone: 'Moon' is no time zone"),
        (f'["{GAS}"]\nlimits.L1.value = 2\n', ("--csv", "day.csv"), "name either a cloud's config or --csv"),
    ],
)
def test_what_cannot_be_answered_says_what_to_do(
    told: Told, capsys: pytest.CaptureFixture[str], text: str, more: tuple[str, ...], says: str
) -> None:
    running, _, config = told
    say(told, 0.2)
    (config.parent / "rules.toml").write_text(text, encoding="utf-8")
    span = ("--from", iso(START_MS), "--to", iso(running.now_ms + 1))
    given = ["backtest", str(config), "--rules", str(config.parent / "rules.toml"), *span, *more]
    assert main(given) == BAD_INPUT
    assert says in capsys.readouterr().err
