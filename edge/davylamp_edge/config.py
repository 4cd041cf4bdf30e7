"""The edge's config: the shape of its one TOML file, with every default.

`davylamp_edge.check.load_edge` reads the file and checks it whole before anything connects.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from davylamp_wire.config import Section, secret_from
from davylamp_wire.point import EarlyWarning, Limit, LimitKind, Order, Slug
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from davylamp_edge.beacon_settings import BeaconSettings
from davylamp_edge.opcua_settings import OpcuaSettings

GIB = 1 << 30
MAX_REGISTERS = 125
"""Registers one request may ask for (Modbus Application Protocol 1.1b3, 6.3)."""


class Tls(Section):
    """TLS to the broker: whom to trust, and who we are."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together; give both or neither")
        return self


def _an_address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("is no IP address; give one of this machine's own, such as 192.0.2.7") from None


Interface = Annotated[str, Field(pattern=r"^[^\s/]{1,15}$")]
"""A network interface's name, as `ip link` lists it. Source: Linux, IFNAMSIZ."""

Source = Annotated[str, AfterValidator(_an_address)]
"""An address of this machine to send from."""


class Standby(Section):
    """A second way to the same broker. What it leaves out (host, port, tls) is as in `[broker]`."""

    interface: Interface | None = None
    source: Source | None = None
    host: str | None = Field(default=None, min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    tls: Tls | None = None
    silence_s: float = Field(default=4.0, ge=1, le=60)
    """A way that has acknowledged nothing for so long is left for the other."""
    probe_s: float = Field(default=60.0, ge=0.1, le=3600)
    """How often the way that is not taken is tried."""
    back_after_s: float = Field(default=300.0, ge=0)
    """How long the first way is well before it is taken again."""


class BrokerConfig(Section):
    """The MQTT broker. `keepalive_s` decides how soon a lost link is noticed (1.5 times it), a standby sooner."""

    host: str = Field(min_length=1)
    port: int = Field(default=1883, ge=1, le=65535)
    interface: Interface | None = None
    source: Source | None = None
    standby: Standby | None = None
    username: str | None = None
    password_file: Path | None = None
    tls: Tls | None = None
    keepalive_s: int = Field(default=15, ge=1, le=600)

    @model_validator(mode="after")
    def _two_ways(self) -> Self:
        if self.standby is not None and self._leads_the_same_way(self.standby):
            raise ValueError("standby is the same way again; give it an interface, a source or a host of its own")
        return self

    def _leads_the_same_way(self, other: Standby) -> bool:
        same = other.interface == self.interface and other.source == self.source
        return same and other.host in (None, self.host) and other.port in (None, self.port)

    def password(self) -> SecretStr | None:
        """Return the password from its file; it prints as ``***``."""
        return secret_from(self.password_file, None, "the broker's password")


class JournalConfig(Section):
    """The journal on disk. Confirmed records stay `confirmed_hours`, as far as `max_bytes` allows (SAFETY S27)."""

    path: Path
    max_bytes: int = Field(default=GIB, ge=1 << 20)
    confirmed_hours: float = Field(default=72.0, ge=0)


class StatusConfig(Section):
    """Where the edge answers /healthz and /metrics; loopback unless told otherwise."""

    host: str = "127.0.0.1"
    port: int = Field(default=8081, ge=0, le=65535)


class SelfMonitoring(Section):
    """The edge watched as a device of its own, by the profile `edge`; its hazard source says who hears its alarms."""

    hazard_source: Slug
    name: Slug = "_edge"
    points: "dict[Slug, PointOverride]" = Field(default_factory=dict)


class PointOverride(Section):
    """What a site says otherwise than the profile about one point of one device."""

    address: str | None = Field(default=None, min_length=1)
    scale: float | None = None
    offset: float | None = None
    order: Order | None = None
    limits: dict[LimitKind, Limit] = Field(default_factory=dict)
    warnings: dict[Slug, EarlyWarning] = Field(default_factory=dict)
    tag: str | None = None
    local: bool | None = None
    scan_s: float | None = Field(default=None, gt=0)


class DeviceConfig(Section):
    """One installed device: a Sparkplug device of one hazard source."""

    name: Slug
    profile: Slug
    driver: str
    hazard_source: Slug
    address: str = Field(min_length=1)
    unit: int = Field(default=1, ge=0, le=255)
    timeout_s: float = Field(default=1.0, gt=0, le=60)
    pause_ms: float = Field(default=0.0, ge=0, le=30_000)
    round_trip_ms: float = Field(default=20.0, gt=0, le=60_000)
    """How long an answer usually takes, as `check` reckons a line's load with it; `probe` measures it."""
    read: Literal["blocks", "values"] = "blocks"
    """Whether a request may carry many values, or one each for devices that answer no more."""
    gap_registers: int = Field(default=16, ge=0, le=MAX_REGISTERS)
    max_registers: int = Field(default=120, ge=1, le=MAX_REGISTERS)
    opcua: OpcuaSettings = OpcuaSettings()
    points: dict[Slug, PointOverride] = Field(default_factory=dict)


class EdgeConfig(Section):
    """Everything one edge node is told."""

    node: Slug
    group: Slug = "davylamp"
    broker: BrokerConfig
    primary_host: Slug | None = "davylamp"
    journal: JournalConfig
    profiles: Path | None = None
    report: Literal["changes", "every"] = "changes"
    one_way: bool = False
    repeats: int = Field(default=3, ge=1, le=100)
    backlog_rate: float = Field(default=6000.0, gt=0)
    """Most records (of 512 bytes) a second sent from the backlog; fewer where live data would have to wait for them."""
    status: StatusConfig | None = None
    self_monitoring: SelfMonitoring | None = None
    beacon: BeaconSettings | None = None
    devices: tuple[DeviceConfig, ...]

    @field_validator("devices")
    @classmethod
    def _some(cls, devices: tuple[DeviceConfig, ...]) -> tuple[DeviceConfig, ...]:
        # Not min_length: pydantic counts the sound ones only, and would call one mistaken device "no device" as well.
        if not devices:
            raise ValueError("name at least one device")
        return devices

    @field_validator("primary_host", mode="before")
    @classmethod
    def _nobody(cls, given: object) -> object:
        """TOML has no null: the empty text says that no host is waited for."""
        return None if given == "" else given


def opcua_files(config: EdgeConfig) -> dict[str, Path]:
    """Return the certificates that say to OPC UA servers who we are, by their files: devices share them."""
    settings = [device.opcua for device in config.devices if device.driver == "opcua"]
    return {str(file): file for each in settings for file in each.certificates()}
