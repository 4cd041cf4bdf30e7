"""The duty room's page in a real browser, against the real server."""

import re
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud.config import Role, TokenConfig
from davylamp_wire.point import LimitKind
from davylamp_wire.profile import load_profiles, shipped_profiles
from davylamp_wire.quality import Reason, bad
from playwright.sync_api import Browser, Page, expect
from support.duty_room import duty_room
from support.served import SOURCE, Plant, limit


def chlorine(plant: Plant) -> int:
    limits = {LimitKind.L1: limit(1), LimitKind.L2: limit(3)}
    tag = plant.tag("gas1", "1号库位氯气浓度", "Chlorine at bay 1", plant_tag="AT-1101", limits=limits, range=(0, 10))
    plant.read(tag, 0.4)
    return tag


def test_s01_a_raised_alarm_is_on_the_screen_within_a_second(plant: Plant, open_page: Any) -> None:
    tag = chlorine(plant)
    page = open_page()
    expect(page.locator(".none")).to_contain_text("当前没有报警")
    started = time.monotonic()
    plant.alarm(tag, "L2", "red", value=4.82, limit=3)
    page.wait_for_selector("#alarm-LC-01-1.red.calls")
    assert time.monotonic() - started < 1.0
    expect(page.locator("#counts .red b")).to_have_text("1")


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        (
            "zh-CN",
            ["红 L2", "LC-01", "1号库位氯气浓度", "AT-1101", "4.82", "ppm", "限值 ≥ 3 ppm", "首要处置", "未确认"],
        ),
        (
            "en-GB",
            ["Red L2", "LC-01", "Chlorine at bay 1", "AT-1101", "4.82", "limit ≥ 3 ppm", "First:", "Unacknowledged"],
        ),
    ],
)
def test_s24_an_alarm_says_everything_in_the_readers_language(
    plant: Plant, open_page: Any, locale: str, words: list[str]
) -> None:
    tag = chlorine(plant)
    plant.read(tag, 4.82, age_ms=0)
    plant.alarm(tag, "L2", "red", value=4.82, limit=3)
    row = open_page(locale).locator("#alarm-LC-01-1")
    for word in [*words, "LC-01", "AT-1101", "4.82", "ppm"]:
        expect(row).to_contain_text(word)


CHLORINE = load_profiles(shipped_profiles())["cl2-store"].points["cl2_3"]


def leak(plant: Plant, **more: Any) -> None:
    """Raise the shipped chlorine detector's L2."""
    tag = plant.tag("cl2_3", CHLORINE.zh, CHLORINE.en, limits=CHLORINE.limits, range=(0, 30), unit="mg/m3")
    plant.alarm(tag, "L2", "red", value=4.82, limit=2, **more)


@pytest.mark.parametrize(
    ("locale", "labels"),
    [
        ("zh-CN", ["首要处置", "原因与后果", "可能原因：", "不处置的后果：", "限值依据："]),
        ("en-GB", ["First:", "Cause and consequence", "Likely cause:", "If nobody acts:", "Limit from:"]),
    ],
)
def test_s24_cause_and_consequence_unfold_under_the_first_action(
    plant: Plant, open_page: Any, locale: str, labels: list[str]
) -> None:
    leak(plant)
    why = open_page(locale).locator("#why-LC-01-1")
    limit = CHLORINE.limits[LimitKind.L2]
    told = [
        text.zh if locale == "zh-CN" else text.en for text in (limit.action, limit.cause, limit.consequence) if text
    ]
    assert len(told) == 3
    expect(why.locator("summary")).to_contain_text(told[0])
    expect(why.locator("p").first).to_be_hidden()
    why.locator("summary").click()
    for words in (*labels, *told):
        expect(why).to_contain_text(words)
    expect(why.locator("p").first).to_be_visible()


def test_what_is_unfolded_stays_so_when_the_list_changes(plant: Plant, open_page: Any) -> None:
    leak(plant)
    page = open_page()
    page.locator("#why-LC-01-1 summary").click()
    plant.alarm(chlorine(plant), "L1", "yellow")
    page.wait_for_selector("#alarm-LC-01-2")
    expect(page.locator("#why-LC-01-1")).to_have_attribute("open", "")
    expect(page.locator("#why-LC-01-2")).not_to_have_attribute("open", "")


