"""A warning on the page: its forecast in words, and its evidence as a figure, in both languages."""

from typing import Any

import pytest
from davylamp_wire.point import LimitKind
from playwright.sync_api import expect
from support.served import Plant, limit

WORDS = {"zh": "预计 5 分钟（4–7）后达到 H 85 %", "en": "reaches H 85 % in 5 min (4–7)"}


def warn(plant: Plant, kind: str = "TREND", **more: Any) -> tuple[int, int]:
    """Put a level into history and a warning of it on the page; return its tag and when it was raised."""
    limits = {LimitKind.H: limit(85.0), LimitKind.HH: limit(90.0)}
    tag = plant.tag("level", "液位", "level", unit="%", kind="process", limits=limits, range=(0, 100))
    at_ms = plant.now_ms() - 20_000
    times = [at_ms - 1000 * ago for ago in range(170, -15, -1)]
    plant.history(tag, times, [80.0 + (time - at_ms) / 60_000 for time in times], [0] * len(times))
    evidence = {
        "rule": kind.lower(),
        "tag": "park/edge1/plc1/level",
        "unit": "%",
        "limit": 85.0,
        "towards": "H",
        "slope_per_min": 1.0,
        "at_limit_in_s": 300.0,
        "earliest_s": 240.0,
        "latest_s": 420.0,
        "line": [[at_ms - 120_000, 78.0], [at_ms, 80.0]],
        **more,
    }
    plant.alarm(tag, kind, "blue", raised_ms=at_ms, value=80.0, told={"evidence": evidence, "forecast": WORDS})
    plant.read(tag, 80.3)
    return tag, at_ms


@pytest.mark.parametrize(("locale", "said"), [("zh-CN", WORDS["zh"]), ("en", WORDS["en"])])
def test_a_warning_says_when_its_limit_is_reached_and_shows_the_curve(
    plant: Plant, open_page: Any, locale: str, said: str
) -> None:
    warn(plant)
    page = open_page(locale)
    expect(page.locator(".alarm.blue .forecast")).to_contain_text(said)
    page.locator(".alarm.blue .why summary").click()
    figure = page.locator(".alarm.blue .evidence svg.figure")
    expect(figure).to_have_attribute("aria-label", f"{figure_words(locale)}: {said}")
    expect(figure).to_contain_text("H 85 %")
    for part in ("curve", "fitted", "ahead", "between", "limit"):
        expect(figure.locator(f".{part}")).to_have_count(1)


def test_a_forecast_whose_time_comes_is_told_as_passed_while_nothing_else_happens(plant: Plant, open_page: Any) -> None:
    warn(plant, at_limit_in_s=23.0)
    page = open_page("en")
    place = page.locator(".alarm.blue .forecast")
    expect(place).to_contain_text("about")
    expect(place).to_contain_text("as of")
    expect(place).to_contain_text("was to reach H 85 %", timeout=15_000)
    expect(place).not_to_contain_text("about")
    expect(place).to_contain_text("as of")


def figure_words(locale: str) -> str:
    if locale == "en":
        return "The tag's last minutes, the limit, and the line fitted through them"
    return "测点最近的曲线、限值及拟合直线"


def test_the_figure_stays_while_the_list_moves(plant: Plant, open_page: Any) -> None:
    tag, _ = warn(plant)
    page = open_page()
    page.locator(".alarm.blue .why summary").click()
    expect(page.locator(".evidence svg.figure")).to_be_visible()
    plant.alarm(tag, "H", "yellow", value=85.1, limit=85.0)
    expect(page.locator(".alarm.yellow")).to_be_visible()
    expect(page.locator(".alarm.blue .evidence svg.figure")).to_be_visible()


def test_what_each_tag_adds_is_shown_as_bars_by_its_name(plant: Plant, open_page: Any) -> None:
    shares = [["park/edge1/plc1/level", 0.75], ["park/edge1/plc1/unknown", 0.25]]
    warn(plant, "UNIT", line=None, limit=None, at_limit_in_s=None, contributions=shares)
    page = open_page()
    page.locator(".alarm.blue .why summary").click()
    rows = page.locator(".evidence .shares li")
    expect(rows).to_contain_text(["液位75 %", "park/edge1/plc1/unknown25 %"])
    expect(page.locator(".evidence .curve")).to_have_count(1)


def test_a_narrow_screen_shows_the_whole_figure(plant: Plant, open_page: Any) -> None:
    warn(plant)
    page = open_page(width=390, height=844)
    page.locator(".alarm.blue .why summary").click()
    box = page.locator(".evidence svg.figure").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
