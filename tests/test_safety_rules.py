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


def rules_with_tests() -> set[int]:
    names = (name for path in TESTS.rglob("test_*.py") for name in re.findall(r"def test_s(\d\d)_", path.read_text()))
    return {int(number) for number in names}


def test_there_are_thirty_rules() -> None:
    assert rules() == list(range(1, 31))


@pytest.mark.parametrize("rule", [number for number in rules() if number not in NOT_BUILT])
def test_a_built_rule_has_a_test_named_after_it(rule: int) -> None:
    assert rule in rules_with_tests(), f"S{rule} has no test named test_s{rule:02d}_…"


def test_a_rule_with_tests_is_not_called_unbuilt() -> None:
    assert not set(NOT_BUILT) & rules_with_tests(), "a rule has tests now: take it out of NOT_BUILT"
