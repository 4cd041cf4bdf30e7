"""What the cloud is told at start: one TOML file, checked once, all mistakes in one message.

Every key has a default that works on one box, except where a person must decide (receivers, tokens).
"""

import ipaddress
from collections.abc import Collection, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from davylamp_alarms.definition import CEILINGS, KINDS, LONE_KINDS
from davylamp_wire.config import SLUG, ConfigError, Section, parse, read_toml
from pydantic import Field, StringConstraints, field_validator, model_validator

Slug = Annotated[str, StringConstraints(pattern=SLUG)]
Clock = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
TagId = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_-]+/){3}[^/#]+$")]
PriorityName = Literal["red", "orange", "yellow", "blue"]

GIB = 1 << 30
OF_TAGS = frozenset(KINDS) - LONE_KINDS


class Role(StrEnum):
    """What a token may do; api/permissions.py has the table."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    REGULATOR = "regulator"
    ADMINISTRATOR = "administrator"


class TlsConfig(Section):
    """Certificates towards the broker."""

    ca_file: Path
    cert_file: Path | None = None
    key_file: Path | None = None


class BrokerConfig(Section):
    """The MQTT broker; `keepalive_s` is the cloud's own, an edge's is announced or 15 s."""

    host: str = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65535)
    username: str | None = None
    password_file: Path | None = None
    tls: TlsConfig | None = None
    keepalive_s: int = Field(default=15, ge=1, le=3600)


class HttpConfig(Section):
    """Where API and console listen. Port 0 is any free port, written to ``data_dir/http.json``."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)

    @property
    def loopback(self) -> bool:
        """True where only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class HistorianConfig(Section):
    """The time-series store; `kind` names a line of the HISTORIANS registry. `memory_mb` is what DuckDB may take."""

    kind: str = "duckdb"
    path: Path | None = None
    url: str | None = None
    bucket: str = "davylamp"
    org: str = "davylamp"
    token_file: Path | None = None
    timeout_s: float = Field(default=10.0, gt=0)
    keep_days: int = Field(default=365, ge=1)
    memory_mb: int = Field(default=256, ge=32)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.kind == "influxdb" and not self.url:
            raise ValueError("influxdb needs url, for example http://127.0.0.1:8086")
        return self


class ReceiverConfig(Section):
    """Who is told: a regulator, a duty room, a gateway. No list of hazard sources means all of them."""

    name: Slug
    kind: str = "webhook"
    url: str
    secret_file: Path | None = None
    secret_env: str | None = None
    previous_secret_file: Path | None = None
    ed25519_key_file: Path | None = None
    ca_file: Path | None = None
    insecure_http: bool = False
    priorities: tuple[PriorityName, ...] = ("red", "orange")
    hazard_sources: tuple[Slug, ...] = ()
    language: Literal["zh", "en"] = "zh"
    timeout_s: float = Field(default=15.0, gt=0)

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if not (self.secret_file or self.secret_env or self.ed25519_key_file):
            raise ValueError(
                f"receiver {self.name} needs secret_file, secret_env or ed25519_key_file: notices are signed"
            )
        problem = _problem_of(self.url, self.insecure_http)
        if problem:
            raise ValueError(f"receiver {self.name}: {problem}")
        return self


def _problem_of(url: str, insecure_http: bool) -> str:
    """Say what keeps a receiver's address from being used, without repeating it: it may carry a key."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "url is not a URL"
    if parts.scheme not in ("https", "http") or not host:
        return "url must be https://HOST/…"
    if parts.username is not None or parts.password is not None:
        return "url may not carry a user name or password"
    if parts.scheme == "http" and not insecure_http:
        return "url must begin with https://; insecure_http = true allows http, for a demo on loopback"
    return ""


class TokenConfig(Section):
    """A bearer of a role: an argon2 hash in the file, or the token itself in a file only the cloud may read.

    A token with `hazard_sources` sees and operates those alone; without, all of them.
    """

    name: Slug
    role: Role
    hash: str | None = None
    token_file: Path | None = None
    hazard_sources: tuple[Slug, ...] = ()

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.hash is None) == (self.token_file is None):
            raise ValueError(f"token {self.name} needs exactly one of hash, token_file")
        return self


