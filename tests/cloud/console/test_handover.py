"""The hand-over in a real browser, on the real engine: masks, instruments out of service, what the park reviews."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from davylamp_cloud.config import MaskConfig, Role, SiteConfig
from davylamp_wire.point import Point
from davylamp_wire.quality import GOOD, Reason, bad
from playwright.sync_api import Browser, Page, expect
from support.duty_room import DutyRoom, duty_room
from support.persons import signed_in, tokens_of
from support.speaker import Speaker, gas_point

GAS, PEOPLE, KEY = (f"park/edge-1/store/{name}" for name in ("gas", "people", "key"))
ALONE = SiteConfig(name="park", zh="园区", en="park", groups=("park",), one_person=True)
WASHING = MaskConfig(
    name="washing", zh="氯气库冲洗", en="chlorine store, washing", hazard_source="cl2-store",
    alarms=(f"{GAS}#L1", "park/edge-9/new/gas#L1"), people=PEOPLE, input=KEY, responsible="李雷",
)  # fmt: skip

Opens = Callable[..., Page]


def status(zh: str, en: str) -> Point:
    return Point.model_validate({"zh": zh, "en": en, "unit": "", "kind": "status", "type": "float64"})


@pytest.fixture
def room(tmp_path: Path) -> Iterator[DutyRoom]:
    """A store where one person is on duty, with a mask; nobody is inside, its key is on."""
    points = {"gas": gas_point(), "people": status("室内人数", "people inside"), "key": status("屏蔽钥匙", "mask key")}
    roles = {"zhang-wei": Role.OPERATOR, "wang-fang": Role.ENGINEER, "bureau": Role.REGULATOR}
    tokens = tokens_of(tmp_path, roles)
    with duty_room(tmp_path / "cloud", Speaker(points=points), tokens, site=ALONE, masks=(WASHING,)) as found:
        found.say(0.2, 0, 1)
        yield found


@pytest.fixture
def sign_in(room: DutyRoom, chromium: Browser) -> Opens:
    """Open the console as a person."""

    def open_(name: str, locale: str = "zh-CN", width: int = 1920, height: int = 1080) -> Page:
        page = signed_in(room.url, chromium, name, locale, width, height)
        room.tick()
        page.wait_for_selector("#pulse:not(.waiting)")
        return page

    return open_


def test_s17_a_mask_shows_what_it_hides_is_opened_and_closed(room: DutyRoom, sign_in: Opens) -> None:
    page = sign_in("zhang-wei")
    handover = page.locator("#handover")
    expect(handover).to_contain_text("氯气库冲洗")
    expect(handover).to_contain_text("其中 1 条报警本系统尚无")
    handover.get_by_role("button", name="开启屏蔽").click()
    dialog = page.locator("#dialog[open]")
    for words in ("责任人：李雷", "✕ 氯气浓度 · 一级 L1", "park/edge-9/new/gas#L1", "✓ 氯气浓度 · 二级 L2"):
        expect(dialog).to_contain_text(words)
    dialog.locator("[name=comment]").fill("冲洗地面")
    dialog.get_by_role("button", name="开启屏蔽").click()
    expect(handover).to_contain_text("已开启：zhang-wei")
    room.say(4.8, 0, 1)
    expect(page.locator("#hidden-alarms")).to_contain_text("设计抑制")
    expect(page.locator(".alarm.red.calls")).to_be_visible()
    handover.get_by_role("button", name="结束屏蔽").click()
    expect(page.locator(".alarm.yellow.calls")).to_be_visible()


def test_s17_a_mask_that_cannot_be_opened_says_why_and_has_no_button(room: DutyRoom, sign_in: Opens) -> None:
    room.say(0.2, 2, 1)
    page = sign_in("zhang-wei", "en-GB")
    page.locator("#handover").get_by_role("button", name="Open mask").click()
    dialog = page.locator("#dialog[open]")
    expect(dialog).to_contain_text("somebody may be inside")
    expect(dialog.get_by_role("button")).to_have_count(1)


def test_s09_what_the_plant_bypasses_is_seen(room: DutyRoom, sign_in: Opens) -> None:
    room.running.hear(room.edge.data([None, 0, 1], quality=[bad(Reason.CALIBRATION), GOOD, GOOD]))
    room.running.settle()
    page = sign_in("zhang-wei")
    expect(page.locator("#handover")).to_contain_text("现场已旁路")
    expect(page.locator("#handover .unsure", has_text="标定")).to_be_visible()


def test_s19_an_instrument_goes_out_under_a_permit_and_returns_only_with_its_range(
    room: DutyRoom, sign_in: Opens
) -> None:
    page = sign_in("zhang-wei")
    page.get_by_role("button", name="停用: 氯气浓度").click()
    dialog = page.locator("#dialog[open]")
    expect(dialog).to_contain_text("✕ 氯气浓度 · 二级 L2")
    dialog.locator("[name=second_token]").fill("secret-of-wang-fang")
    dialog.locator("[name=permit]").fill("HW-17")
    dialog.locator("[name=comment]").fill("年度标定")
    dialog.get_by_role("button", name="停用").click()
    handover = page.locator("#handover")
    expect(handover).to_contain_text("作业票 HW-17，zhang-wei + wang-fang")
    handover.get_by_role("button", name="恢复").click()
    expect(dialog).to_contain_text("登记量程：0 至 10 ppm")
    dialog.locator("[name=low]").fill("0")
    dialog.locator("[name=high]").fill("20")
    dialog.get_by_role("button", name="恢复投用").click()
    expect(page.locator("#message")).to_contain_text("0..20")
    dialog.locator("[name=high]").fill("10")
    dialog.get_by_role("button", name="恢复投用").click()
    expect(page.locator("#dialog")).to_be_hidden()
    expect(handover).not_to_contain_text("HW-17")


def test_s15_one_person_alone_breaks_the_glass_and_the_park_reviews_it(room: DutyRoom, sign_in: Opens) -> None:
    room.say(4.8, 0, 1)
    page = sign_in("zhang-wei")
    page.wait_for_selector("#alarms:not(.moving) .alarm.red")
    page.locator(".alarm.red").get_by_role("button", name="搁置").click()
    dialog = page.locator("#dialog[open]")
    dialog.locator("[name=break_glass]").check()
    dialog.locator("[name=comment]").fill("夜间单人值守，探头被水淹没")
    dialog.get_by_role("button", name="搁置").click()
    expect(page.locator("#handover")).to_contain_text("单人应急操作，待审查")
    expect(page.locator("#handover").get_by_role("button", name="审查")).to_have_count(0)
    park = sign_in("bureau", "en-GB")
    handover = park.locator("#handover")
    expect(handover).to_contain_text("zhang-wei shelved")
    handover.get_by_role("button", name="Review").click()
    dialog = park.locator("#dialog[open]")
    dialog.locator("[name=comment]").fill("agreed, detector replaced")
    dialog.get_by_role("button", name="Review").click()
    expect(handover).not_to_contain_text("Done by one person alone")


def test_s15_a_form_that_lacks_something_names_it(sign_in: Opens) -> None:
    page = sign_in("zhang-wei", "en-GB")
    page.get_by_role("button", name="Take out of service: chlorine").click()
    dialog = page.locator("#dialog[open]")
    dialog.locator("form").evaluate("form => form.noValidate = true")
    dialog.get_by_role("button", name="Take out of service").click()
    expect(page.locator("#message")).to_contain_text("permit number, reason")
