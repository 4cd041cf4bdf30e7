"""The note a restored backup leaves in the folder: the next start tells persons and receivers, and takes it away."""

from pathlib import Path

NAME = "restored"


def note_restored(folder: Path, made: str) -> None:
    """Note that the folder is what a backup had in it, and when that was made."""
    (folder / NAME).write_text(made, encoding="utf-8")


def restored_in(folder: Path) -> str | None:
    """Return when the backup was made that the folder was restored from; None where that was told, or is not so."""
    path = folder / NAME
    return path.read_text(encoding="utf-8") if path.is_file() else None


def told_restored(folder: Path) -> None:
    """Take the note away: it is in the log."""
    (folder / NAME).unlink(missing_ok=True)
