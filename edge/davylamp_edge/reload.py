"""Reads the config again while the edge runs: a good one is followed; a bad one is refused whole, the old one runs on.

What a new config may change is decided here; who follows it is the agent's business.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

import structlog
from davylamp_wire.config import ConfigError
from davylamp_wire.profile import Profile

from davylamp_edge.config import EdgeConfig

log = structlog.get_logger(__name__)

Load = Callable[[], tuple[EdgeConfig, Mapping[str, Profile]]]
"""Reads the config and the profiles from their files. Raises one `ConfigError` with every mistake."""

FIXED = ("node", "group", "journal.path", "journal.max_bytes", "status")
"""What record numbers, the journal's file and a listening port hang on: a running edge keeps it."""

OF_UPLINK = ("broker", "primary_host", "one_way", "repeats", "backlog_rate")
"""What the session with the broker hangs on."""


@dataclass(slots=True)
class Reloads:
    """How often a config was read again, and what is wrong with the one that lies there now."""

    taken: int = 0
    refused: int = 0
    mistakes: tuple[str, ...] = ()


class Reloader:
    """Reads the config when `asked`, and has `follow` do what it says; one after the other, never two at once."""

    def __init__(self, load: Load, follow: Callable[[EdgeConfig, Mapping[str, Profile]], Awaitable[None]]) -> None:
        self._load = load
        self._follow = follow
        self.asked = asyncio.Event()
        self.count = Reloads()

    async def run(self, stop: asyncio.Event) -> None:
        """Reload whenever asked, until `stop` is set."""
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen())
            await stop.wait()
            listening.cancel()

    async def _listen(self) -> None:
        while True:
            await self.asked.wait()
            self.asked.clear()
            await self._reload()

    async def _reload(self) -> None:
        try:
            config, profiles = await asyncio.to_thread(self._loaded)
            await self._follow(config, profiles)
        except ConfigError as error:
            self.count.refused += 1
            self.count.mistakes = tuple(error.mistakes)
            log.error("config refused, the old one runs on", mistakes=str(error))
        else:
            self.count.taken += 1
            self.count.mistakes = ()

    def _loaded(self) -> tuple[EdgeConfig, Mapping[str, Profile]]:
        """Read the config; one that nobody foresaw is refused like any other, and must not end what runs."""
        try:
            return self._load()
        except ConfigError:
            raise
        except Exception as error:
            log.exception("config cannot be read")
            raise ConfigError([f"the config cannot be read: {type(error).__name__}: {error}"]) from error


def fixed_mistakes(running: EdgeConfig, wanted: EdgeConfig) -> Iterator[str]:
    """Yield one line per key that only a restart can change."""
    for key in FIXED:
        has, asks = _at(running, key), _at(wanted, key)
        if has != asks:
            yield f"{key}: {_shown(asks)} needs a restart, the edge runs with {_shown(has)}; restart it or put it back"


def uplink_differs(running: EdgeConfig, wanted: EdgeConfig) -> bool:
    """Return whether the session with the broker must begin anew."""
    return any(_at(running, key) != _at(wanted, key) for key in OF_UPLINK)


def _at(config: EdgeConfig, key: str) -> object:
    value: object = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
