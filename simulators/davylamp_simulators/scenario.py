"""Scenarios: what goes wrong in a simulated plant, and when. Data only, discovered and never registered.

A scenario is one small TOML file, ``scenarios/<name>.toml``. Its actions move levers of a process, put instruments
into a condition, or change the line to a device. Times are simulated seconds since the plant's clock started.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from davylamp_wire.config import SLUG, ConfigError, Section, parse, read_toml
from davylamp_wire.point import Text
from pydantic import Field, StringConstraints, model_validator

from davylamp_simulators.sample import Condition

Slug = Annotated[str, StringConstraints(pattern=SLUG)]
SHIPPED = Path(__file__).parent / "scenarios"


class LineMode(StrEnum):
    """How a device answers on its socket."""

    OK = "ok"
    SLOW = "slow"
    """Every answer comes `delay_s` late, one after the other."""
    DEAD = "dead"
    """Connections stay open, and nothing is ever answered."""
    DOWN = "down"
    """Connections are closed, and new ones too."""
    FLAPPING = "flapping"
    """Down and ok in turn, `period_s` each."""


class LineState(Section):
    """The line to a device."""

    mode: LineMode = LineMode.OK
    delay_s: float = Field(default=3.0, gt=0)
    period_s: float = Field(default=5.0, gt=0)


class Action(Section):
    """One thing that happens at one time; `says` is told to whoever watches the demo."""

    at_s: float = Field(ge=0)
    device: Slug
    set: dict[str, float] = Field(default_factory=dict)
    point: Slug | None = None
    condition: Condition | None = None
    line: LineState | None = None
    says: Text | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if (self.point is None) != (self.condition is None):
            raise ValueError("point and condition belong together; give both or neither")
        if not self.set and self.point is None and self.line is None and self.says is None:
            raise ValueError("does nothing; give set, point with condition, line, or says")
        return self


class Scenario(Section):
    """A story with a name."""

    name: Slug
    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
    speed: float = Field(default=1.0, gt=0, le=10_000)
    """Simulated seconds per second; multiplied with the plant's own."""
    actions: tuple[Action, ...] = ()
    points: dict[Slug, dict[Slug, dict[str, Any]]] = Field(default_factory=dict)
    """What the demo's edges say otherwise of a device's points, for a story that runs faster than life."""

    def of(self, device: str) -> tuple[Action, ...]:
        """Return one device's actions, in order of time."""
        return tuple(sorted((a for a in self.actions if a.device == device), key=lambda action: action.at_s))


CALM = Scenario(name="calm", zh="一切正常", en="nothing happens")


def scenario_names(folder: Path = SHIPPED) -> list[str]:
    """Return the names of every scenario in a folder."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def load_scenario(name: str, base: Path | None = None) -> Scenario:
    """Return a shipped scenario by name, or one in a file by its path (below `base`). Raises: ConfigError."""
    path = (base or Path()) / name if name.endswith(".toml") else SHIPPED / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(scenario_names())
        raise ConfigError([f"scenario: there is no {name!r}; name a file ending in .toml, or one of {known}"])
    return parse(Scenario, {"name": path.stem, **read_toml(path)}, path)