@pytest.mark.parametrize(
    ("locale", "by", "left", "overdue"),
    [
        ("zh-CN", "处置时限", r"剩余 0:\d\d", r"已超时 0:\d\d"),
        ("en-GB", "act by", r"0:\d\d left", r"overdue by 0:\d\d"),
    ],
)
def test_s24_the_time_left_to_respond_counts_down_and_says_when_it_is_over(
    plant: Plant, open_page: Any, locale: str, by: str, left: str, overdue: str
) -> None:
    leak(plant, age_ms=20_000)
    page = open_page(locale)
    respond = page.locator("#alarm-LC-01-1 .respond")
    expect(respond).to_contain_text(by)
    expect(respond.locator("b")).to_have_text(re.compile(left))
    page.clock.install()
    page.clock.fast_forward(60_000)
    expect(respond.locator("b.overdue")).to_have_text(re.compile(overdue))


def test_s24_no_time_runs_for_what_is_back_or_was_late(plant: Plant, open_page: Any) -> None:
    leak(plant, letter="E", latched=True)
    plant.alarm(chlorine(plant), "L2", "red", late=True)
    page = open_page()
    expect(page.locator("#alarm-list .alarm")).to_have_count(2)
    expect(page.locator(".respond")).to_have_count(0)


@pytest.mark.parametrize(("locale", "word"), [("zh-CN", "未核实"), ("en-GB", "unverified")])
def test_s30_source_and_unverified_stand_beside_the_limit(plant: Plant, open_page: Any, locale: str, word: str) -> None:
    leak(plant)
    source = open_page(locale).locator("#alarm-LC-01-1 .measure .limit-source")
    expect(source).to_contain_text(f"{word} GB/T 50493 2019")


def test_s30_a_verified_limit_is_not_called_unverified(plant: Plant, open_page: Any) -> None:
    source = SOURCE.model_copy(update={"verified_by": "Li"})
    tag = plant.tag("gas1", "氯气", "Chlorine", limits={LimitKind.L2: limit(3, source=source)})
    plant.alarm(tag, "L2", "red", value=4.82, limit=3)
    row = open_page().locator("#alarm-LC-01-1")
    expect(row.locator(".limit-source")).to_have_text("GB/T 50493 2019 5.5.2")
    expect(row).not_to_contain_text("未核实")


def test_s30_a_limit_nobody_wrote_words_for_says_so(plant: Plant, open_page: Any) -> None:
    plant.alarm(chlorine(plant), "L1", "yellow", value=1.2, limit=1)
    leak(plant)
    page = open_page("en-GB")
    expect(page.locator("#alarm-LC-01-1")).to_contain_text("general words: nobody has written")
    expect(page.locator("#alarm-LC-01-2")).not_to_contain_text("general words")


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (390, 844)])
def test_an_unfolded_alarm_fits_the_screen_from_left_to_right(
    plant: Plant, open_page: Any, width: int, height: int
) -> None:
    leak(plant)
    page = open_page("en-GB", width, height)
    page.locator("#why-LC-01-1 summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#alarm-LC-01-1").evaluate(
        "row => [...row.children].every(c => c.scrollWidth <= c.clientWidth)"
    )


@pytest.mark.parametrize("width", [1920, 1600, 1366])
def test_the_words_of_an_alarm_have_room_beside_its_figures(plant: Plant, open_page: Any, width: int) -> None:
    leak(plant)
    page = open_page("en-GB", width, 1000)
    row = page.locator("#alarm-LC-01-1")
    assert row.locator(".what").evaluate("what => what.clientWidth / what.parentElement.clientWidth") > 0.35
    assert row.evaluate("row => [...row.children].every(c => c.scrollWidth <= c.clientWidth)")


