"""The duty room from an edge's payload to a person's click, on the real engine."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from davylamp_cloud.config import Role, TokenConfig
from playwright.sync_api import Browser, Page, expect
from support.duty_room import DutyRoom, duty_room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[DutyRoom]:
    """A duty room whose chlorine detector says 0.2 ppm."""
    with duty_room(tmp_path) as found:
        found.say(0.2)
        yield found


@pytest.fixture
def page(room: DutyRoom, chromium: Browser) -> Page:
    found = chromium.new_context(viewport={"width": 1920, "height": 1080}, locale="zh-CN").new_page()
    found.goto(room.url)
    found.wait_for_selector("#tags .tags")
    room.tick()
    found.wait_for_selector("#pulse:not(.waiting)")
    return found


def test_a_person_signs_in_acts_under_their_own_name_and_signs_out(tmp_path: Path, chromium: Browser) -> None:
    (tmp_path / "token").write_text("open-sesame")
    token = TokenConfig(name="zhang-wei", role=Role.OPERATOR, token_file=tmp_path / "token")
    with duty_room(tmp_path / "cloud", tokens=(token,)) as room:
        room.say(4.8)
        page = chromium.new_context(locale="zh-CN").new_page()
        page.goto(room.url)
        page.locator("[name=token]").fill("wrong")
        page.get_by_role("button", name="登录").click()
        expect(page.get_by_role("alert")).to_contain_text("令牌不被识别")
        page.locator("[name=token]").fill("open-sesame")
        page.get_by_role("button", name="登录").click()
        page.wait_for_selector("#tags .tags")
        press(page, ".alarm.red", "确认")
        expect(page.locator(".alarm.red")).to_contain_text("已确认")
        assert room.running.standing()["L2 live"]["acknowledged_by"] == "zhang-wei"
        page.get_by_role("button", name="退出").click()
        expect(page.locator("[name=token]")).to_be_visible()


def press(page: Page, row: str, name: str) -> None:
    """Press a button of an alarm once the list rests: the page refuses a press on what just moved."""
    page.wait_for_selector("#alarms:not(.moving)")
    page.locator(row).get_by_role("button", name=name).click()


def test_s01_a_leak_is_on_the_screen_within_a_second_and_is_acknowledged_by_a_click(room: DutyRoom, page: Page) -> None:
    started = time.monotonic()
    room.say(4.8)
    row = page.locator(".alarm.red.calls")
    row.wait_for()
    assert time.monotonic() - started < 1.0
    expect(row).to_contain_text("4.8")
    expect(row).to_contain_text("1#AT-101/A")
    assert page.locator("html").get_attribute("data-sounding") == "red"
    press(page, ".alarm.red", "确认")
    expect(page.locator(".alarm.red")).to_contain_text("已确认")
    expect(page.locator(".alarm.red.calls")).to_have_count(0)
    assert room.running.standing()["L2 live"]["acknowledged_by"] == "local operator"


def test_s04_a_return_stays_until_somebody_has_seen_it(room: DutyRoom, page: Page) -> None:
    room.say(1.5)
    page.locator(".alarm.yellow.calls").wait_for()
    room.say(0.1)
    row = page.locator(".alarm.yellow.returned")
    expect(row).to_contain_text("已恢复 未确认")
    expect(row.locator(".value .number")).to_have_text("0.1")
    press(page, ".alarm.yellow", "确认")
    expect(page.locator(".none")).to_contain_text("当前没有报警")


def test_s16_a_shelf_is_filled_in_and_ended_in_the_console(room: DutyRoom, page: Page) -> None:
    room.say(1.5)
    page.wait_for_selector(".alarm.yellow")
    press(page, ".alarm.yellow", "搁置")
    page.locator("#dialog [name=comment]").fill("标定用标准气")
    page.locator("#dialog").get_by_role("button", name="搁置").click()
    hidden = page.locator("#hidden-alarms")
    expect(hidden).to_contain_text("人为隐藏：1 条")
    expect(hidden).to_contain_text("越限仍在")
    expect(page.locator("#dialog")).to_be_hidden()
    press(page, "#hidden-alarms", "结束搁置")
    expect(page.locator(".alarm.yellow.calls")).to_be_visible()


def test_s16_shelving_shows_first_what_it_hides_and_what_stays(room: DutyRoom, page: Page) -> None:
    room.say(1.5)
    page.wait_for_selector(".alarm.yellow")
    press(page, ".alarm.yellow", "搁置")
    dialog = page.locator("#dialog[open]")
    expect(dialog).to_contain_text("✕ 氯气浓度 · 一级 L1")
    expect(dialog).to_contain_text("正在报警")
    expect(dialog).to_contain_text("✓ 氯气浓度 · 二级 L2")
    expect(dialog.locator("[name=second_token]")).to_have_count(0)
    first = dialog.locator("#ends").inner_text()
    dialog.locator("[name=minutes]").select_option("60")
    expect(dialog.locator("#ends")).not_to_have_text(first)
    page.keyboard.press("Escape")
    expect(page.locator("#dialog")).to_be_hidden()


def test_an_acknowledgement_can_carry_a_remark(room: DutyRoom, page: Page) -> None:
    room.say(1.5)
    page.wait_for_selector(".alarm.yellow")
    press(page, ".alarm.yellow", "备注")
    page.locator("#dialog [name=comment]").fill("已派人到现场")
    page.locator("#dialog").get_by_role("button", name="确认").click()
    expect(page.locator(".alarm.yellow")).to_contain_text("已确认")
    said = [row["comment"] for row in room.running.state.transitions() if row["event"] == "acknowledged"]
    assert said == ["已派人到现场"]


def test_s15_one_person_cannot_shelve_a_red_and_is_told_why(room: DutyRoom, page: Page) -> None:
    room.say(4.8)
    page.wait_for_selector(".alarm.red")
    press(page, ".alarm.red", "搁置")
    page.locator("#dialog [name=comment]").fill("试一试")
    page.locator("#dialog [name=second_token]").fill("guess")
    page.locator("#dialog").get_by_role("button", name="搁置").click()
    expect(page.locator("#message")).to_contain_text("第二个令牌")
    expect(page.locator(".alarm.red.calls")).to_be_visible()


def test_a_press_on_what_has_moved_on_is_refused_aloud(room: DutyRoom, page: Page) -> None:
    room.say(4.8)
    page.wait_for_selector(".alarm.red")
    button = page.locator(".alarm.red [data-act=acknowledge]")
    button.evaluate("""node => node.setAttribute('hx-vals', '{"version": 99}')""")
    press(page, ".alarm.red", "确认")
    expect(page.locator("#message")).to_be_visible()
    expect(page.locator(".alarm.red.calls")).to_be_visible()


def test_a_press_in_the_moment_the_list_moves_does_nothing_but_say_so(room: DutyRoom, page: Page) -> None:
    room.say(1.5)
    page.wait_for_selector("#alarms:not(.moving) .alarm.yellow")
    page.locator("#alarms").evaluate("node => node.classList.add('moving')")
    page.locator(".alarm.yellow [data-act=acknowledge]").click()
    expect(page.locator("#message")).to_contain_text("列表有变动")
    expect(page.locator(".alarm.yellow.calls")).to_be_visible()
