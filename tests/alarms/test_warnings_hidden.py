"""Warnings behind shelves, masks and out of service: hidden as any alarm is, still judged, and back as they are."""

import json

from davylamp_alarms.definition import Kind, MaskDef, Priority
from davylamp_alarms.preview import Preview
from davylamp_alarms.transition import Command, Op, Refusal, Transition, Why
from support.plant import Plant, alarm, events, tag_def, warning

LEVEL, OTHER = tag_def("LT-1101", silence_ms=60_000), tag_def("LT-1102", silence_ms=60_000)
RATE = warning(LEVEL, 0, Kind.RATE, {"window_s": 3, "limit": 60})
APART = warning(OTHER, 1, Kind.DEVIATION, {"limit": 30}, inputs=["LT-1101", "LT-1102"])
FOLLOWING = warning(LEVEL, 0, Kind.EWMA, {"tau_s": 0, "limit": 100, "adapt_s": 60, "mean": 50, "deviation": 10})
HH, H = alarm(LEVEL, 0, Kind.HH, 90, deadband=2), alarm(LEVEL, 0, Kind.H, 80, deadband=2)
CLEANING = MaskDef("cleaning", LEVEL.hazard_source, (H.id, RATE.id, APART.id))


def plant() -> Plant:
    site = Plant([LEVEL, OTHER], [HH, H, RATE, APART, FOLLOWING])
    site.edit(masks=(CLEANING,))
    site.read(10, tag=1)
    return site


def run(site: Plant, start: float, slope: float, seconds: int) -> list[Transition]:
    """Let the first level move by so much a second, a reading and a tick each second."""
    told = []
    for second in range(seconds):
        told += site.read(start + slope * second)
        told += site.tick()
    return told


def mask(site: Plant) -> list[Transition] | Refusal:
    return site.ask(Op.MASK, mask="cleaning", comment="cleaning", until_ms=site.now_ms + 600_000)


def out(site: Plant, **fields: object) -> list[Transition] | Refusal:
    said = {"tag": LEVEL.id, "reason": "calibration", "permit": "7", "comment": "yearly", "second": "wang", **fields}
    return site.ask(Op.TAKE_OUT, until_ms=site.now_ms + 3_600_000, **said)


def of(told: object, kind: Kind) -> list[str]:
    assert isinstance(told, list), told
    return events([one for one in told if one.kind is kind])


def test_s17_a_mask_hides_the_warnings_it_names_and_they_come_back_unacknowledged_with_their_evidence() -> None:
    site = plant()
    assert set(events(mask(site))) == {"RATE suppressed H", "H suppressed H", "DEVIATION suppressed H"}
    told = run(site, 10, 2.0, 20)
    assert of(told, Kind.RATE) == ["RATE raised H"]
    assert of(told, Kind.DEVIATION) == ["DEVIATION raised H"]
    site.restart(1)
    back = site.ask(Op.UNMASK, mask="cleaning", comment="done")
    assert set(events(back)) == {"RATE unsuppressed B", "H unsuppressed A", "DEVIATION unsuppressed B"}
    assert isinstance(back, list)
    raised = next(one for one in told if one.kind is Kind.RATE)
    assert next(one for one in back if one.kind is Kind.RATE).evidence == raised.evidence != ""


def test_s17_a_red_warning_stays_live_whatever_a_mask_names() -> None:
    site = Plant([LEVEL, OTHER], [H, warning(LEVEL, 0, Kind.RATE, {"window_s": 3, "limit": 60}, priority=Priority.RED)])
    site.edit(masks=(MaskDef("cleaning", LEVEL.hazard_source, (H.id, RATE.id)),))
    assert events(mask(site)) == ["H suppressed H"]
    assert events(run(site, 10, 2.0, 6)) == ["RATE raised B"]


def test_s17_a_mask_over_a_warning_alone_leaves_every_limit_alarm_live() -> None:
    site = Plant([LEVEL, OTHER], [HH, H, RATE])
    site.edit(masks=(MaskDef("cleaning", LEVEL.hazard_source, (RATE.id,)),))
    assert events(mask(site)) == ["RATE suppressed H"]
    assert events(run(site, 70, 2.0, 15)) == ["RATE raised H", "H raised B", "HH raised B"]


