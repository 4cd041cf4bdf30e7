"""What is shown on the module and pressed there: writes what changed and each second everything, reads it back.

The writes of each second feed the module's own watchdog, which opens the contact where this process is no more.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from davylamp_edge.backoff import Backoff
from davylamp_edge.beacon.relay import ModuleDisobeys, ModuleLost, Relay
from davylamp_edge.beacon.states import Event
from davylamp_edge.beacon_settings import BeaconSettings

log = structlog.get_logger(__name__)

REFRESH_S = 1.0
"""How often every coil is written where nothing changes, and read back."""

BUTTONS_S = 0.2
"""How often the buttons are read."""


@dataclass(slots=True)
class Counts:
    """What happened on the way to the module. Only grows."""

    writes: int = 0
    losses: int = 0


class Panel:
    """The module under one config. Used by one task; times are the caller's clock's seconds."""

    def __init__(self, settings: BeaconSettings, polled: Collection[str], backoff: Backoff, counts: Counts) -> None:
        self.settings = settings
        self.well: bool | None = None
        """Whether the module does as it is told; None before the first try."""
        self.reason = ""
        self._relay = Relay(settings, polled)
        self._backoff = backoff
        self._counts = counts
        self._lost_s = 0.0
        self._refresh_s = self._buttons_s = 0.0
        self._wrong: list[str] = []
        self._written: dict[int, bool] = {}
        self._held: dict[Event, bool] = {}

    async def show(self, wanted: Mapping[int, bool], now_s: float) -> tuple[Event, ...]:
        """Have the coils be as wanted; return what was pressed since the last time."""
        if self._backoff.rests(now_s):
            return ()
        self._wrong.clear()
        try:
            pressed = await self._show(wanted, now_s)
        except ModuleLost as error:
            await self._relay.close()
            self._backoff.fail(now_s)
            self._find_lost(str(error), now_s)
            return ()
        self._backoff.succeed()
        if self._wrong:
            self._find_lost("; ".join(self._wrong), now_s)
        return pressed

    @property
    def polled(self) -> Collection[str]:
        """The addresses of Modbus devices, to none of which anything is written."""
        return self._relay.polled

    async def shun(self, polled: Collection[str]) -> None:
        """Write to none of these from now on; whether the module is one of them is seen as it is connected anew."""
        self._relay.polled = polled
        await self._relay.close()

    async def leave(self, last: Mapping[int, bool]) -> None:
        """Write the last words where the module still answers, and close the connection."""
        try:
            if self._relay.connected:
                await self._write(last)
        except ModuleLost as error:
            log.warning("beacon not put to rest", why=str(error))
        finally:
            await self._relay.close()

    async def _show(self, wanted: Mapping[int, bool], now_s: float) -> tuple[Event, ...]:
        if not self._relay.connected:
            await self._relay.connect()
            self._begin_anew()
        due = now_s >= self._refresh_s
        changed = {coil: value for coil, value in wanted.items() if self._written.get(coil) != value}
        await self._write({**changed, **wanted} if due else changed)
        pressed = await self._pressed(now_s)
        if due:
            await self._prove(wanted)
            self._refresh_s = now_s + REFRESH_S
            if not self._wrong:
                self._find_well(now_s)
        return pressed

    async def _write(self, wanted: Mapping[int, bool]) -> None:
        """Write each of these; one that is refused keeps no other from being shown."""
        for coil, value in wanted.items():
            with self._noting():
                self._written[coil] = value
                await self._relay.write(coil, value)
                self._counts.writes += 1

    async def _prove(self, wanted: Mapping[int, bool]) -> None:
        for coil, value in wanted.items():
            with self._noting():
                await self._relay.prove(coil, value)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note what the module does not do, and go on."""
        try:
            yield
        except ModuleDisobeys as error:
            self._wrong.append(str(error))

    async def _pressed(self, now_s: float) -> tuple[Event, ...]:
        """Return which buttons were pressed since the last look; one that is held, or stuck, was pressed once."""
        if now_s < self._buttons_s:
            return ()
        self._buttons_s = now_s + BUTTONS_S
        buttons = {Event.SILENCE: self.settings.buttons.silence, Event.TEST: self.settings.buttons.test}
        before, now = self._held, dict[Event, bool]()
        for event, at in buttons.items():
            if at is not None:
                with self._noting():
                    now[event] = await self._relay.pressed(at)
        self._held = now
        return tuple(event for event, is_held in now.items() if is_held and before.get(event) is False)

    def _begin_anew(self) -> None:
        """Forget what the module showed, and which buttons were up: it may have started anew."""
        self._written, self._held = {}, {}
        self._refresh_s = self._buttons_s = 0.0

    def _find_well(self, now_s: float) -> None:
        if self.well is False:
            log.info("beacon's module back", address=self.settings.address, lost_s=round(now_s - self._lost_s, 1))
        self.well, self.reason = True, ""

    def _find_lost(self, why: str, now_s: float) -> None:
        if self.well is not False:
            log.error("beacon's module lost", address=self.settings.address, why=why)
            self._counts.losses += 1
            self._lost_s = now_s
        self.well, self.reason = False, why
