"""Reads an edge config and finds every mistake in it: of shape, and of profiles, points and addresses that do not fit.

The person at the keyboard repairs all of them at once or comes back five times. So the checks of sense read the raw
table, not the parsed model: a mistake of shape in one place hides no mistake of sense in another.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from davylamp_wire.config import ConfigError, mistakes_of, parse, read_toml
from davylamp_wire.finding import below
from davylamp_wire.lint import unworkable
from davylamp_wire.lint_warnings import unwarning
from davylamp_wire.point import COMM_OK, Point
from davylamp_wire.profile import Profile, load_profiles, root_models, shipped_profiles, unhandled
from pydantic import ValidationError

from davylamp_edge import opcua_settings
from davylamp_edge.beacon.mistakes import beacon_mistakes
from davylamp_edge.config import DeviceConfig, EdgeConfig, PointOverride, SelfMonitoring
from davylamp_edge.drivers import DRIVERS, Driver, driver_class
from davylamp_edge.drivers.modbus_address import line_of
from davylamp_edge.install import SELF, SELF_PROFILE, address_of, with_override
from davylamp_edge.models import Models, models_of, with_models
from davylamp_edge.tls import tls_mistakes

_OF_DRIVERS = ("address", "unit", "gap_registers", "max_registers", "opcua")
"""Settings of a device by which its driver judges addresses and files."""


def load_edge(path: Path) -> tuple[EdgeConfig, dict[str, Profile]]:
    """Return an edge's config and the profiles it may use.

    Paths in the file are taken from the file's folder. Raises one `ConfigError` that names every mistake.
    """
    table = rooted(read_toml(path), path.parent)
    mistakes: list[str] = []
    profiles = profiles_of(table, mistakes)
    config = _config(table, path, mistakes)
    models = models_of(table, profiles)
    mistakes.extend(mistakes_in(table, profiles, path, models))
    for sections in (("broker", "tls"), ("broker", "standby", "tls")):
        found = tls_mistakes(_inner(table, sections), ".".join(sections))
        mistakes.extend(f"{path}: {line}" for line in found)
    if mistakes or config is None:
        raise ConfigError(mistakes)
    return with_models(config, profiles, models), profiles


def journal_in(path: Path) -> Path:
    """Return where the journal of a config lies, whatever else is wrong with it. Raises: ConfigError."""
    found = _inner(rooted(read_toml(path), path.parent), ("journal",)).get("path")
    if not isinstance(found, str):
        raise ConfigError([f"{path}: journal.path: names no file; a running agent is found by it"])
    return Path(found)


def _config(table: dict[str, Any], path: Path, mistakes: list[str]) -> EdgeConfig | None:
    try:
        return parse(EdgeConfig, table, path)
    except ConfigError as error:
        mistakes.extend(error.mistakes)
        return None


def profiles_of(table: dict[str, Any], mistakes: list[str]) -> dict[str, Profile]:
    folders = [shipped_profiles()]
    given = table.get("profiles")
    if isinstance(given, str):
        if Path(given).is_dir():
            folders.append(Path(given))
        else:
            mistakes.append(f"profiles: {given} is not a folder; name one with <family>/<device>.toml in it")
    try:
        return load_profiles(*folders)
    except ConfigError as error:
        mistakes.extend(error.mistakes)
        return {}


_PATHS = (
    ("profiles",),
    ("journal", "path"),
    ("broker", "password_file"),
    ("broker", "tls", "ca_file"),
    ("broker", "tls", "cert_file"),
    ("broker", "tls", "key_file"),
    ("broker", "standby", "tls", "ca_file"),
    ("broker", "standby", "tls", "cert_file"),
    ("broker", "standby", "tls", "key_file"),
)


def _inner(table: dict[str, Any], sections: Sequence[str]) -> dict[str, Any]:
    """Return the table under these keys; an empty one where there is none."""
    inner: Any = table
    for section in sections:
        inner = inner.get(section) if isinstance(inner, dict) else None
    return inner if isinstance(inner, dict) else {}


def rooted(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a table whose relative paths start at the config file's folder, wherever the process was started."""
    for *sections, key in _PATHS:
        _root(_inner(table, sections), key, folder)
    devices = table.get("devices")
    for device in devices if isinstance(devices, list) else ():
        for key in opcua_settings.PATHS:
            _root(device.get("opcua") if isinstance(device, dict) else None, key, folder)
        root_models(device.get("points") if isinstance(device, dict) else None, folder)
    root_models(_inner(table, ("self_monitoring",)).get("points"), folder)
    return table


