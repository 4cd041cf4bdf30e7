"""What a config means, for the person at the keyboard: devices, tags, load on each device, size of the births."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from davylamp_wire.config import ConfigError
from davylamp_wire.describe import datatype_of, foreign_properties
from davylamp_wire.payload import (
    DESCRIPTION,
    FIRST_ALIAS,
    LOCAL_ALARM,
    RECORD,
    BirthMetric,
    SparkplugType,
    birth_payload,
)
from davylamp_wire.profile import Profile

from davylamp_edge.birth import description_of
from davylamp_edge.bus_load import BUSY, Load, load_of, loads
from davylamp_edge.config import BrokerConfig, EdgeConfig, opcua_files
from davylamp_edge.expiry import DAY_MS, WARN_DAYS, end_in
from davylamp_edge.install import SELF_PROFILE, Installed, groups_of, install, install_self
from davylamp_edge.notes import SHOWN, by_number, notes, over_ceiling, trained_rules
from davylamp_edge.opcua_settings import DEPRECATED
from davylamp_edge.overlap import read_twice
from davylamp_edge.report import utc_ms
from davylamp_edge.rule_settings import setting_mistakes, unjudged_settings
from davylamp_edge.tls import files_of as broker_files
from davylamp_edge.ways import ways_of

BIRTH_LIMIT = 100_000
"""Some brokers take no message beyond 128 KB (AWS IoT Core), and the connection then oscillates (docs.chariot.io)."""

ALARM_BYTES = 180
"""What a birth takes to say where one local alarm stands."""


def summarise(config: EdgeConfig, profiles: Mapping[str, Profile]) -> Iterator[str]:
    """Yield the lines that `davylamp-edge check` prints."""
    devices = install(config, profiles)
    tags = sum(len(device.points) for device in devices)
    lines = list(loads(devices))
    rate = round(sum(line.requests_per_s for line in lines), 3)
    yield f"{config.group}/{config.node}: {len(devices)} devices, {tags} tags, {rate:g} requests/s"
    yield f"journal: {config.journal.path}, at most {config.journal.max_bytes / (1 << 20):g} MiB"
    yield f"broker: {config.broker.host}:{config.broker.port}, {_listener(config)}"
    yield from _of_ways(config.broker)
    yield from _ending(config, utc_ms())
    for line in lines:
        yield from _of_line(line)
    for device in devices:
        yield from _of_device(device)
    yield from read_twice(devices)
    yield from _of_beacon(config, devices)
    own = install_self(config, profiles)
    if own is not None:
        size = birth_bytes(own) / 1000
        yield f"  {own.name} ({SELF_PROFILE}, the edge itself): up to {len(own.points)} tags, birth {size:.1f} kB"
        yield from _unsaid(own)
    yield from unjudged_settings(devices)
    yield from notes(devices if own is None else [*devices, own])


def refuse_unworkable(config: EdgeConfig, profiles: Mapping[str, Profile]) -> None:
    """Raise a ConfigError that names every line that cannot carry what is asked of it, and every rule set wrongly."""
    devices, own = install(config, profiles), install_self(config, profiles)
    mistakes = [*unworkable_lines(devices), *setting_mistakes(devices if own is None else [*devices, own])]
    if mistakes:
        raise ConfigError(mistakes)


def unworkable_lines(devices: Sequence[Installed]) -> Iterator[str]:
    """Yield every line that cannot carry what is asked of it."""
    way = "scan less often, leave points out, or split it; where answers take less than round_trip_ms, say so"
    yield from (f"{line}; {way}" for line in loads(devices) if line.too_much)


def _of_line(line: Load) -> Iterator[str]:
    if line.busy:
        yield f"line {line}"
    if line.busy > BUSY:
        yield f"    warning: a line above {BUSY:.0%} has no room for slow answers; scan less often or split the line"


def _of_ways(broker: BrokerConfig) -> Iterator[str]:
    """Yield a line for each way where there are two, and a warning for an interface this machine does not have now."""
    ways = ways_of(broker)
    present = {name for _, name in socket.if_nameindex()}
    for way in ways:
        bound = [f"interface {way.interface}"] if way.interface else []
        bound += [f"from {way.source}"] if way.source else []
        if bound or len(ways) > 1:
            yield f"  {way.name}: {', '.join([f'{way.host}:{way.port}', *bound])}"
        if way.interface and way.interface not in present:
            yield f"    warning: this machine has no interface {way.interface!r} now; `ip link` lists what it has"


def _of_beacon(config: EdgeConfig, devices: Sequence[Installed]) -> Iterator[str]:
    beacon = config.beacon
    if beacon is None:
        return
    coils = beacon.coils
    horn = "with the horn" if coils.horn is None else f"horn {coils.horn}"
    yield f"beacon: unit {beacon.unit} at {beacon.address}: lamp {coils.lamp}, {horn}, watchdog {coils.watchdog}"
    yield "    these coils are all that Davylamp ever writes"
    if not any(point.local for device in devices for point in device.points):
        others = "of no alarm" if beacon.cloud == "none" else "of red alarms while the cloud says so"
        yield f"    warning: no point has local = true: it tells of a silent engine, and {others}"
    if coils.horn is None:
        yield "    warning: lamp and horn share a coil: nothing can be silenced, and a silent engine does not flash"


def _listener(config: EdgeConfig) -> str:
    if config.one_way:
        return f"one way: each record is sent {config.repeats} times and never confirmed"
    if config.primary_host is None:
        return "sends whoever listens"
    return f"sends while primary host {config.primary_host!r} is online"


def _ending(config: EdgeConfig, now_ms: int) -> Iterator[str]:
    """Yield a warning for every certificate of our own that has ended or will within a month."""
    for file in {*broker_files(config.broker).values(), *opcua_files(config).values()}:
        with suppress(OSError, ValueError):  # named as a mistake already
            days = (end_in(file) - now_ms) / DAY_MS
            if days <= max(WARN_DAYS):
                when = f"ends in {days:.1f} days" if days > 0 else "has ended"
                yield f"    warning: certificate {file} {when}; renew it"


def _of_device(device: Installed) -> Iterator[str]:
    size = birth_bytes(device)
    yield (
        f"  {device.name} ({device.profile.name}, {device.config.driver} {device.config.address}): {len(device.points)}"
        f" tags, {round(load_of(device)[0], 3):g} requests/s, birth {size / 1000:.1f} kB"
    )
    yield from _decided_here(device)
    yield from trained_rules(device)
    yield from _unsecured(device)
    yield from _unsaid(device)
    yield from over_ceiling(device)
    yield from by_number(device)
    yield from _thinned(device)
    yield from _unseen(device)
    if size > BIRTH_LIMIT:
        yield f"    warning: a birth above {BIRTH_LIMIT // 1000} kB is refused by some brokers; split the device, or"
        yield "        train units of fewer tags, with fewer lags or a smaller share (诞生消息过大)"


def _decided_here(device: Installed) -> Iterator[str]:
    """Yield which points' alarms this edge decides itself."""
    names = [name for name, point in zip(device.names, device.points, strict=True) if point.local]
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield f"    alarms decided here, without the cloud (local): {', '.join(names[:SHOWN])}{more}"


