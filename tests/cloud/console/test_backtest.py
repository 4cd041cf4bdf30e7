"""The page of backtests: from what a person types to what would have been different, in the real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from davylamp_cloud.config import Role
from playwright.sync_api import Browser, Page, expect
from support.duty_room import DutyRoom, duty_room
from support.persons import signed_in, tokens_of
from support.speaker import Speaker, gas_point, limit

POINT = gas_point(limits={"L1": limit(1.0, deadband=0.1), "L2": limit(3.0)}, plant_tag="GT-101")
BEHIND_MS = 120_000
"""The worker has what others leave: on a busy machine that is little."""

WORDS = {
    "zh-CN": {
        "try": "用历史数据试算限值",
        "empty": "还没有回测",
        "start": "开始回测",
        "gone": "不再出现",
        "again": "修改后再试",
        "limits": "转到该位号的限值",
        "unverified": "预览并保存之前不会生效",
        "done": "已完成",
        "cancel": "取消",
        "cancelled": "已取消，没有结果",
    },
    "en": {
        "try": "Try limits on history",
        "empty": "No backtest yet",
        "start": "Start the backtest",
        "gone": "gone",
        "again": "Change it and try again",
        "limits": "To its limits",
        "unverified": "nothing is in force before it is previewed and saved",
        "done": "done",
        "cancel": "Cancel",
        "cancelled": "It was cancelled",
    },
}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[DutyRoom]:
    tokens = tokens_of(tmp_path, {"li": Role.ENGINEER, "wang": Role.OPERATOR, "qian": Role.VIEWER})
    with duty_room(tmp_path / "cloud", Speaker(points={"gas": POINT}), tokens=tokens) as found:
        for value in (0.2, 1.2, 1.6, 2.0, 0.3, 1.1, 0.2):
            found.say(value)
        yield found


def asked(room: DutyRoom, page: Page, value: str, tags: str = "GT-*") -> None:
    """Fill the form in and press its button."""
    page.goto(f"{room.url}/backtest")
    page.locator("[name=tags]").fill(tags)
    page.locator("[name=kind]").select_option("L1")
    page.locator("[name=value]").fill(value)
    page.locator("#backtest-form button.main").click()


@pytest.mark.parametrize(("locale", "width"), [("zh-CN", 390), ("en", 1920)])
def test_a_person_tries_a_limit_sees_what_changes_and_goes_on_to_the_tags_limits(
    room: DutyRoom, chromium: Browser, locale: str, width: int
) -> None:
    words = WORDS[locale]
    page = signed_in(room.url, chromium, "li", locale, width)
    with page.expect_popup() as opened:
        page.get_by_role("link", name=words["try"]).click()
    page = opened.value
    expect(page.locator(".none")).to_contain_text(words["empty"])
    page.locator("[name=tags]").fill("GT-*")
    expect(page.locator("#tags-meant")).to_contain_text("L1 1")
    asked(room, page, "1.5")
    page.wait_for_url("**/backtest/backtest-1")
    expect(page.locator(".state.done")).to_have_text(words["done"], timeout=BEHIND_MS)
    expect(page.locator(".moved .gone")).to_have_text(f"1 {words['gone']}")
    expect(page.locator(".card table")).to_contain_text("1 → 1.5")
    image = page.locator(".picture img")
    image.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.picture img').naturalWidth > 0")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than its screen"
    page.get_by_role("button", name=words["limits"]).click()
    expect(page.locator("#dialog")).to_contain_text(words["unverified"])
    assert page.locator("[name='L1.value']").input_value() == "1.5"
    assert page.locator("[name='L1.standard']").input_value() == ""
    page.locator("[data-close]").click()
    page.get_by_role("link", name=words["again"]).click()
    assert page.locator("[name=tags]").input_value() == "GT-*"
    assert page.locator("[name=value]").input_value() == "1.5"
    expect(page.locator(".runs")).to_contain_text("GT-*: L1 1.5")
    assert room.running.state.limits(0)["version"] == 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"tags": "LT-9*", "value": "1"}, "tags", "没有对应的位号"),
        ({"tags": "GT-*", "value": "abc"}, "value", "abc 不是数字"),
        ({"tags": "GT-*", "value": "8"}, "value", "高于 limits.L2"),
        ({"tags": "GT-*"}, "value", "请填写要试的限值"),
        ({"tags": ""}, "tags", "请填写位号"),
        ({"tags": "GT-*", "value": "2", "deadband": "-1"}, "deadband", "应不小于 0"),
        ({"tags": "", "rules": '["GT-*"]\nlimits.L1 ='}, "rules", "第 2 行"),
        ({"tags": "", "rules": '["GT-*"]\nlimits.L1.valu = 3'}, "rules", "不是已知的键"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_before_anything_runs(
    room: DutyRoom, fields: dict[str, str], field: str, says: str
) -> None:
    headers = {"authorization": "Bearer secret-of-wang", "accept-language": "zh-CN"}
    form = {"kind": "L1", "span": "1", **fields}
    with httpx.Client(base_url=room.url, headers=headers) as client:
        html = client.post("/console/backtests", data=form).text
        assert says in html.partition(f'id="wrong-{field}"')[2].partition("</span>")[0]
        assert client.get("/api/v1/backtests").json() == []


def test_s30_the_limits_open_with_what_was_tried_and_without_a_source_for_it(room: DutyRoom) -> None:
    with httpx.Client(base_url=room.url, headers={"authorization": "Bearer secret-of-li"}) as client:
        rules = {"GT-101": {"limits": {"L1": {"deadband": 0.2}, "HH": {"value": 9}}, "without": ["L2"]}}
        job = client.post("/api/v1/backtests", json={"rules": rules, "from_ms": 0, "to_ms": 1}).json()["id"]
        client.delete(f"/api/v1/backtests/{job}")
        html = client.get(f"/console/tags/0/limits?tried={job}").text
        assert client.get("/console/tags/0/limits?tried=backtest-9").status_code == 404
    shown = dict(re.findall(r'<input name="([^"]+)"[^>]* value="([^"]*)"', html))
    assert (shown["L1.value"], shown["L1.deadband"], shown["L1.standard"]) == ("1.0", "0.2", "GB/T 50493")
    assert shown["L2.value"] == ""
    assert (shown["new.value"], shown["new.standard"]) == ("9.0", "")
    assert '<option value="HH" selected>' in html


def test_a_backtest_that_runs_can_be_cancelled_and_another_waits_for_it(room: DutyRoom, chromium: Browser) -> None:
    page = signed_in(room.url, chromium, "wang")
    asked(room, page, "1.5")
    page.wait_for_url("**/backtest/backtest-1")
    page.locator("#cancel").click()
    expect(page.locator("#backtest")).to_contain_text(WORDS["zh-CN"]["cancelled"])
    expect(page.locator(".state")).to_have_class("state cancelled")


def test_who_may_not_backtest_sees_no_way_there_and_is_told(room: DutyRoom, chromium: Browser) -> None:
    page = signed_in(room.url, chromium, "qian")
    expect(page.get_by_role("link", name=WORDS["zh-CN"]["try"])).to_have_count(0)
    page.goto(f"{room.url}/backtest")
    expect(page.locator("main")).to_contain_text("backtest")
    expect(page.locator("form")).to_have_count(0)