class SiteConfig(Section):
    """A plant: its names, its clock, its shifts, and the Sparkplug groups that belong to it.

    Where `one_person` is on duty alone, that person may do what needs two, and the park reviews it (SAFETY S15).
    """

    name: Slug
    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
    groups: tuple[Slug, ...] = ()
    timezone: str = "Asia/Shanghai"
    shifts: tuple[Clock, ...] = ("08:00", "16:00", "00:00")
    one_person: bool = False

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, LookupError, ValueError):
            raise ValueError(f"no time zone is called {name!r}; write one as Asia/Shanghai") from None
        return name

    @model_validator(mode="after")
    def _where(self) -> Self:
        if self.one_person and not self.groups:
            raise ValueError(f"site {self.name}: one_person needs groups, to know whose acts the park has to review")
        return self


def clock_of(sites: Sequence[SiteConfig]) -> ZoneInfo:
    """Return the clock of whoever no site stands for: the first site's, and that of a site which says nothing else."""
    return ZoneInfo(sites[0].timezone if sites else SiteConfig.model_fields["timezone"].default)


class MaskConfig(Section):
    """What may be hidden for half an hour of blasting or cleaning: alarms by id, never a ceiling limit (SAFETY S17).

    `people` is the tag that counts who is inside, `input` the mask's own switch, `responsible` who answers for it.
    """

    name: Slug
    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
    hazard_source: Slug
    alarms: tuple[str, ...] = Field(min_length=1)
    people: TagId | Literal[""] = ""
    input: TagId | Literal[""] = ""
    responsible: str = Field(default="", max_length=200)

    @model_validator(mode="after")
    def _below_the_ceiling(self) -> Self:
        wrong = [name for name in self.alarms if name.rpartition("#")[2] in CEILINGS]
        if wrong:
            raise ValueError(f"mask {self.name} would hide ceiling limits, which stay live: {', '.join(wrong)}")
        unknown = [name for name in self.alarms if "#" not in name or name.rpartition("#")[2] not in OF_TAGS]
        if unknown:
            raise ValueError(f"mask {self.name} names no alarm by {', '.join(unknown)}; an id is TAG#KIND")
        return self


class LogConfig(Section):
    """How much of the log stays after every reader is through; past the bounds the oldest goes first."""

    keep_days: float = Field(default=7.0, gt=0)
    keep_bytes: int = Field(default=20 * GIB, ge=1 << 20)


class MonitorConfig(Section):
    """The monitor's pace: records in one slice, age of a snapshot, and the lag past which nothing is confirmed.

    KPIs wait `reorder_s` for stragglers; alarms wait for nothing (SAFETY S1). One snapshot an hour is kept for
    `keep_snapshots_h`, so that "why" can be asked of any moment the log reaches.
    """

    slice_records: int = Field(default=2000, ge=1)
    snapshot_s: float = Field(default=30.0, gt=0, le=30)
    reorder_s: float = Field(default=60.0, ge=0)
    keep_snapshots_h: float = Field(default=168.0, ge=0)
    max_lag_records: int = Field(default=20_000, ge=1)
    max_lag_s: float = Field(default=10.0, gt=0)


