"""A plant file: which devices there are, on which ports, and what happens to them.

`simulators/example.toml` shows every key. Relative paths start at the file's own folder.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from davylamp_wire.config import ConfigError, Section, parse, read_toml
from davylamp_wire.profile import Profile, load_profiles, shipped_profiles
from pydantic import Field, model_validator

from davylamp_simulators.process import PROCESSES
from davylamp_simulators.recording import Recording, load_recording
from davylamp_simulators.scenario import CALM, Scenario, Slug, load_scenario

Found = TypeVar("Found")


class DeviceConfig(Section):
    """One simulated device: what it is like inside (a process or a recording), and where it listens."""

    name: Slug
    profile: Slug
    protocol: Literal["modbus", "opcua"]
    process: str | None = None
    recording: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)
    unit: int = Field(default=1, ge=0, le=255)

    @model_validator(mode="after")
    def _one_inside(self) -> Self:
        if (self.process is None) == (self.recording is None):
            raise ValueError("give either process or recording")
        return self


class PlantConfig(Section):
    """Everything `davylamp-sim run FILE` reads."""

    seed: int = 1
    speed: float = Field(default=1.0, gt=0, le=10_000)
    """Simulated seconds a second."""
    scenario: str | None = None
    start: Literal["at-once", "first-read"] = "at-once"
    """When the plant's clock starts; `first-read` waits until every device has been read."""
    ledger: Path | None = None
    endpoints: Path | None = None
    """Where to write the ports once all listen, as JSON: ``{"device": 5020}``."""
    profiles: Path | None = None
    devices: tuple[DeviceConfig, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Plant:
    """A plant file with everything it names, read and checked."""

    config: PlantConfig
    profiles: dict[str, Profile]
    scenario: Scenario
    recordings: dict[str, Recording]
    """By device."""


def load_plant(path: Path) -> Plant:
    """Return a plant file, read and checked whole. Raises: one ConfigError with every mistake."""
    return make_plant(read_toml(path), path)


def make_plant(table: dict[str, Any], origin: Path) -> Plant:
    """Return a plant from a table that came from `origin`. Raises: one ConfigError with every mistake."""
    config = parse(PlantConfig, table, origin)
    config = _rooted(config, origin.parent)
    mistakes: list[str] = []
    profiles = _try(mistakes, lambda: _profiles(config)) or {}
    scenario = _try(mistakes, lambda: _scenario(config, origin.parent)) or CALM
    recordings = {}
    for device in config.devices:
        name = device.recording
        found = _try(mistakes, lambda name=name: load_recording(name, origin.parent)) if name else None  # type: ignore[misc]  # mypy cannot type a lambda's default
        if found:
            recordings[device.name] = found
    mistakes += [f"{origin}: {line}" for line in _mistakes(config, profiles, scenario)]
    if mistakes:
        raise ConfigError(mistakes)
    return Plant(config, profiles, scenario, recordings)


def _try(mistakes: list[str], load: Callable[[], Found]) -> Found | None:
    try:
        return load()
    except ConfigError as error:
        mistakes.extend(error.mistakes)
        return None


def _rooted(config: PlantConfig, folder: Path) -> PlantConfig:
    given = {key: getattr(config, key) for key in ("ledger", "endpoints", "profiles")}
    return config.model_copy(update={key: folder / path for key, path in given.items() if path is not None})


def _profiles(config: PlantConfig) -> dict[str, Profile]:
    folders = [shipped_profiles()]
    if config.profiles is not None:
        if not config.profiles.is_dir():
            raise ConfigError([f"profiles: {config.profiles} is not a folder"])
        folders.append(config.profiles)
    return load_profiles(*folders)


def _scenario(config: PlantConfig, folder: Path) -> Scenario:
    return load_scenario(config.scenario, folder) if config.scenario else CALM


def _mistakes(config: PlantConfig, profiles: dict[str, Profile], scenario: Scenario) -> Iterator[str]:
    names = [device.name for device in config.devices]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"devices.{name}: two devices have this name; each needs its own"
    for action in scenario.actions:
        if action.device not in names:
            yield f"scenario {scenario.name}, at {action.at_s:g} s: there is no device {action.device!r}"
    for device in config.devices:
        if device.profile not in profiles:
            yield f"devices.{device.name}.profile: there is no profile {device.profile!r}"
        if device.process is not None and device.process not in PROCESSES:
            known = ", ".join(sorted(PROCESSES))
            yield f"devices.{device.name}.process: there is no process {device.process!r}; known are {known}"
