"""Reads an edge config and finds every mistake in it: of shape, and of profiles, points and addresses that do not fit.

The person at the keyboard repairs all of them at once or comes back five times. So the checks of sense read the raw
table, not the parsed model: a mistake of shape in one place hides no mistake of sense in another.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from davylamp_wire.config import ConfigError, Mistake, mistaken, mistakes_of, parse, placed, read_toml
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
        mistakes.extend(placed(str(path), line) for line in found)
    if mistakes or config is None:
        raise ConfigError(mistakes)
    return with_models(config, profiles, models), profiles


def journal_in(path: Path) -> Path:
    """Return where the journal of a config lies, whatever else is wrong with it. Raises: ConfigError."""
    found = _inner(rooted(read_toml(path), path.parent), ("journal",)).get("path")
    if not isinstance(found, str):
        en = f"{path}: journal.path: names no file; a running agent is found by it"
        raise mistaken(en, f"{path}：journal.path：没有写文件；要靠它找到运行中的程序")
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
            en = f"profiles: {given} is not a folder; name one with <family>/<device>.toml in it"
            mistakes.append(Mistake(en, f"profiles：{given} 不是文件夹；请写存放 <类别>/<设备>.toml 的文件夹"))
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
            yield from (placed(str(path), line) for line in device_mistakes(device, profiles, seen, models))
    own = table.get("self_monitoring")
    if isinstance(own, dict):
        yield from (placed(str(path), line) for line in _self_mistakes(own, profiles, seen, models))
    tables = [each for each in devices if isinstance(each, dict)] if isinstance(devices, list) else []
    yield from (placed(str(path), line) for line in (*_shared_mistakes(tables), *_line_mistakes(tables)))
    yield from (placed(str(path), line) for line in beacon_mistakes(table, tables, profiles))


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
                who = leader.get("name", "?")
                en = f"{where}: shares its server with {who} and must say the same as there"
                yield Mistake(en, f"{where}：与 {who} 用同一服务器，两处须一致")


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
            en = f"{where}: {address!r} is the line of {leader}, which says {spelled!r}; write both the same"
            yield Mistake(en, f"{where}：{address!r} 与 {leader} 是同一条线路，那里写作 {spelled!r}；两处请写成一样")


def device_mistakes(
    device: Mapping[str, Any], profiles: Mapping[str, Profile], seen: dict[str, str], models: Models
) -> Iterator[str]:
    """Yield one device's mistakes; `seen` are the names before it, found by their small letters."""
    name = str(device.get("name", "?"))
    where = f"devices.{name}"
    twin = seen.get(name.lower())
    if twin == name:
        yield Mistake(f"{where}: two devices have this name; each needs its own", f"{where}：两台设备同名；请各起一名")
    elif twin is not None:
        en = f"{where}: only letter case tells it from {twin!r}, and some hosts take the two for one; rename one"
        yield Mistake(en, f"{where}：与 {twin!r} 仅大小写不同，有的上位机会当作一台；请改名")
    seen[name.lower()] = name
    driver = _driver(device.get("driver"))
    if isinstance(driver, str):
        yield placed(f"{where}.driver", driver)
    elif driver is not None:
        yield from _address_mistakes(device, driver, where)
        yield from (_within(where, line) for line in driver.wrong_settings(settings_of(device)))
    profile = device.get("profile")
    if not isinstance(profile, str):
        return
    if profile not in profiles:
        if profiles:  # none at all: they were refused themselves, and that is said already
            yield Mistake(
                f"{where}.profile: there is no profile {profile!r}; known are {_listed(profiles)}"
                f" (<family>/{profile}.toml goes into the folder that `profiles` names)",
                f"{where}.profile：没有模板 {profile!r}；现有 {_listed(profiles)}"
                f"（<类别>/{profile}.toml 放进 `profiles` 所写的文件夹）",
            )
        return
    yield from _point_mistakes(device, profiles[profile], None if isinstance(driver, str) else driver, where, models)


