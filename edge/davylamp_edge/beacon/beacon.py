"""The beacon's task: looks ten times a second at what stands and which engine is silent, and has the panel show it.

A module that does not answer is a fault one can see, and no reason to stop; nor is a mistake of our own.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from davylamp_edge.backoff import Backoff, Jitter
from davylamp_edge.beacon.hearing import Heard, heard
from davylamp_edge.beacon.lit import lit
from davylamp_edge.beacon.panel import Counts, Panel
from davylamp_edge.beacon.states import TABLE, Event, Seen, Signal, State, at_rest, closed, step
from davylamp_edge.beacon_settings import BeaconSettings
from davylamp_edge.standing import EngineWord, LocalAlarms

log = structlog.get_logger(__name__)

LOOK_S = 0.1
IDLE_S = 1.0
"""How often to see whether a new config has a beacon."""

LONGEST_REST_S = 5.0
"""The longest rest between two tries to reach the module, before the jitter."""


@dataclass(frozen=True, slots=True)
class BeaconStatus:
    """How the beacon is doing, for the status page."""

    state: State
    shown: dict[str, bool]
    """Lamp, horn and watchdog contact, as the module is to show them."""
    silent: tuple[str, ...]
    """Engines that are silent."""
    standing: int
    well: bool | None
    """Whether the module does as it is told; None before the first try."""
    reason: str
    writes: int
    losses: int


class Beacon:
    """The beacon of one edge, if the config has one. All of it lives in the agent's loop."""

    def __init__(
        self,
        settings: BeaconSettings | None,
        alarms: LocalAlarms | None,
        word: EngineWord,
        *,
        polled: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
        jitter: Jitter = random.random,
    ) -> None:
        self._settings = settings
        self._polled = polled
        self._alarms = alarms
        self._word = word
        self._clock = clock
        self._jitter = jitter
        self._signal = Signal()
        self._panel: Panel | None = None
        self._counts = Counts()
        self._began_s = 0.0
        self._heard = Heard((), lives=False)
        self._failing = False
        self.steps = 0
        """Grows with every turn."""

    def become(self, settings: BeaconSettings | None, polled: Collection[str] = ()) -> None:
        """Do as another config says from the next turn on; what was silenced stays so."""
        self._settings, self._polled = settings, polled

    def hear(self, alarms: LocalAlarms | None) -> None:
        """Show these alarms from the next turn on."""
        self._alarms = alarms

    def press(self, event: Event) -> bool:
        """Test or silence; return whether that changes anything."""
        if not self.can(event):
            return False
        self._look(event)
        return True

    @property
    def is_configured(self) -> bool:
        """Whether the config has a beacon."""
        return self._settings is not None

    def can(self, event: Event) -> bool:
        """Return whether a test or a silence would change anything now."""
        if self._settings is None or (event is Event.SILENCE and self._settings.coils.horn is None):
            return False
        return event in TABLE[self._signal.state]

    async def run(self, stop: asyncio.Event) -> None:
        """Show what stands until `stop` is set; then open the watchdog contact."""
        try:
            while not stop.is_set():
                await self._turn_unharmed()
                try:
                    await asyncio.wait_for(stop.wait(), IDLE_S if self._panel is None else LOOK_S)
                except TimeoutError:
                    continue
        finally:
            await self._leave()

    async def turn(self) -> None:
        """Look at everything once, and have the module show it."""
        if self._panel is None or self._panel.settings != self._settings:
            await self._set_up()
        elif self._panel.polled != self._polled:
            await self._panel.shun(self._polled)
        if self._panel is not None:
            self._look()
            for event in await self._panel.show(self._wanted(self._panel.settings), self._clock()):
                self.press(event)

    def status(self) -> BeaconStatus | None:
        """Return how it is doing; None where no beacon is configured."""
        settings, panel = self._settings, self._panel
        if settings is None:
            return None
        coils, wanted = settings.coils, self._wanted(settings)
        horn = coils.lamp if coils.horn is None else coils.horn
        well, reason = (None, "") if panel is None else (panel.well, panel.reason)
        return BeaconStatus(
            state=self._signal.state,
            shown={"lamp": wanted[coils.lamp], "horn": wanted[horn], "watchdog": wanted[coils.watchdog]},
            silent=self._heard.silent,
            standing=len(self._signal.heard),
            well=False if self._failing else well,
            reason="an error of the agent's own, which its log has" if self._failing else reason,
            writes=self._counts.writes,
            losses=self._counts.losses,
        )

    async def _turn_unharmed(self) -> None:
        """Take a turn; an error nobody foresaw is said once, and the contact of a beacon that fails is opened."""
        try:
            await self.turn()
            self._failing = False
        except Exception:
            if not self._failing:
                log.exception("the beacon failed, trying on")
            self._failing = True
            await self._leave()
        self.steps += 1

    async def _set_up(self) -> None:
        """Leave the module of the config before, and begin with the one of this."""
        await self._leave()
        settings = self._settings
        if settings is None or settings.coils.horn is None:
            self._signal = Signal()  # nothing can be silenced there: what stands sounds
        if settings is not None:
            self._began_s = self._clock()
            self._panel = Panel(settings, self._polled, self._backoff(), self._counts)

    def _backoff(self) -> Backoff:
        return Backoff(self._jitter, longest_s=LONGEST_REST_S)

    async def _leave(self) -> None:
        panel, self._panel = self._panel, None
        if panel is not None:
            await panel.leave(at_rest(panel.settings.coils, self._signal.state))

    def _wanted(self, settings: BeaconSettings) -> dict[int, bool]:
        return closed(settings.coils, self._signal.state, lives=self._heard.lives, now_s=self._clock())

    def _look(self, *pressed: Event) -> None:
        now_s, settings = self._clock(), self._settings
        if settings is None:
            return
        self._hear(heard(self._moved(settings), self._began_s, now_s, settings.silent_s))
        standing = lit(settings, self._alarms, self._word)
        before = self._signal.state
        self._signal = step(self._signal, Seen(standing, bool(self._heard.silent), pressed), now_s)
        if self._signal.state is not before:
            log.info("beacon", state=self._signal.state.value, was=before.value, standing=len(standing))

    def _hear(self, now: Heard) -> None:
        silent, self._heard = self._heard.silent, now
        if now.silent and now.silent != silent:
            log.error("engine silent, the beacon says so", engines=" ".join(now.silent))
        elif silent and not now.silent:
            log.info("engine heard again", engines=" ".join(silent))

    def _moved(self, settings: BeaconSettings) -> dict[str, float | None]:
        """Return when each engine last moved that this beacon answers for."""
        moved: dict[str, float | None] = {}
        if settings.engine != "local":
            moved["cloud"] = self._word.moved_s
        if settings.engine == "local" or (settings.engine == "both" and self._alarms is not None):
            moved["local"] = None if self._alarms is None else self._alarms.stepped_s()
        return moved
