"""Dataclasses made from kept code are what they are without, and what is new is compiled."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud import dataclass_code
from davylamp_cloud.dataclass_code import dataclass_code_kept


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep code beside a file of the test's own."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setattr(dataclass_code, "HERE", tmp_path / "dataclass_code.py")


def made(*names: str) -> type[Any]:
    """Return a frozen dataclass with some numbers; the first defaults to none of its own."""
    return dataclasses.make_dataclass("Made", [(name, int) for name in names], frozen=True, slots=True, order=True)


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("compiled again")


def test_what_was_compiled_once_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with dataclass_code_kept():
        before = made("place", "count")
    monkeypatch.setattr(dataclass_code, "compile", refuse, raising=False)
    with dataclass_code_kept():
        after = made("place", "count")
    assert repr(after(1, 2)) == repr(before(1, 2)) == "Made(place=1, count=2)"
    assert after(1, 2) == after(1, 2) != after(2, 1)
    assert after(1, 2) < after(2, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        after(1, 2).place = 3


def test_what_is_new_is_compiled_and_kept_with_what_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with dataclass_code_kept():
        made("place")
    with dataclass_code_kept():
        assert repr(made("place")(1)) == "Made(place=1)"
        assert repr(made("other")(5)) == "Made(other=5)"
    monkeypatch.setattr(dataclass_code, "compile", refuse, raising=False)
    with dataclass_code_kept():
        assert repr(made("other")(6)) == "Made(other=6)"


def test_code_of_another_python_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataclass_code, "MARK", "another")
    with dataclass_code_kept():
        made("place")
    monkeypatch.undo()
    with dataclass_code_kept():
        assert repr(made("place")(7)) == "Made(place=7)"


def test_outside_dataclasses_are_made_as_ever() -> None:
    with pytest.raises(ZeroDivisionError), dataclass_code_kept():
        raise ZeroDivisionError
    assert "exec" not in vars(dataclasses)
    assert repr(made("place")(8)) == "Made(place=8)"
