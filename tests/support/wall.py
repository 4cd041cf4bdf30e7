"""A wall clock for one process, moved by libfaketime; every other clock of it stays as it is."""

from pathlib import Path

SLEEP = """import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds)
"""
"""libfaketime 0.9.10 refuses the absolute clock_nanosleep by which Python 3.11 sleeps."""


class Wall:
    """The wall clock of a process, apart from ours by so many seconds."""

    def __init__(self, folder: Path) -> None:
        self._file, self._site = folder / "wall", folder / "site"
        self._site.mkdir()
        (self._site / "sitecustomize.py").write_text(SLEEP)
        self.set(0)

    def set(self, apart_s: int) -> None:
        """Set it, at once and whole."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{apart_s:+d}")
        fresh.replace(self._file)

    def environment(self) -> dict[str, str]:
        """Return what a process needs to live by this clock."""
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        return {
            "PYTHONPATH": str(self._site),
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
