"""Every rule of docs/safety.md that is built has at least one test named after it."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SAFETY = TESTS.parent / "docs" / "safety.md"

NOT_BUILT: dict[int, str] = {}
"""Rules whose feature does not exist yet, and with what it comes. A rule leaves this table when its code arrives."""


def rules() -> list[int]:
    return [int(number) for number in re.findall(r"^- \*\*S(\d+)", SAFETY.read_text(encoding="utf-8"), re.MULTILINE)]


def every_test() -> set[str]:
    found = (re.findall(r"def (test_s\d\d_\w+)", path.read_text(encoding="utf-8")) for path in TESTS.rglob("test_*.py"))
    return {name for names in found for name in names}


def rules_with_tests() -> set[int]:
    return {int(name[6:8]) for name in every_test()}


def named_by_the_page() -> dict[int, list[str]]:
    """Return the tests the page names for each rule."""
    rows = re.findall(r"^\| S(\d+) \| (.*?) \|", SAFETY.read_text(encoding="utf-8"), re.MULTILINE)
    return {int(number): re.findall(r"`(\w+)`", cell) for number, cell in rows}


def test_there_are_thirty_rules() -> None:
    assert rules() == list(range(1, 31))


@pytest.mark.parametrize("rule", [number for number in rules() if number not in NOT_BUILT])
def test_a_built_rule_has_a_test_named_after_it(rule: int) -> None:
    assert rule in rules_with_tests(), f"S{rule} has no test named test_s{rule:02d}_…"


def test_a_rule_with_tests_is_not_called_unbuilt() -> None:
    assert not set(NOT_BUILT) & rules_with_tests(), "a rule has tests now: take it out of NOT_BUILT"


def test_the_page_names_tests_of_every_rule() -> None:
    assert list(named_by_the_page()) == rules()


@pytest.mark.parametrize("rule", rules())
def test_the_tests_the_page_names_for_a_rule_are_there_and_its_own(rule: int) -> None:
    named = named_by_the_page()[rule]
    assert named, f"S{rule} names no test"
    for name in named:
        assert name in every_test(), f"{name} is gone"
        assert name.startswith(f"test_s{rule:02d}_"), f"{name} is of another rule"
