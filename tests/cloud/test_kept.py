"""What was compiled is kept for what it was made from, and never in the way."""

import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from davylamp_cloud.kept import keep, kept


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file beside which bytecode may be written."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return tmp_path / "page.html"


def test_what_was_kept_is_there_for_the_same_mark_alone(source: Path) -> None:
    assert kept(source, "one") is None
    keep(source, "one", b"compiled")
    assert kept(source, "one") == b"compiled"
    assert kept(source, "other") is None


def test_what_is_damaged_is_not_there(source: Path) -> None:
    keep(source, "one", b"compiled")
    (place,) = Path(cache_from_source(str(source))).parent.iterdir()
    place.write_bytes(place.read_bytes()[:-1])
    assert kept(source, "one") is None
    place.write_bytes(b"")
    assert kept(source, "one") is None


def test_where_nothing_can_be_written_nothing_is_kept(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source.parent / "__pycache__").write_text("a file where the folder would be")
    keep(source, "one", b"compiled")
    assert kept(source, "one") is None
    (source.parent / "__pycache__").unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    keep(source, "one", b"compiled")
    assert list(source.parent.iterdir()) == []
