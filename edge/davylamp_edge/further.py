"""What else is wrong in a config that has mistakes already: too full lines, and settings that rules do not take.

Those are asked of devices as they are read. So they are asked here of what is right in itself: of each point that fits
its profile, and of the lines of devices without any mistake.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from davylamp_wire.config import ConfigError, read_toml
from davylamp_wire.point import Point
from davylamp_wire.profile import Profile
from pydantic import ValidationError

from davylamp_edge.check import device_mistakes, merged_point, profiles_of, rooted, settings_of
from davylamp_edge.config import DeviceConfig
from davylamp_edge.install import Installed, install_device
from davylamp_edge.models import Models, models_of
from davylamp_edge.rule_settings import setting_mistakes
from davylamp_edge.summary import unworkable_lines


def further_mistakes(path: Path) -> list[str]:
    """Return what would be refused of a config once it were read, as far as it can be seen now."""
    try:
        table = rooted(read_toml(path), path.parent)
    except ConfigError:
        return []
    profiles = profiles_of(table, [])
    models, devices = models_of(table, profiles), table.get("devices")
    known = [
        one
        for one in (devices if isinstance(devices, list) else ())
        if isinstance(one, dict) and isinstance(one.get("profile"), str) and one["profile"] in profiles
    ]
    right = [*_right(known, profiles, models)]
    return [*unworkable_lines(right), *setting_mistakes([_as_far(one, profiles, models) for one in known])]


def _right(devices: list[dict[str, Any]], profiles: Mapping[str, Profile], models: Models) -> Iterator[Installed]:
    """Yield the devices in which nothing is wrong."""
    for one in devices:
        if not any(device_mistakes(one, profiles, {}, models)):
            try:
                config = DeviceConfig.model_validate(one)
            except ValidationError:
                continue
            yield install_device(config, profiles[config.profile])


def _as_far(device: dict[str, Any], profiles: Mapping[str, Profile], models: Models) -> Installed:
    """Return a device with the points that fit, and what trainings say of them."""
    profile, said = profiles[device["profile"]], device.get("points")
    overrides = said if isinstance(said, dict) else {}
    found: dict[str, Point] = {}
    for name, point in profile.points.items():
        merged = merged_point(point, overrides.get(name, {}), str(device.get("driver")), "")
        if isinstance(merged, Point):
            taught = models.taught(merged, str(device.get("name")), name)
            found[name] = merged.model_copy(update={"warnings": {**merged.warnings, **taught}}) if taught else merged
    config = settings_of(device).model_copy(update={"name": str(device.get("name", "?"))})
    return Installed(config, profile, tuple(found), tuple(found.values()))
