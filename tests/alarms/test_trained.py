"""Rules that training taught, in the live engine: what they were told is in their definition, and nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from davylamp_alarms.batch import Floats
from davylamp_alarms.definition import AlarmDef, Kind
from davylamp_alarms.engine import Engine
from davylamp_alarms.warning import RULES, load
from davylamp_alarms.watching.watch import Watch
from davylamp_wire.lint_warnings import LEARN
from davylamp_wire.point import EarlyWarning
from davylamp_wire.quality import Reason, bad, uncertain
from davylamp_wire.trained import BY_HAND, LEARNT, Place, read_training, taught
from support.plant import NODE, Plant, events, tag_def, warning
from support.trainings import NORMAL, SHIFTS, SUMS, UNIT, together, training, written

TAGS = [tag_def(name, silence_ms=60_000) for name in ("a", "b", "c")]
NAMES = [tag.id for tag in TAGS]
SOURCE = {"standard": "training", "basis": "proposal"}


def model(folder: Path, rule: str, value: Floats, watch: Watch, point: str = "a", **said: Any) -> EarlyWarning:
    """Return a rule of a point as its edge says it, taught by a file."""
    file = written(folder / f"{rule}.json", training(NAMES, value, [watch]))
    warned = EarlyWarning.model_validate({"model": str(file), "source": SOURCE, **said})
    device = f"{NODE}/device"
    found = taught(rule, warned, Place(device, point, NODE, set(NAMES)), read_training(file))
    assert isinstance(found, EarlyWarning), found
    return found


def alarm_of(rule: str, said: EarlyWarning, tag: int = 0) -> AlarmDef:
    return warning(TAGS[tag], tag, Kind(rule.upper()), said.settings, said.inputs)


def feed(site: Plant, value: Floats) -> list[str]:
    """Let every row be read, and tick after each; return what was said."""
    told = []
    for row in value.tolist():
        site.pass_time(1)
        for tag, one in enumerate(row):
            told += site.read(one, after_s=0, tag=tag)
        told += site.tick()
    return events(told)


def apart(rows: int, seed: int = 5) -> Floats:
    """Return rows in which each value is one it often had, and the third does not go with the others."""
    value = together(rows=rows, seed=seed)
    value[:, 2] = 100 - value[:, 2]
    return value


def test_what_training_gives_each_rule_is_what_its_rows_are_given() -> None:
    learning = {name: load(name).state for name in RULES if load(name).state.LEARNT}
    assert set(LEARNT) == set(LEARN) == set(learning)
    for name, state in learning.items():
        assert set(LEARNT[name]) - set(BY_HAND) == set(state.LEARNT), name
        assert set(LEARN[name]) <= set(state.LEARNT), name


def test_a_unit_that_leaves_its_ways_is_warned_of_with_what_each_tag_adds(tmp_path: Path) -> None:
    said = model(tmp_path, "unit", together(), UNIT)
    assert said.inputs == ("a", "b", "c")
    site = Plant(TAGS, [alarm_of("unit", said)])
    assert feed(site, together(rows=60, seed=3)) == [], "none of it is unusual"
    assert feed(site, apart(5)) == ["UNIT raised B"]
    evidence = site.told[-1].as_dict()["evidence"]
    (first, share), *others = evidence["contributions"]
    assert first == NAMES[2]
    assert share > max(part for _, part in others)
    assert sum(part for _, part in evidence["contributions"]) == pytest.approx(1)
    assert feed(site, together(rows=3, seed=3)) == ["UNIT cleared D"]


@pytest.mark.parametrize("quality", [uncertain(Reason.LOOP_HIGH), bad(Reason.COMM)])
@pytest.mark.parametrize("watched", [{"tau_s": 20}, {"tau_s": 20, "lags": 2}])
def test_s4_a_unit_was_cleared_by_what_stood_in_for_an_input_that_was_not_good(
    watched: dict[str, Any], quality: int, tmp_path: Path
) -> None:
    watch = UNIT.model_copy(update={"settings": {**UNIT.settings, **watched}})
    site = Plant(TAGS, [alarm_of("unit", model(tmp_path, "unit", together(), watch))])
    feed(site, together(rows=60, seed=3))
    odd = together(rows=60, seed=5)
    odd[:, 2] += 3
    assert feed(site, odd) == ["UNIT raised B"]
    for row in together(rows=120, seed=3).tolist():  # as usual, but for what is not good
        site.pass_time(1)
        for tag, one in enumerate(row):
            site.read(one, after_s=0, tag=tag, quality=quality if tag == 2 else 0)
        site.tick()
    assert site.letters() == {"UNIT": "B"}
    assert feed(site, odd) == []
    assert feed(site, together(rows=200, seed=3))[:1] == ["UNIT cleared D"]


def test_a_unit_judges_after_the_file_as_it_was_trained(tmp_path: Path) -> None:
    """What travels is rounded to seven digits: T² and Q are the same to five."""
    found = training(NAMES, together(), [UNIT])
    (learnt,) = found.learnt
    said = model(tmp_path, "unit", together(), UNIT)
    site = Plant(TAGS, [alarm_of("unit", said)])
    early: Any = site.engine._memory.early
    (warner,) = early
    exact = load("unit").state(warner.bank.settings)
    exact.extend(1)
    learnt.put(exact, 0)
    for name in learnt.columns:
        np.testing.assert_allclose(getattr(warner.bank.state, name), getattr(exact, name), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("rule", "watch"), [("ewma", SHIFTS), ("cusum", SUMS), ("normal", NORMAL)])
def test_a_rule_of_one_tag_is_warned_of_by_a_file_as_by_hand(rule: str, watch: Watch, tmp_path: Path) -> None:
    said = model(tmp_path, rule, together(), watch)
    assert set(LEARNT[rule]) <= set(said.settings)
    by_hand = EarlyWarning.model_validate({"settings": dict(said.settings), "source": SOURCE})
    sites = [Plant(TAGS, [alarm_of(rule, one)]) for one in (said, by_hand)]
    for site in sites:
        assert feed(site, together(rows=30, seed=3)) == []
        assert feed(site, together(rows=60, seed=3) + 40) == [f"{rule.upper()} raised B"]
    assert sites[0].told == sites[1].told


def test_a_model_that_is_said_a_thousand_times_changes_nothing_and_another_begins_anew(tmp_path: Path) -> None:
    said = alarm_of("unit", model(tmp_path, "unit", together(), UNIT))
    site = Plant(TAGS, [said])
    feed(site, together(rows=20, seed=3))
    feed(site, apart(3))
    before = _state(site)
    for _ in range(1000):
        assert site.edit(said) == []
    assert _state(site) == before
    other = alarm_of("unit", model(tmp_path, "unit", together(seed=9), UNIT))
    told = site.edit(other, by="li", comment="trained again")
    assert isinstance(told, list)
    assert events(told) == ["UNIT updated B"]
    assert "begins anew" in told[0].comment
    early: Any = site.engine._memory.early
    (warner,) = early
    assert warner.bank.state.count[0] == 0, "earlier samples are of another model"


@pytest.mark.parametrize("rule", ["ewma", "cusum"])
def test_a_moved_limit_keeps_the_memory_and_other_training_does_not(rule: str, tmp_path: Path) -> None:
    said = model(tmp_path, rule, together(), SHIFTS if rule == "ewma" else SUMS)
    site = Plant(TAGS, [alarm_of(rule, said)])
    feed(site, together(rows=40, seed=3) + 4)
    column = "level" if rule == "ewma" else "above"
    early: Any = site.engine._memory.early
    (warner,) = early
    reached = getattr(warner.bank.state, column)[0]
    assert reached > 0
    settings = {**said.settings, "limit": 1e6}
    site.edit(warning(TAGS[0], 0, Kind(rule.upper()), settings))
    assert getattr(warner.bank.state, column)[0] == reached
    site.edit(warning(TAGS[0], 0, Kind(rule.upper()), {**settings, "mean": 49.0}))
    (warner,) = early
    assert getattr(warner.bank.state, column)[0] == 0
    assert warner.bank.state.home[0] == 49


JUST_MET = {"ewma": [66.0, 66.0, 66.0], "cusum": [59.0, 59.0, 59.0], "unit": [50.0, 50.0, 50.7]}
"""Values a fifth beyond what raises: a new mean counts the first of them for half, and is then inside again."""


@pytest.mark.parametrize("rule", ["ewma", "cusum", "unit"])
def test_s04_a_rule_that_begins_anew_clears_nothing_until_it_has_looked_for_long_enough(
    rule: str, tmp_path: Path
) -> None:
    slow = {"ewma": {"tau_s": 20}, "cusum": {"period_s": 1}, "unit": {"tau_s": 20}}[rule]
    watch = {"ewma": SHIFTS, "cusum": SUMS, "unit": UNIT}[rule].model_copy(update={"settings": slow})
    said = alarm_of(rule, model(tmp_path, rule, together(), watch))
    site, high = Plant(TAGS, [said]), np.tile(JUST_MET[rule], (200, 1))
    assert feed(site, high) == [f"{rule.upper()} raised B"]
    again = alarm_of(rule, model(tmp_path, rule, together(seed=9), watch))
    assert events(site.edit(again, by="li")) == [f"{rule.upper()} updated B"]
    assert feed(site, high[:2]) == []
    site.restart(0)
    assert feed(site, high[2:90]) == [], "it stands all the time, as the value does"
    calm = together(rows=400, seed=3)
    assert feed(site, calm)[:1] == [f"{rule.upper()} cleared D"]


@pytest.mark.parametrize("blind", ["bad", "silent"])
def test_s04_neither_bad_values_nor_silence_are_a_look_of_a_rule_that_began_anew(blind: str, tmp_path: Path) -> None:
    sums = SUMS.model_copy(update={"settings": {"period_s": 1}})
    site, high = Plant(TAGS, [alarm_of("cusum", model(tmp_path, "cusum", together(), sums))]), apart(200) + 40
    assert feed(site, high) == ["CUSUM raised B"]
    site.edit(alarm_of("cusum", model(tmp_path, "cusum", together(seed=9), sums)), by="li")
    if blind == "silent":
        assert feed(site, high[:1]) == []
        site.wait(400)
    else:
        for _ in range(400):
            site.read(0, quality=bad(Reason.COMM))
            site.tick()
    assert feed(site, high[1:60]) == [], "it stands all the time, as the value does"
    assert feed(site, together(rows=600, seed=3))[:1] == ["CUSUM cleared D"]


def test_s04_a_rule_that_failed_clears_nothing_by_beginning_anew_at_a_start(tmp_path: Path) -> None:
    site = Plant(TAGS, [alarm_of("cusum", model(tmp_path, "cusum", together(), SUMS))])
    assert feed(site, together(rows=60, seed=3) + 40) == ["CUSUM raised B"]
    early: Any = site.engine._memory.early
    (warner,) = early
    warner.fail(ArithmeticError("no such number"))
    site.engine.begin_run(site.seq, "b")
    assert site.engine.failures() == {}
    assert feed(site, together(rows=60, seed=3) + 40) == []
    assert feed(site, together(rows=600, seed=3)) == ["CUSUM cleared D"]


def test_a_unit_goes_on_after_a_restart_as_if_there_had_been_none(tmp_path: Path) -> None:
    said = alarm_of("unit", model(tmp_path, "unit", together(), UNIT, settings={}))
    never, restarted = Plant(TAGS, [said]), Plant(TAGS, [said])
    rows = [together(rows=20, seed=3), apart(4), together(rows=4, seed=3)]
    for part in rows:
        assert feed(never, part) == feed(restarted, part)
        restarted.restart(0)
        restarted.monotonic_ms, restarted.boot = never.monotonic_ms, never.boot
    assert [t.as_dict() for t in never.told] == [t.as_dict() for t in restarted.told]
    assert _state(never) == _state(restarted)


def _state(site: Plant) -> dict[str, bytes]:
    early: Any = site.engine._memory.early
    return {name: bytes(part) for name, part in early.dump().items()}


@pytest.mark.parametrize(
    ("settings", "inputs", "said"),
    [
        ({"model": "7:AAAA"}, ("a", "b"), "is none that this program reads"),
        ({"model": "1:!!"}, ("a", "b"), "cannot be read"),
        ({"model": "1:AgAAAAAA"}, ("a", "b"), "bytes are not what its head says"),
        ({"model": "1:AgAAAAAA"}, ("a", "b", "c"), "is of 2 inputs with 0 lags, the rule has 3 with 0"),
    ],
)
def test_s14_a_model_that_cannot_be_read_fails_alone(
    settings: dict[str, Any], inputs: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    sound = alarm_of("ewma", model(tmp_path, "ewma", together(), SHIFTS))
    site = Plant(TAGS, [warning(TAGS[0], 0, Kind.UNIT, settings, inputs), sound])
    assert said in site.engine.failures()["unit"]
    assert feed(site, together(rows=60, seed=3) + 40) == ["EWMA raised B"]


def test_half_of_what_training_found_is_a_mistake_and_not_a_silence() -> None:
    site = Plant(TAGS, [warning(TAGS[0], 0, Kind.EWMA, {"tau_s": 5, "limit": 3, "mean": 50})])
    assert "deviation: is missing beside mean" in site.engine.failures()["ewma"]


def test_a_snapshot_holds_what_a_model_said(tmp_path: Path) -> None:
    site = Plant(TAGS, [alarm_of("unit", model(tmp_path, "unit", together(), UNIT))])
    feed(site, together(rows=5, seed=3))
    again = Engine.restore(site.engine.snapshot())
    assert again.snapshot().keys() == site.engine.snapshot().keys()
    for name, part in again.snapshot().items():
        assert bytes(part) == bytes(site.engine.snapshot()[name]), name
