"""A small file beside the journal that says "numbers are being given in memory" while the disk refuses the journal.

It is as long as it will ever be from the start, and is overwritten in place, which a full disk still allows. A crash
that finds it set skips far enough ahead that no number is given twice: the cloud would drop the second as a duplicate.
"""

import os
from pathlib import Path

LENGTH = 32
CLEAR = b"clear".ljust(LENGTH)


class Mark:
    """The first number that was given without a disk, or nothing."""

    def __init__(self, journal: Path) -> None:
        self._path = Path(f"{journal}.mark")

    def read(self) -> int | None:
        """Return the first number given in memory before a crash; None where there was none."""
        try:
            text = self._path.read_bytes().strip()
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() else None

    def clear(self) -> None:
        """Say that every number given is on disk."""
        self._write(CLEAR)

    def set(self, number: int) -> bool:
        """Say that numbers from here on are given in memory; return False where even this cannot be written."""
        try:
            self._write(str(number).encode().ljust(LENGTH))
        except OSError:
            return False
        return True

    def _write(self, content: bytes) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o640)
        try:
            os.pwrite(file, content, 0)
            os.fdatasync(file)
        finally:
            os.close(file)