class CloudConfig(Section):
    """Everything `davylamp-cloud run FILE` reads."""

    data_dir: Path
    host_id: Slug = "davylamp"
    one_core: bool = True
    """Whether the threads that decide, store and tell share a core; history uses all of them (docs/decisions/0023)."""
    language: Literal["zh", "en"] = "zh"
    broker: BrokerConfig = BrokerConfig()
    http: HttpConfig = HttpConfig()
    historian: HistorianConfig = HistorianConfig()
    log: LogConfig = LogConfig()
    monitor: MonitorConfig = MonitorConfig()
    receivers: tuple[ReceiverConfig, ...] = ()
    tokens: tuple[TokenConfig, ...] = ()
    sites: tuple[SiteConfig, ...] = ()
    masks: tuple[MaskConfig, ...] = ()
    profiles: Path | None = None


def load_config(
    path: Path, historians: Collection[str] = ("duckdb", "influxdb"), notifiers: Collection[str] = ("webhook",)
) -> CloudConfig:
    """Return a config file as a model; relative paths in it start at the file's own folder.

    Raises ConfigError with every mistake of the file in one message, those between keys and missing files included.
    """
    table = read_toml(path)
    mistakes = [f"{path}: {line}" for line in _across(table, path.parent, historians, notifiers)]
    try:
        config = parse(CloudConfig, table, path)
    except ConfigError as error:
        raise ConfigError([*error.mistakes, *mistakes]) from None
    if mistakes:
        raise ConfigError(mistakes)
    return anchored(config, path.parent.resolve())


def _across(table: dict[str, Any], folder: Path, historians: Collection[str], notifiers: Collection[str]) -> list[str]:
    """Return the mistakes that lie between keys. The table may be wrong in any way: nothing is taken for granted."""
    found = [
        line for key in ("receivers", "tokens", "sites", "masks") for line in _repeated(key, tables_in(table, key))
    ]
    found += _unreachable(table)
    found += _unknown_kind("historian.kind", [table_in(table, "historian")], historians)
    found += _unknown_kind("receivers.kind", tables_in(table, "receivers"), notifiers)
    found += missing_files(table, folder)
    return found


def _repeated(key: str, entries: list[dict[str, Any]]) -> list[str]:
    names = [str(entry.get("name")) for entry in entries]
    return [f"{key}: the name {name} is given twice" for name in sorted({n for n in names if names.count(n) > 1})]


def _unreachable(table: dict[str, Any]) -> list[str]:
    host = table_in(table, "http").get("host", "127.0.0.1")
    if tables_in(table, "tokens") or not isinstance(host, str) or HttpConfig(host=host).loopback:
        return []
    way_out = "name at least one of tokens, or listen on 127.0.0.1"
    return [f"http.host: {host} can be reached from other machines, and there is no token: {way_out}"]


def _unknown_kind(key: str, entries: list[dict[str, Any]], known: Collection[str]) -> list[str]:
    kinds = [entry["kind"] for entry in entries if entry.get("kind", "") not in ("", *known)]
    return [f"{key}: there is no {kind!r}; choose one of {', '.join(sorted(known))}" for kind in kinds]


def missing_files(table: dict[str, Any], folder: Path, key: str = "") -> list[str]:
    """Return a line for each key ending in ``_file`` that names nothing readable."""
    found = []
    for name, value in table.items():
        here = f"{key}.{name}".lstrip(".")
        if name.endswith("_file") and isinstance(value, str) and not (folder / value).is_file():
            found.append(f"{here}: the file {value} is not there")
        for number, entry in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(entry, dict):
                found += missing_files(entry, folder, f"{here}.{number}" if isinstance(value, list) else here)
    return found


def table_in(table: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the table under a key; an empty one where there is none."""
    entry = table.get(key)
    return entry if isinstance(entry, dict) else {}


def tables_in(table: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the tables of an array, of whatever else stands there only those."""
    entries = table.get(key)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


Part = TypeVar("Part", bound=Section)


def anchored(section: Part, folder: Path) -> Part:
    """Return a section with every relative path put below `folder`."""
    return section.model_copy(update={name: _below(value, folder) for name, value in section})


def _below(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, Section):
        return anchored(value, folder)
    if isinstance(value, tuple):
        return tuple(_below(entry, folder) for entry in value)
    return value
