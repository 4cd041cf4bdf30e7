"""A cloud's files, opened to look at while the cloud may run."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from davylamp_wire.config import ConfigError

from davylamp_cloud.log import Log
from davylamp_cloud.store.state import State


@contextmanager
def looking(data_dir: Path) -> Iterator[tuple[Log, State]]:
    """Give log and state of a cloud for the length of a with block.

    Raises:
        ConfigError: No cloud ran here.
    """
    for name in ("state.db", "log.db"):
        if not (data_dir / name).is_file():
            raise ConfigError([f"{data_dir / name}: is not there; name the config of a cloud that has run"])
    with (
        closing(State(data_dir / "state.db", looking=True)) as state,
        closing(Log(data_dir / "log.db", looking=True)) as log,
    ):
        yield log, state