def test_s15_a_red_warning_is_shelved_by_two_persons_only() -> None:
    red = warning(LEVEL, 0, Kind.RATE, {"window_s": 3, "limit": 60}, priority=Priority.RED)
    site = Plant([LEVEL, OTHER], [red])
    answer = site.shelve(red.id)
    assert isinstance(answer, Refusal)
    assert answer.why is Why.SECOND_PERSON
    assert events(site.shelve(red.id, second="wang")) == ["RATE shelved G"]


def test_s16_a_shelved_warning_is_still_judged_and_comes_back_by_tick_as_it_is() -> None:
    site = plant()
    site.shelve(RATE.id, minutes=1)
    told = run(site, 10, 0.9, 5) + run(site, 15, 2.0, 30)
    assert of(told, Kind.RATE) == ["RATE raised G"]
    assert of(told, Kind.H) == [], "75 is below the limit"
    site.restart(5)
    told = run(site, 75, 0, 25)
    assert of(told, Kind.RATE) == ["RATE cleared G", "RATE unshelved D"], "nobody knew of it"
    site.shelve(RATE.id, minutes=0.1)
    told = run(site, 20, 2.0, 10)
    assert of(told, Kind.RATE) == ["RATE raised G", "RATE unshelved B"]


def test_s16_a_shelf_over_a_warning_hides_no_limit_and_one_over_a_limit_no_warning() -> None:
    site = plant()
    site.shelve(RATE.id)
    assert of(run(site, 60, 2.0, 20), Kind.H) == ["H raised B"]
    site = plant()
    site.shelve(H.id)
    told = run(site, 60, 2.0, 20)
    assert of(told, Kind.RATE) == ["RATE raised B"]
    assert of(told, Kind.H) == ["H raised G"]


def test_s19_an_instrument_that_is_out_takes_its_own_warnings_along_and_no_other_tags() -> None:
    site = plant()
    answer = out(site)
    assert {one.kind for one in answer if isinstance(one, Transition)} == {Kind.RATE, Kind.EWMA, Kind.H, Kind.HH}  # type: ignore[union-attr]
    told = run(site, 10, 2.0, 20)
    assert of(told, Kind.RATE) == ["RATE raised I"]
    assert of(told, Kind.DEVIATION) == ["DEVIATION raised B"], "the other tag's warning goes on: two look at it"
    back = site.ask(Op.RETURN, tag=LEVEL.id, comment="done")
    assert of(back, Kind.RATE) == ["RATE returned_to_service B"]


def test_s19_no_baseline_learns_from_an_instrument_that_is_out() -> None:
    site = plant()
    run(site, 52, 0, 20)
    before = usual(site)
    assert 50 < before < 52
    out(site)
    run(site, 20, 0, 60)
    site.restart(1)
    run(site, 20, 0, 60)
    assert usual(site) == before
    site.ask(Op.RETURN, tag=LEVEL.id, comment="done")
    run(site, 55, 0, 60)
    assert usual(site) > before + 1


def usual(site: Plant) -> float:
    (found,) = (one for one in site.engine.explain(LEVEL.id, site.now_ms) if one.of.kind is Kind.EWMA)
    return float(json.loads(found.evidence)["found"]["usual"])


def test_s16_a_preview_names_a_standing_warning_among_what_is_hidden_and_changes_nothing() -> None:
    site = plant()
    run(site, 10, 2.0, 6)
    before = site.engine.snapshot()
    act = Command(Op.MASK, "li", site.now_ms, mask="cleaning", comment="x", until_ms=site.now_ms + 60_000)
    found = site.engine.preview(act)
    assert isinstance(found, Preview), found
    assert {seen.alarm: seen.stands for seen in found.hidden} == {RATE.id: True, H.id: False, APART.id: False}
    after = site.engine.snapshot()
    assert all(bytes(before[name]) == bytes(after[name]) for name in before)