@pytest.mark.parametrize("width", [1600, 390])
def test_the_page_to_sign_in_has_its_lamp_and_nothing_lies_over_another(
    chromium: Browser, tmp_path: Path, width: int
) -> None:
    (tmp_path / "li").write_text("secret-of-li")
    token = TokenConfig(name="li", role=Role.OPERATOR, token_file=tmp_path / "li")
    with duty_room(tmp_path / "cloud", tokens=(token,)) as room:
        page = chromium.new_context(viewport={"width": width, "height": 1000}).new_page()
        page.goto(room.url)
        boxes = [page.locator(name).bounding_box() for name in (".login h1", ".login label", ".login p.quiet")]
        assert page.locator(".login h1 use").evaluate("use => use.getBBox().width") > 0
    tops = [(box["y"], box["y"] + box["height"]) for box in boxes if box]
    assert all(above[1] <= below[0] for above, below in pairwise(tops)), tops


def test_s13_a_silent_engine_is_shouted_seen_and_heard(plant: Plant, open_page: Any) -> None:
    page = open_page()
    expect(page.locator("#silent")).to_be_hidden()
    plant.set_back_s = 15
    banner = page.locator("#silent")
    expect(banner).to_be_visible(timeout=5000)
    expect(banner).to_contain_text("报警引擎已停止")
    assert page.locator("html").get_attribute("data-sounding") == "silent"
    box = banner.bounding_box()
    assert box
    assert (box["y"], box["width"]) == (0, 1920)
    plant.publish()
    expect(banner).to_be_hidden(timeout=5000)


def test_s13_a_silent_stream_is_shouted(plant: Plant, open_page: Any) -> None:
    page = open_page("en-GB")
    page.clock.install()
    assert plant.server
    plant.server.stop()
    page.clock.fast_forward(11_000)
    expect(page.locator("#silent")).to_contain_text("NO CONNECTION TO DAVYLAMP", timeout=15_000)
    plant.server = None


def test_the_sound_is_off_until_a_click_arms_it_and_each_priority_has_its_own(plant: Plant, open_page: Any) -> None:
    tag = chlorine(plant)
    page = open_page()
    button = page.locator("#sound")
    expect(button).to_have_text("未开启声音：点击开启")
    button.click()
    expect(button).to_have_text("声音已开启")
    for kind, priority, heard in [("H", "blue", "blue"), ("L1", "yellow", "yellow"), ("HH", "orange", "orange")]:
        plant.alarm(tag, kind, priority)
        page.wait_for_selector(f'html[data-sounding="{heard}"]')
    plant.alarm(tag, "L2", "red")
    page.wait_for_selector('html[data-sounding="red"]')


def test_each_sound_is_really_played_with_its_own_notes(plant: Plant, chromium: Browser) -> None:
    tag = chlorine(plant)
    page = chromium.new_context(locale="zh-CN").new_page()
    page.add_init_script(
        "window.played = []; const start = OscillatorNode.prototype.start;"
        "OscillatorNode.prototype.start = function (at) {"
        " played.push(this.frequency.value); return start.call(this, at); }"
    )
    page.goto(plant.serve())
    plant.alarm(tag, "L2", "red")
    page.wait_for_selector('html[data-sounding="red"]')
    assert page.evaluate("() => played.length") == 0, "nothing sounds before a person armed it"
    page.locator("#sound").click()
    plant.publish()
    deadline = time.monotonic() + 10
    while 960 not in page.evaluate("() => played") and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert {960, 720} <= set(page.evaluate("() => played"))


def test_s05_a_late_alarm_has_its_own_sound_and_says_when(plant: Plant, open_page: Any) -> None:
    tag = chlorine(plant)
    page = open_page()
    now = plant.now_ms()
    plant.alarm(tag, "HH", "orange", late=True, raised_ms=now - 7_200_000, late_until_ms=now - 6_000_000)
    page.wait_for_selector('html[data-sounding="late"]')
    expect(page.locator("#alarm-LC-01-1")).to_contain_text("断线期间")
    expect(page.locator("#alarm-LC-01-1")).to_contain_text("迟到")


def test_silenced_is_broken_by_a_new_occurrence(plant: Plant, open_page: Any) -> None:
    tag = chlorine(plant)
    plant.alarm(tag, "L1", "yellow")
    page = open_page()
    page.locator("#silence").click()
    page.wait_for_selector('html[data-sounding=""]')
    plant.alarm(tag, "L2", "red")
    page.wait_for_selector('html[data-sounding="red"]')


