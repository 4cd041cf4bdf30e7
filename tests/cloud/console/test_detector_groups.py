"""A vote on the page, from two detectors at their limit to what decided it (SAFETY S18)."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from support.duty_room import duty_room
from support.speaker import Speaker, gas_point, group

POINTS = {
    **{f"gas_{n}": gas_point(zh=f"氯气{n}号", en=f"chlorine {n}") for n in (1, 2, 3)},
    "comm_ok": gas_point(kind="status", range=None, limits={}),
}


@pytest.mark.parametrize(
    ("locale", "words", "because"),
    [
        ("zh-CN", ("氯气探测器组", "表决：3 台中 2 台达到二级报警"), "条件成立：2 / 2"),
        ("en-GB", ("chlorine detectors", "VOTE: 2 of 3 at level 2"), "the condition is met: 2 / 2"),
    ],
)
def test_s18_a_vote_says_how_many_and_why(
    tmp_path: Path, chromium: Browser, locale: str, words: tuple[str, str], because: str
) -> None:
    leak = group("gas_1", "gas_2", "gas_3", limit="L2", need=2)
    with duty_room(tmp_path / "cloud", Speaker(points=POINTS, groups={"leak": leak})) as room:
        room.say(0.1, 0.1, 0.1, 1.0)
        room.say(5.0, 4.0, 0.1, 1.0)
        page = chromium.new_context(locale=locale).new_page()
        page.goto(room.url)
        page.wait_for_selector("#tags .tags")
        vote = page.locator(".alarm", has_text=words[0])
        for said in words:
            expect(vote).to_contain_text(said)
        vote.locator("button.ask").click()
        expect(page.locator("#dialog[open] .reason", has_text="VOTE").first).to_contain_text(because)