def _root(section: Any, key: str, folder: Path) -> None:
    if isinstance(section, dict) and isinstance(section.get(key), str):
        section[key] = str(folder / section[key])


def mistakes_in(
    table: Mapping[str, Any], profiles: Mapping[str, Profile], path: Path, models: Models | None = None
) -> Iterator[str]:
    """Yield one line per mistake, each with file, device and key."""
    devices, models = table.get("devices"), models or models_of(table, profiles)
    seen: dict[str, str] = {}
    for device in devices if isinstance(devices, list) else ():
        if isinstance(device, dict):
            yield from (f"{path}: {line}" for line in device_mistakes(device, profiles, seen, models))
    own = table.get("self_monitoring")
    if isinstance(own, dict):
        yield from (f"{path}: {line}" for line in _self_mistakes(own, profiles, seen, models))
    tables = [each for each in devices if isinstance(each, dict)] if isinstance(devices, list) else []
    yield from (f"{path}: {line}" for line in (*_shared_mistakes(tables), *_line_mistakes(tables)))
    yield from (f"{path}: {line}" for line in beacon_mistakes(table, tables, profiles))


def _shared_mistakes(devices: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield one line per device that says otherwise than the first one behind the same OPC UA server."""
    first: dict[object, Mapping[str, Any]] = {}
    for device in devices:
        if not isinstance(device, dict):
            continue
        if device.get("driver") == "opcua" and isinstance(device.get("address"), str):
            leader = first.setdefault(device["address"], device)
            if leader.get("opcua", {}) != device.get("opcua", {}):
                where = f"devices.{device.get('name', '?')}.opcua"
                yield f"{where}: shares its server with {leader.get('name', '?')} and must say the same as there"


def _line_mistakes(devices: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield one line per device that spells a Modbus line otherwise than the first one on it: they must share it."""
    first: dict[str, tuple[object, str]] = {}
    for device in devices:
        address = device.get("address")
        line = line_of(address) if device.get("driver") == "modbus" and isinstance(address, str) else None
        if line is None or not isinstance(address, str):
            continue
        leader, spelled = first.setdefault(line, (device.get("name", "?"), address))
        if spelled != address:
            where = f"devices.{device.get('name', '?')}.address"
            yield f"{where}: {address!r} is the line of {leader}, which says {spelled!r}; write both the same"


def device_mistakes(
    device: Mapping[str, Any], profiles: Mapping[str, Profile], seen: dict[str, str], models: Models
) -> Iterator[str]:
    """Yield one device's mistakes; `seen` are the names before it, found by their small letters."""
    name = str(device.get("name", "?"))
    where = f"devices.{name}"
    twin = seen.get(name.lower())
    if twin == name:
        yield f"{where}: two devices have this name; each needs its own"
    elif twin is not None:
        yield f"{where}: only letter case tells it from {twin!r}, and some hosts take the two for one; rename one"
    seen[name.lower()] = name
    driver = _driver(device.get("driver"))
    if isinstance(driver, str):
        yield f"{where}.driver: {driver}"
    elif driver is not None:
        yield from _address_mistakes(device, driver, where)
        yield from (f"{where}.{line}" for line in driver.wrong_settings(settings_of(device)))
    profile = device.get("profile")
    if not isinstance(profile, str):
        return
    if profile not in profiles:
        if profiles:  # none at all: they were refused themselves, and that is said already
            yield (
                f"{where}.profile: there is no profile {profile!r}; known are {_listed(profiles)}"
                f" (<family>/{profile}.toml goes into the folder that `profiles` names)"
            )
        return
    yield from _point_mistakes(device, profiles[profile], None if isinstance(driver, str) else driver, where, models)


def _self_mistakes(
    own: Mapping[str, Any], profiles: Mapping[str, Profile], seen: dict[str, str], models: Models
) -> Iterator[str]:
    name = str(own.get("name", SelfMonitoring.model_fields["name"].default))
    if name.lower() in seen:
        yield f"self_monitoring.name: a device is called {seen[name.lower()]!r} already; give the edge another name"
    if SELF_PROFILE in profiles:
        device = {**own, "name": name, "driver": SELF}
        yield from _point_mistakes(device, profiles[SELF_PROFILE], None, "self_monitoring", models)


def _driver(name: object) -> type[Driver[Any]] | str | None:
    """Return the driver, or what is wrong with its name, or None where the shape is wrong already."""
    if not isinstance(name, str):
        return None
    try:
        return driver_class(name)
    except KeyError:
        return f"there is no driver {name!r}; known are {_listed(DRIVERS)}"
    except ImportError as error:
        return f"{name!r} needs a library that is not installed ({error.name}); pip install 'davylamp[{name}]'"


def _address_mistakes(device: Mapping[str, Any], driver: type[Driver[Any]], where: str) -> Iterator[str]:
    address = device.get("address")
    if isinstance(address, str) and (wrong := driver.wrong_address(address)):
        yield f"{where}.address: {wrong}"


def _point_mistakes(
    device: Mapping[str, Any], profile: Profile, driver: type[Driver[Any]] | None, where: str, models: Models
) -> Iterator[str]:
    given = device.get("points", {})
    overrides: dict[str, Any] = given if isinstance(given, dict) else {}
    for name in overrides:
        if name not in profile.points:
            yield f"{where}.points.{name}: profile {profile.name!r} has no such point; it has {_listed(profile.points)}"
    if COMM_OK in profile.points:
        yield f"{where}.profile: {profile.name!r} has a point {COMM_OK!r}, which every device has already; rename it"
    settings = settings_of(device)
    found = 0
    for name, point in profile.points.items():
        key = f"{where}.points.{name}"
        merged = merged_point(point, overrides.get(name, {}), str(device.get("driver")), key)
        if not isinstance(merged, Point):
            yield from merged
            continue
        yield from below(key, unhandled(merged.limits))
        if merged is not point:  # the profile's own was asked with it
            yield from below(key, unworkable(merged))
            yield from below(key, unwarning(merged))
        yield from below(key, models.mistakes(merged, str(device.get("name")), name))
        yield from _local_mistakes(merged, device, key)
        address = address_of(merged, str(device.get("driver")))
        found += bool(address)
        if driver is not None:
            yield from _place_mistakes(merged, address, driver, settings, key)
    if driver is not None and not found and profile.points:
        yield f"{where}: no point of {profile.name!r} has an address for {device['driver']!r}; give points.NAME.address"


def _local_mistakes(point: Point, device: Mapping[str, Any], key: str) -> Iterator[str]:
    """Yield why this edge cannot decide a local point's alarms: not to decide them in silence would be worse."""
    if not point.local:
        return
    if device.get("driver") == SELF:
        yield f"{key}.local: what the edge says of itself is decided by the cloud; leave local out"
        return
    if find_spec("numpy") is None:
        needs = "deciding alarms here needs a library that is not installed (numpy)"
        yield f"{key}.local: {needs}; pip install 'davylamp[edge-alarms]'"


def _place_mistakes(
    point: Point, address: str, driver: type[Driver[Any]], settings: DeviceConfig, key: str
) -> Iterator[str]:
    if address:
        if wrong := driver.wrong_point(address, point, settings):
            yield f"{key}.address: {wrong}"
    elif point.required:
        yield f"{key}.address: the profile requires this point and leaves its address to the site; give one"


def merged_point(point: Point, override: object, driver: str, key: str) -> Point | list[str]:
    """Return the point as this site has it, or what does not fit; a bad shape has been named already."""
    if override == {}:
        return point  # the profile's own, checked with it: of ten thousand points few are overridden
    try:
        checked = PointOverride.model_validate(override)
    except ValidationError:
        return []
    try:
        return with_override(point, checked, driver)
    except ValidationError as error:
        return [line.removeprefix(": ") for line in mistakes_of(error, key)]


def settings_of(device: Mapping[str, Any]) -> DeviceConfig:
    """Return the device's settings for its driver; defaults where they are themselves mistaken."""
    settings = {"name": "x", "profile": "x", "driver": "x", "hazard_source": "x", "address": "x"}
    for key in _OF_DRIVERS:
        try:
            DeviceConfig.model_validate(settings | {key: device[key]})
            settings[key] = device[key]
        except (KeyError, ValidationError):
            continue
    return DeviceConfig.model_validate(settings)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "none"