def _self_mistakes(
    own: Mapping[str, Any], profiles: Mapping[str, Profile], seen: dict[str, str], models: Models
) -> Iterator[str]:
    name = str(own.get("name", SelfMonitoring.model_fields["name"].default))
    if name.lower() in seen:
        en = f"self_monitoring.name: a device is called {seen[name.lower()]!r} already; give the edge another name"
        yield Mistake(en, f"self_monitoring.name：已有设备名 {seen[name.lower()]!r}；请给采集程序另起一名")
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
        en = f"there is no driver {name!r}; known are {_listed(DRIVERS)}"
        return Mistake(en, f"没有驱动 {name!r}；现有 {_listed(DRIVERS)}")
    except ImportError as error:
        way_out = f"pip install 'davylamp[{name}]'"
        en = f"{name!r} needs a library that is not installed ({error.name}); {way_out}"
        return Mistake(en, f"{name!r} 需要未安装的程序库 {error.name}；请执行 {way_out}")


def _address_mistakes(device: Mapping[str, Any], driver: type[Driver[Any]], where: str) -> Iterator[str]:
    address = device.get("address")
    if isinstance(address, str) and (wrong := driver.wrong_address(address)):
        yield placed(f"{where}.address", wrong)


def _point_mistakes(
    device: Mapping[str, Any], profile: Profile, driver: type[Driver[Any]] | None, where: str, models: Models
) -> Iterator[str]:
    given = device.get("points", {})
    overrides: dict[str, Any] = given if isinstance(given, dict) else {}
    for name in overrides:
        if name not in profile.points:
            en = f"{where}.points.{name}: profile {profile.name!r} has no such point; it has {_listed(profile.points)}"
            yield Mistake(
                en, f"{where}.points.{name}：模板 {profile.name!r} 没有这个测点；现有 {_listed(profile.points)}"
            )
    if COMM_OK in profile.points:
        en = f"{where}.profile: {profile.name!r} has a point {COMM_OK!r}, which every device has already; rename it"
        yield Mistake(en, f"{where}.profile：{profile.name!r} 有测点 {COMM_OK!r}，每台设备本来就有；请改名")
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
        en = f"{where}: no point of {profile.name!r} has an address for {device['driver']!r}; give points.NAME.address"
        zh = f"{where}：模板 {profile.name!r} 没有一个测点有 {device['driver']!r} 的地址；请写 points.测点.address"
        yield Mistake(en, zh)


def _local_mistakes(point: Point, device: Mapping[str, Any], key: str) -> Iterator[str]:
    """Yield why this edge cannot decide a local point's alarms: not to decide them in silence would be worse."""
    if not point.local:
        return
    if device.get("driver") == SELF:
        en = f"{key}.local: what the edge says of itself is decided by the cloud; leave local out"
        yield Mistake(en, f"{key}.local：采集程序自身的报警由云端判断；请去掉 local")
        return
    if find_spec("numpy") is None:
        way_out = "pip install 'davylamp[edge-alarms]'"
        en = f"{key}.local: deciding alarms here needs a library that is not installed (numpy); {way_out}"
        yield Mistake(en, f"{key}.local：本地判断报警需要未安装的程序库 numpy；请执行 {way_out}")


def _place_mistakes(
    point: Point, address: str, driver: type[Driver[Any]], settings: DeviceConfig, key: str
) -> Iterator[str]:
    if address:
        if wrong := driver.wrong_point(address, point, settings):
            yield placed(f"{key}.address", wrong)
    elif point.required:
        en = f"{key}.address: the profile requires this point and leaves its address to the site; give one"
        yield Mistake(en, f"{key}.address：模板要求这个测点，地址由现场填写；请写上")


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


def _within(where: str, line: str) -> str:
    """Return a mistake of one of a device's settings, below the device."""
    return Mistake(f"{where}.{line}", f"{where}.{line.zh}") if isinstance(line, Mistake) else f"{where}.{line}"


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "none"
