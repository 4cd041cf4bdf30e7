"""What the documents and the code point at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(p for p in ROOT.glob("*/README.md") if p.parent.name[0] != "."),
]
PACKAGES = ("wire", "alarms", "edge", "cloud", "simulators")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_page_the_code_names_exists(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        for named in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / named).exists(), f"{path.relative_to(ROOT)} names {named}"


@pytest.mark.parametrize("thing", ["profile", "protocol", "rule", "notifier", "historian"])
def test_each_thing_a_stranger_may_add_has_a_page(thing: str) -> None:
    text = (ROOT / "docs" / "how-to" / f"{thing}.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120, "it fits a page"


def test_decisions_are_numbered_without_a_gap_and_each_once() -> None:
    numbers = sorted(path.name[:4] for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert numbers == [f"{n:04}" for n in range(1, len(numbers) + 1)]
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        assert path.read_text(encoding="utf-8").startswith(f"# {path.name[:4]}: "), path.name


def test_every_decision_says_what_it_is_not() -> None:
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        text = path.read_text(encoding="utf-8").lower()
        assert "not" in text, path.name
        assert "**context" in text or "## context" in text, path.name