def test_s12_blind_is_told_apart_from_gas(plant: Plant, open_page: Any) -> None:
    tag = chlorine(plant)
    plant.read(tag, 0.4, bad(Reason.COMM), age_ms=0)
    plant.alarm(tag, "FAULT", "red", value=0.4)
    row = open_page().locator("#alarm-LC-01-1")
    expect(row).to_contain_text("失明")
    expect(row).to_contain_text("坏：设备无应答")


def test_a_value_follows_live_and_its_trend_opens_with_limits(plant: Plant, open_page: Any) -> None:
    tag = chlorine(plant)
    now = plant.now_ms()
    plant.history(tag, [now - 5000 + 1000 * n for n in range(5)], [0.1] * 5, [0, 0, bad(Reason.COMM), 0, 0])
    page = open_page()
    plant.read(tag, 2.5, age_ms=0)
    plant.publish()
    row = page.locator(f'#tags tr[data-index="{tag}"]')
    expect(row.locator(".reading .number")).to_have_text("2.5")
    row.locator(".open").click()
    expect(page.locator("#trend")).to_contain_text("1号库位氯气浓度 AT-1101 (ppm)")
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.locator("#chart-text")).to_contain_text("L2 3 ppm — GB/T 50493 2019 5.5.2 (未核实)")


def test_a_console_that_watches_nothing_does_not_say_all_is_well(plant: Plant, open_page: Any) -> None:
    page = open_page()
    expect(page.locator("#alarms")).to_contain_text("尚未监视任何测点")
    expect(page.locator("#alarms")).not_to_contain_text("当前没有报警")


def test_tags_are_searched(plant: Plant, open_page: Any) -> None:
    chlorine(plant)
    plant.tag("level", "液位", "Level", source="LPG-02", device="opc1", plant_tag="LT-2101")
    page = open_page()
    page.locator("#search").fill("2101")
    expect(page.locator("#tags tbody tr")).to_have_count(1)
    expect(page.locator("#tags")).to_contain_text("LT-2101")


def test_the_language_is_switched_by_a_click_and_remembered(plant: Plant, open_page: Any) -> None:
    chlorine(plant)
    page = open_page("zh-CN")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    expect(page.locator(".none")).to_contain_text("No alarm is standing.")


def test_a_flood_shows_the_first_cause_and_how_many_more(plant: Plant, open_page: Any) -> None:
    page = open_page()
    for n in range(130):
        tag = plant.tag(f"t{n}", "测点", "tag", kind="process")
        plant.alarm(tag, "H", "yellow", age_ms=200_000 - n)
    expect(page.locator("#alarm-list .alarm").first).to_have_id("alarm-LC-01-1")
    expect(page.locator(".more")).to_contain_text("另有 30 条")


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (390, 844)])
def test_nothing_runs_off_the_screen(plant: Plant, open_page: Any, width: int, height: int) -> None:
    tag = chlorine(plant)
    plant.alarm(tag, "L2", "red", value=4.82, limit=3)
    for locale in ("zh-CN", "en-GB"):
        page: Page = open_page(locale, width, height)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        box = page.locator("#alarm-LC-01-1 [data-act=acknowledge]").bounding_box()
        assert box
        assert box["height"] >= 44
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height


def test_alarms_are_reached_by_keyboard(plant: Plant, open_page: Any) -> None:
    tag = chlorine(plant)
    plant.alarm(tag, "L2", "red")
    plant.alarm(tag, "L1", "yellow")
    page = open_page()
    page.keyboard.press("j")
    expect(page.locator("#alarm-LC-01-1")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#alarm-LC-01-2")).to_be_focused()
    page.keyboard.press("s")
    expect(page.locator("#dialog")).to_be_visible()


def test_no_motion_for_those_who_asked_for_none(plant: Plant, open_page: Any) -> None:
    plant.alarm(chlorine(plant), "L2", "red")
    page = open_page()
    page.emulate_media(reduced_motion="reduce")
    level = page.locator("#alarm-LC-01-1 .level")
    assert level.evaluate("node => getComputedStyle(node).animationName") == "none"
