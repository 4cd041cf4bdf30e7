"""Limits and proposals on the page, from a person's click to the engine's answer (SAFETY S20, S30)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from davylamp_alarms.engine import Engine
from davylamp_cloud.config import Role
from playwright.sync_api import Browser, Page, expect
from support.duty_room import DutyRoom, duty_room
from support.persons import signed_in, tokens_of
from support.speaker import Speaker, gas_point, group, limit

ACTION = {"zh": "查看现场", "en": "look at the field"}
POINTS = {
    "L1": limit(1.0, deadband=0.1, action=ACTION),
    "L2": limit(3.0, deadband=0.3, action=ACTION),
}
WORDS = {
    "zh-CN": {"edit": "限值", "preview": "预览", "save": "按预览保存", "closed": "因本次修改关闭"},
    "en": {
        "edit": "Limits",
        "preview": "Preview",
        "save": "Save as previewed",
        "closed": "CLOSED by this change",
    },
}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[DutyRoom]:
    """A duty room whose L1 stands at 1.5 ppm."""
    tokens = tokens_of(tmp_path, {"li": Role.ENGINEER, "wang": Role.OPERATOR})
    edge = Speaker(points={"gas": gas_point(limits=POINTS)})
    with duty_room(tmp_path / "cloud", edge, tokens=tokens) as found:
        found.say(1.5)
        yield found


def edit(page: Page, value: str, words: dict[str, str]) -> None:
    """Open the tag's limits, type another L1 and preview it."""
    page.locator("#tags").get_by_role("button", name=f"{words['edit']}:").click()
    page.locator("[name='L1.value']").fill(value)
    page.get_by_role("button", name=words["preview"]).click()
    page.wait_for_selector("#edit-preview .hides")


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_s20_the_page_shows_what_an_edit_ends_before_two_persons_save_it(
    room: DutyRoom, chromium: Browser, locale: str
) -> None:
    words = WORDS[locale]
    page = signed_in(room.url, chromium, "li", locale)
    edit(page, "2", words)
    shown = page.locator("#edit-preview")
    expect(shown).to_contain_text("1 → 2")
    expect(shown).to_contain_text(words["closed"])
    expect(shown).to_contain_text("cl2-store-1")
    assert room.running.standing()["L1 live"]["limit"] == 1.0
    page.locator("#edit-preview [name=comment]").fill("yearly review")
    page.locator("#edit-preview [name=second_token]").fill("secret-of-wang")
    page.get_by_role("button", name=words["save"]).click()
    expect(page.locator("#dialog")).not_to_be_visible()
    assert "L1 closed A" in room.running.events()
    assert room.running.state.limits(0)["accepted_by"] == "li + wang"  # type: ignore[index]


def test_nothing_is_saved_that_was_not_previewed(room: DutyRoom, chromium: Browser) -> None:
    page = signed_in(room.url, chromium, "li")
    edit(page, "0.9", WORDS["zh-CN"])
    page.locator("[name='L1.value']").fill("0.2")
    page.locator("#edit-preview [name=comment]").fill("yearly review")
    page.get_by_role("button", name="按预览保存").click()
    expect(page.locator("#message-text")).to_contain_text("预览之后限值又有改动")
    assert room.running.state.limits(0)["version"] == 1  # type: ignore[index]


def test_a_mistake_is_named_in_the_preview_and_cannot_be_saved(room: DutyRoom, chromium: Browser) -> None:
    page = signed_in(room.url, chromium, "li")
    page.locator("#tags").get_by_role("button", name="限值:").click()
    page.locator("[name='L1.value']").fill("7")
    page.get_by_role("button", name="预览").click()
    expect(page.locator("#edit-preview [role=alert]")).to_contain_text("limits.L1")
    expect(page.get_by_role("button", name="按预览保存")).to_have_count(0)


@pytest.mark.parametrize(
    ("locale", "refused", "shown"),
    [("zh-CN", "0 会一直报警", "无上限可核对"), ("en", "0 always stands", "has no known ceiling")],
)
def test_the_linter_refuses_what_cannot_work_and_shows_what_is_odd_before_saving(
    room: DutyRoom, chromium: Browser, locale: str, refused: str, shown: str
) -> None:
    words = WORDS[locale]
    page = signed_in(room.url, chromium, "li", locale)
    edit(page, "0.9", words)
    expect(page.locator("form.limits > .odd")).to_contain_text(shown)
    expect(page.locator("#edit-preview .odd")).to_contain_text(shown)
    expect(page.get_by_role("button", name=words["save"])).to_have_count(1)
    page.locator("[name='L1.value']").fill("0")
    page.get_by_role("button", name=words["preview"], exact=True).click()
    expect(page.locator("#edit-preview [role=alert]")).to_contain_text(refused)
    expect(page.get_by_role("button", name=words["save"])).to_have_count(0)


def test_a_new_limit_says_whether_it_would_raise(room: DutyRoom, chromium: Browser) -> None:
    page = signed_in(room.url, chromium, "li")
    page.locator("#tags").get_by_role("button", name="限值:").click()
    page.get_by_text("新增限值").click()
    for name, value in {"value": "1.2", "standard": "GB/T 50493", "action_zh": "查看", "action_en": "look"}.items():
        page.locator(f"[name='new.{name}']").fill(value)
    page.locator("[name='new.kind']").select_option("H")
    page.get_by_role("button", name="预览").click()
    expect(page.locator("#edit-preview")).to_contain_text("立即报警：当前值已越限")
    page.locator("#edit-preview [name=comment]").fill("HAZOP action 12")
    page.get_by_role("button", name="按预览保存").click()
    expect(page.locator("#dialog")).not_to_be_visible()
    assert room.running.events()[-1] == "H raised B"


