"""What is installed: each configured device with its profile's points, the site's overrides applied."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from davylamp_wire.point import COMM_OK, EarlyWarning, Limit, Point, comm_ok_point
from davylamp_wire.profile import DetectorGroup, Profile

from davylamp_edge.config import DeviceConfig, EdgeConfig, PointOverride
from davylamp_edge.drivers import Wanted


@dataclass(frozen=True, slots=True)
class Installed:
    """A device on site.

    ``names`` and ``points`` are parallel; an index into them is what `ScanResult.points` carries. The last one is
    always ``comm_ok``, which the edge makes itself; the others are in the profile's order.
    """

    config: DeviceConfig
    profile: Profile
    names: tuple[str, ...]
    points: tuple[Point, ...]

    def reads_like(self, other: "Installed") -> bool:
        """Return whether it is read in the same way; what is only said of it is the births' business."""
        if self.names != other.names or _connection(self.config) != _connection(other.config):
            return False
        return all(map(_read_alike, self.points, other.points))

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def comm_ok(self) -> int:
        """The index of ``comm_ok``."""
        return len(self.points) - 1

    def wanted(self) -> Sequence[Wanted]:
        """Return the points a driver must read."""
        driver = self.config.driver
        pairs = zip(self.names[:-1], self.points[:-1], strict=True)
        return [Wanted(index, name, address_of(point, driver), point) for index, (name, point) in enumerate(pairs)]


def any_local(devices: Sequence[Installed]) -> bool:
    """Return whether this edge decides any alarms itself."""
    return any(point.local for device in devices for point in device.points)


SAID = ("zh", "en", "warnings", "states", "required", "plant_tag")
"""What a birth says of a point and no reading of it hangs on."""


def measured_alike(point: Point, before: Point) -> bool:
    """Return whether a value read under one definition says the same under the other.

    All but limits and what is only said of a point must agree.
    """
    return point == before or point == before.model_copy(update=_of(point, (*SAID, "limits")))


def _read_alike(point: Point, other: Point) -> bool:
    """Return whether both are read and reported alike: beside a deadband no limit is crossed in silence (SAFETY S8)."""
    if point.deadband is not None and point.limits != other.limits:
        return False
    return measured_alike(point, other)


def _of(point: Point, names: Sequence[str]) -> dict[str, object]:
    return {name: getattr(point, name) for name in names}


def _connection(config: DeviceConfig) -> DeviceConfig:
    """Return a device's settings without those of its points, which are merged with its profile's."""
    return config.model_copy(update={"points": {}})


def address_of(point: Point, driver: str) -> str:
    """Return a point's address in a driver's words; empty where the profile leaves it to the site."""
    return point.address.get(driver, "")


def with_override(point: Point, override: PointOverride, driver: str) -> Point:
    """Return a profile's point as this site has it. Raises: pydantic.ValidationError where the two do not fit."""
    changed = override.model_dump(
        exclude_unset=True, exclude={"address", "limits", "warnings", "tag"}, exclude_none=True
    )
    if override.tag is not None:
        changed["plant_tag"] = override.tag
    if override.address is not None:
        changed["address"] = {**point.address, driver: override.address}
    if override.limits:
        worded = {kind: _worded(limit, point.limits.get(kind)) for kind, limit in override.limits.items()}
        changed["limits"] = {**point.limits, **worded}
    if override.warnings:
        told = {name: _worded(rule, point.warnings.get(name)) for name, rule in override.warnings.items()}
        changed["warnings"] = {**point.warnings, **told}
    return Point.model_validate({**dict(point), **changed})


Told = TypeVar("Told", Limit, EarlyWarning)


def _worded(sites: Told, profiles_own: Told | None) -> Told:
    """Return a site's limit or rule; where it only changes figures, the profile's texts go on standing beside it."""
    if profiles_own is None:
        return sites
    return sites.model_copy(update={name: getattr(profiles_own, name) for name in sites.unsaid})


def groups_of(installed: Installed) -> dict[str, DetectorGroup]:
    """Return the profile's groups of detectors with the members this site has."""
    found = {}
    for name, group in installed.profile.groups.items():
        members = tuple(member for member in group.members if member in installed.names)
        if members:
            found[name] = group.model_copy(update={"members": members})
    return found


def install(config: EdgeConfig, profiles: Mapping[str, Profile]) -> tuple[Installed, ...]:
    """Return every configured device, ready to be described and scanned.

    A profile's point that no one gave an address is not installed; `check` has refused it where it is required.
    """
    return tuple(install_device(device, profiles[device.profile]) for device in config.devices)


def by_line(devices: Sequence[Installed]) -> list[list[Installed]]:
    """Return devices grouped by the connection they share: one address, one line."""
    lines: dict[tuple[str, str], list[Installed]] = {}
    for device in devices:
        lines.setdefault((device.config.driver, device.config.address), []).append(device)
    return list(lines.values())


SELF, SELF_PROFILE = "self", "edge"
"""The driver and the profile of the edge as a device of its own. It has no connection: the agent measures itself."""


def install_self(config: EdgeConfig, profiles: Mapping[str, Profile], silent: Collection[str] = ()) -> Installed | None:
    """Return the edge as a device, without the points it is silent about; None where nobody asked for it."""
    own = config.self_monitoring
    if own is None:
        return None
    device = DeviceConfig(
        name=own.name,
        profile=SELF_PROFILE,
        driver=SELF,
        hazard_source=own.hazard_source,
        address=SELF,
        points=own.points,
    )
    whole = install_device(device, profiles[SELF_PROFILE])
    pairs = zip(whole.names, whole.points, strict=True)
    kept = [(name, point) for name, point in pairs if address_of(point, SELF) not in silent]
    return Installed(device, whole.profile, tuple(name for name, _ in kept), tuple(point for _, point in kept))


def install_device(device: DeviceConfig, profile: Profile) -> Installed:
    """Return one device with the points that have an address, its own or the profile's."""
    merged = {name: _as_installed(point, device.points.get(name), device) for name, point in profile.points.items()}
    found = {name: point for name, point in merged.items() if address_of(point, device.driver)}
    return Installed(device, profile, (*found, COMM_OK), (*found.values(), comm_ok_point()))


def _as_installed(point: Point, override: PointOverride | None, device: DeviceConfig) -> Point:
    """Return the profile's own point where the site has nothing to say: a thousand devices share it."""
    return point if override is None else with_override(point, override, device.driver)
