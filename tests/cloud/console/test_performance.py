"""What the duty room sees of the alarm system itself, in a real browser on the real engine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.duty_room import DutyRoom, duty_room
from support.speaker import Speaker, gas_point, limit

COUNT = 12
POINTS = {
    f"gas{n}": gas_point(zh=f"氯气{n}号", en=f"chlorine {n}", limits={"L1": limit(1.0, deadband=0.1)}, scan_s=0.001)
    for n in range(COUNT)
}
CALM, LOUD = [0.2] * COUNT, [1.5] * COUNT

Opens = Callable[..., Page]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[DutyRoom]:
    """A duty room with twelve detectors, all calm."""
    with duty_room(tmp_path / "cloud", Speaker(points=POINTS), reorder_s=0) as found:
        found.say(*CALM)
        yield found


@pytest.fixture
def open_room(room: DutyRoom, chromium: Browser) -> Iterator[Opens]:
    """Open the console and wait until it is live; an error of its script fails the test."""
    complaints: list[str] = []

    def open_(locale: str = "zh-CN", width: int = 1920, height: int = 1080) -> Page:
        page = chromium.new_context(viewport={"width": width, "height": height}, locale=locale).new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(room.url)
        page.wait_for_selector("#tags .tags")
        room.tick()
        page.wait_for_selector("#pulse:not(.waiting)")
        return page

    yield open_
    assert complaints == []


@pytest.mark.parametrize(
    ("locale", "says"),
    [
        ("zh-CN", ("报警泛滥 · park", "10 分钟内 12 条报警，峰值 12 条", "氯气0号 L1")),
        ("en-GB", ("Flood · park", "12 alarms in 10 min, 12 at the peak", "chlorine 0 L1")),
    ],
)
def test_a_flood_is_said_above_the_alarms_while_the_page_is_open(
    room: DutyRoom, open_room: Opens, locale: str, says: tuple[str, ...]
) -> None:
    page = open_room(locale)
    expect(page.locator("#flood")).to_be_empty()
    room.say(1.5, *CALM[1:])
    room.say(*LOUD)
    for words in says:
        expect(page.locator("#flood")).to_contain_text(words)
    room.running.now_ms += 11 * 60_000
    room.running.settle()
    expect(page.locator("#flood")).to_be_empty()


def test_the_first_cause_of_a_flood_is_one_press_away(room: DutyRoom, open_room: Opens) -> None:
    room.say(1.5, *CALM[1:])
    room.say(*LOUD)
    page = open_room("en-GB")
    page.locator("#flood").get_by_role("button", name="chlorine 0 L1").click()
    expect(page.locator(".alarm:focus")).to_contain_text("chlorine 0")


def test_an_alarm_row_tells_why_it_stands_and_what_would_end_it(room: DutyRoom, open_room: Opens) -> None:
    room.say(1.5, *CALM[1:])
    page = open_room()
    page.locator(".alarm.yellow").get_by_role("button", name="判定依据").click()
    first = page.locator("#dialog[open] .reason").first
    for words in ("L1 一级", "正在报警", "条件成立：1.5 ppm ≥ 1 ppm", "需要 ≤ 0.9 ppm 的良好实时值", "未核实"):
        expect(first).to_contain_text(words)
    expect(page.locator("#dialog")).to_contain_text("限值第 1 版，来自 设备上线报文")


def test_a_tag_row_tells_why_it_does_not_alarm_and_how_it_was_earlier(room: DutyRoom, open_room: Opens) -> None:
    room.say(1.5, *CALM[1:])
    room.say(*CALM)
    page = open_room("en-GB")
    page.locator("#tags").get_by_role("button", name="Why? chlorine 0").click()
    dialog = page.locator("#dialog[open]")
    level = dialog.locator(".reason", has_text="L1")
    expect(level).to_contain_text("0.2 ppm is 0.8 ppm below the limit 1 ppm")
    dialog.locator("li", has_text="raised").get_by_role("button").last.click()
    expect(level).to_contain_text("the condition is met: 1.5 ppm ≥ 1 ppm")
    dialog.get_by_role("button", name="Ask again, as of now").click()
    expect(level).to_contain_text("does not stand")
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator("#dialog")).to_be_hidden()


def test_advice_on_a_chattering_alarm_is_shown_and_dismissed_with_a_reason(room: DutyRoom, open_room: Opens) -> None:
    for value in (1.5, 0.2, 1.5, 0.2, 1.5):
        room.say(value, *CALM[1:])
    page = open_room("en-GB")
    advice = page.locator("#advice")
    for words in ("chlorine 0 L1", "chatters", "deadband 1.95"):
        expect(advice).to_contain_text(words)
    advice.locator("[name=comment]").fill("pump test")
    advice.get_by_role("button", name="Dismiss").click()
    expect(advice).to_contain_text("No advice is open.")


def test_s15_advice_changes_nothing_by_itself(room: DutyRoom, open_room: Opens) -> None:
    for value in (1.5, 0.2, 1.5, 0.2, 1.5):
        room.say(value, *CALM[1:])
    page = open_room()
    expect(page.locator("#advice")).to_contain_text("频繁抖动")
    expect(page.locator(".alarm.yellow.calls")).to_have_count(1)
    expect(page.locator("#hidden-alarms")).to_have_count(0)


@pytest.mark.parametrize(
    ("locale", "button", "says"),
    [
        (
            "zh-CN",
            "指标与泛滥记录",
            ("报警绩效 park", "10 分钟内最多报警数", "数据不足", "未核实", "持续中", "最频繁的报警", "氯气0号"),
        ),
        (
            "en-GB",
            "Figures and floods",
            ("Most alarms in 10 minutes", "too little data", "unverified", "at the peak", "chlorine 0"),
        ),
    ],
)
def test_figures_are_shown_with_their_targets_and_the_floods(
    room: DutyRoom, open_room: Opens, locale: str, button: str, says: tuple[str, ...]
) -> None:
    room.say(1.5, *CALM[1:])
    room.say(*LOUD)
    page = open_room(locale)
    page.get_by_role("button", name=button).click()
    for words in says:
        expect(page.locator("#dialog[open]")).to_contain_text(words)
