"""What a backup says of itself. It is written last and taken away first: a folder without it is no backup."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from davylamp_wire.config import ConfigError
from pydantic import BaseModel, ConfigDict, ValidationError

NAME = "backup.json"


class Manifest(BaseModel):
    """When a backup was made, of what, and how long each of its files is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[1] = 1
    made_ms: int
    historian: str
    files: dict[str, int]

    @property
    def made(self) -> str:
        """Return when it was made, as a person reads it."""
        return datetime.fromtimestamp(self.made_ms / 1000, UTC).astimezone().isoformat(" ", "seconds")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what a backup says of itself, its files seen.

        Raises:
            ConfigError: The folder holds no backup, or not all of it.
        """
        try:
            found = cls.model_validate_json((folder / NAME).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                [f"{folder}: holds no complete backup ({NAME}: {error.strerror}); name the folder that "
                 "`davylamp-cloud backup` wrote"]
            ) from None  # fmt: skip
        except (ValidationError, UnicodeDecodeError):
            raise ConfigError(
                [f"{folder / NAME}: is damaged, or of a newer version; take another backup, or that version"]
            ) from None
        wrong = [name for name, size in found.files.items() if _size(folder / name) != size]
        if wrong:
            raise ConfigError(
                [f"{folder / name}: is not as long as {NAME} says; take another backup" for name in wrong]
            )
        return found

    def write(self, folder: Path) -> None:
        """Write it whole or not at all."""
        part = folder / f"{NAME}.part"
        part.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        part.replace(folder / NAME)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
