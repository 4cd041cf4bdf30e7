"""What the config says of the beacon (声光报警器): Davylamp's own lamp and horn, behind a relay module of its own.

The coils named here are the only ones Davylamp ever writes (SAFETY S28).
"""

from typing import Annotated, Literal, Self

from davylamp_wire.config import Section
from pydantic import Field, model_validator

LEVELS = ("blue", "yellow", "orange", "red")
"""The monitoring levels, lowest first; the number of each is its place, from 1."""

Bit = Annotated[int, Field(ge=0, le=65535)]
"""A coil or a discrete input, counted from 0 as it goes over the wire."""


class BeaconCoils(Section):
    """The coils of the relay module. Without a horn of its own, lamp and horn hang on the coil `lamp`."""

    lamp: Bit
    horn: Bit | None = None
    watchdog: Bit
    """Held closed while the engine is known to live."""

    @property
    def all(self) -> tuple[int, ...]:
        """Every coil, those that tell an alarm first."""
        horn = () if self.horn is None else (self.horn,)
        return (self.lamp, *horn, self.watchdog)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.all)) < len(self.all):
            raise ValueError("two outputs share a coil; give each its own (lamp and horn on one coil: leave horn out)")
        return self


class BeaconButtons(Section):
    """Push buttons on discrete inputs of the same module; closed while pressed."""

    test: Bit | None = None
    silence: Bit | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.test is not None and self.test == self.silence:
            raise ValueError("test and silence share an input; give each its own")
        return self


class BeaconSettings(Section):
    """The relay module, what hangs on it, and whose silence it tells of."""

    address: str = Field(min_length=1)
    unit: int = Field(default=1, ge=0, le=255)
    timeout_s: float = Field(default=1.0, gt=0, le=5)
    coils: BeaconCoils
    buttons: BeaconButtons = BeaconButtons()
    cloud: Literal["red", "none"] = "red"
    """Which alarms of the cloud alone are shown: the red ones of this edge's hazard sources, or none."""
    least: Literal["blue", "yellow", "orange", "red"] = "blue"
    """The least level of an alarm decided here that is shown."""
    engine: Literal["both", "local", "cloud"] = "both"
    """Which engine must be heard of for the watchdog contact to stay closed."""
    silent_s: float = Field(default=30.0, ge=10, le=60)
    """An engine that was not heard of for so long is silent (SAFETY S13, S28)."""

    @model_validator(mode="after")
    def _silenceable(self) -> Self:
        if self.buttons.silence is not None and self.coils.horn is None:
            raise ValueError("lamp and horn share a coil: nothing can be silenced; give coils.horn, or no such button")
        return self