def test_s30_a_source_is_verified_by_a_person_who_says_what_they_read(room: DutyRoom, chromium: Browser) -> None:
    page = signed_in(room.url, chromium, "li")
    page.locator("#tags").get_by_role("button", name="限值:").click()
    expect(page.locator("#dialog")).to_contain_text("依据未核实")
    page.locator("[name=read]").first.fill("GB/T 50493-2019 第 5.5 条")
    page.get_by_role("button", name="我已查阅依据：核实").first.click()
    expect(page.locator("#dialog")).not_to_be_visible()
    page.locator("#tags").get_by_role("button", name="限值:").click()
    expect(page.locator("#dialog")).to_contain_text("已由 li 核实")


def test_a_proposal_waits_on_the_page_until_it_is_decided(room: DutyRoom, chromium: Browser) -> None:
    room.edge.points = {"gas": gas_point(limits={**POINTS, "L1": limit(0.8, deadband=0.1, action=ACTION)})}
    room.edge.now_ms += 1
    room.running.hear(*room.edge.birth())
    room.running.settle()
    page = signed_in(room.url, chromium, "li")
    page.locator("#proposals").get_by_role("button", name="查看").click()
    expect(page.locator("#dialog")).to_contain_text("1 → 0.8")
    page.locator("#dialog [name=comment]").fill("maker's figure")
    page.get_by_role("button", name="接受").click()
    expect(page.locator("#dialog")).not_to_be_visible()
    expect(page.locator("#proposals")).to_contain_text("没有待定的变更建议")
    assert room.running.state.limits(0)["settings"]["limits"]["L1"]["value"] == 0.8  # type: ignore[index]


def test_other_training_of_a_rule_is_shown_by_its_file(room: DutyRoom, chromium: Browser) -> None:
    for clause, mean in (("SHA-256 3f2a90c1", 0.5), ("SHA-256 77b0d1e2", 0.6)):
        source = {"standard": "training", "clause": clause, "basis": "proposal"}
        settings = {"tau_s": 60, "mean": mean, "deviation": 0.1, "limit": 3}
        rule = {"settings": settings, "action": ACTION, "source": source}
        room.edge.points = {"gas": gas_point(), "more": gas_point(warnings={"ewma": rule})}
        room.edge.now_ms += 1
        room.running.hear(*room.edge.birth())
        room.running.settle()
    page = signed_in(room.url, chromium, "li")
    page.locator("#proposals").get_by_role("button", name="查看").last.click()
    expect(page.locator("#dialog")).to_contain_text(
        "ewma 的依据: training SHA-256 3f2a90c1 → training SHA-256 77b0d1e2"
    )


def test_another_group_of_detectors_is_shown_as_it_votes_before_and_after(room: DutyRoom, chromium: Browser) -> None:
    room.edge.points = {"gas": gas_point(), "comm_ok": gas_point(kind="status", range=None, limits={})}
    for groups in ({}, {"leak": group("gas", "other", limit="L2", need=2, blind_at=1)}):
        room.edge.groups = groups
        room.edge.now_ms += 1
        room.running.hear(*room.edge.birth())
        room.running.settle()
    page = signed_in(room.url, chromium, "li")
    page.locator("#proposals").get_by_role("button", name="查看").last.click()
    said = "探测器组 leak: 无 → L2：2 台中 2 台表决报警，1 台失效即失去监视 (gas, other)"
    expect(page.locator("#dialog")).to_contain_text(said)
    page.locator("#dialog [name=comment]").fill("profile 2")
    page.get_by_role("button", name="接受").click()
    expect(page.locator("#dialog")).not_to_be_visible()
    assert list(room.running.monitor.look(Engine.groups)) == ["park/edge-1/store/leak"]


def test_who_may_not_edit_sees_no_button_for_it(room: DutyRoom, chromium: Browser) -> None:
    page = signed_in(room.url, chromium, "wang")
    expect(page.locator("#tags").get_by_role("button", name="限值:")).to_have_count(0)


@pytest.mark.parametrize(("locale", "said"), [("zh-CN", "由边缘站判定"), ("en", "Decided at its edge")])
def test_limits_that_the_edge_decides_are_shown_and_not_edited(
    tmp_path: Path, chromium: Browser, locale: str, said: str
) -> None:
    tokens = tokens_of(tmp_path, {"li": Role.ENGINEER})
    edge = Speaker(points={"gas": gas_point(limits=POINTS, local=True)})
    with duty_room(tmp_path / "cloud", edge, tokens=tokens) as room:
        page = signed_in(room.url, chromium, "li", locale)
        page.locator("#tags").get_by_role("button", name=f"{WORDS[locale]['edit']}:").click()
        expect(page.locator("form.limits")).to_contain_text(said)
        expect(page.get_by_role("button", name=WORDS[locale]["preview"])).to_have_count(0)
        page.context.close()