def _unsecured(device: Installed) -> Iterator[str]:
    """Yield a warning for every way in which an OPC UA server's values, or our password, lie open on the network."""
    settings, key = device.config.opcua, f"devices.{device.name}.opcua"
    if device.config.driver != "opcua":
        return
    if not settings.secured:
        yield f'    warning: {key}.policy is "None": whoever is on the network may read and change the values'
        if settings.username is not None:
            yield f"    warning: {key}.username: a server without encryption of its own gets the password in the clear"
    elif settings.policy in DEPRECATED:
        yield f'    warning: {key}.policy "{settings.policy}" is deprecated: its SHA-1 can be forged'
    elif settings.security == "Sign":
        yield f'    warning: {key}.security is "Sign": whoever is on the network may read the values'


def _unsaid(device: Installed) -> Iterator[str]:
    """Yield a warning for the first limits that leave a person to guess at cause, consequence or time to respond."""
    found = [
        f"{device.name}.points.{name}.limits.{kind} has no {', '.join(limit.unsaid)}"
        for name, point in zip(device.names, device.points, strict=True)
        for kind, limit in point.limits.items()
        if limit.unsaid
    ]
    for line in found[:SHOWN]:
        yield f"    warning: devices.{line}; general words stand in until it says so"
    if len(found) > SHOWN:
        yield f"    warning: and {len(found) - SHOWN} more limits of {device.name} likewise"


def _thinned(device: Installed) -> Iterator[str]:
    """Yield a warning for every group of detectors that too few are installed of to vote (SAFETY S18)."""
    installed = groups_of(device)
    for name, group in device.profile.groups.items():
        count = len(installed[name].members) if name in installed else 0
        if count < group.need:
            here = f"{count} of its {len(group.members)} detectors have an address here"
            yield f"    warning: devices.{device.name}.groups.{name}: {here}, its vote needs {group.need}"


def _unseen(device: Installed) -> Iterator[str]:
    """Yield a warning for every bypass that would never be seen (SAFETY S9)."""
    for name, point in zip(device.names, device.points, strict=True):
        key = f"devices.{device.name}.points.{name}.bypass"
        for bypass in point.bypass:
            if bypass.by not in device.names:
                yield f"    warning: {key}: {bypass.by} has no address here, so that it is never bypassed"


def birth_bytes(device: Installed) -> int:
    """Return the size of a device's DBIRTH."""
    own = [
        BirthMetric(RECORD, SparkplugType.UINT64, FIRST_ALIAS, None),
        BirthMetric(DESCRIPTION, SparkplugType.STRING, FIRST_ALIAS, description_of(device).encode()),
    ]
    alarms = sum(len(point.limits) + point.sees_over_range for point in device.points if point.local)
    if alarms:
        own.append(BirthMetric(LOCAL_ALARM, SparkplugType.STRING, FIRST_ALIAS, " " * ALARM_BYTES * alarms))
    points = [
        BirthMetric(name, datatype_of(point), FIRST_ALIAS, None, foreign_properties(point))
        for name, point in zip(device.names, device.points, strict=True)
    ]
    return len(birth_payload([*own, *points], seq=0, sent_ms=1 << 40))
