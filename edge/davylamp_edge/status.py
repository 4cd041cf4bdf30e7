"""How the edge is doing: counters, and two small pages on a local port for whoever watches the watcher.

GET /healthz   200 while readings reach the disk, 503 with the reason while they do not
GET /metrics   Prometheus text format 0.0.4
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus

import structlog

from davylamp_edge.beacon.beacon import BeaconStatus
from davylamp_edge.config import StatusConfig
from davylamp_edge.line import DeviceStatus
from davylamp_edge.publisher import Published
from davylamp_edge.reload import Reloads
from davylamp_edge.uplink import UplinkCounters
from davylamp_edge.ways import Fares

log = structlog.get_logger(__name__)

REQUEST_BYTES = 4096
REQUEST_S = 5.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The edge at one moment."""

    node: str
    state: str
    refusal: str | None
    journal_bytes: int
    backlog: int
    backlog_age_s: float
    """How long the oldest unconfirmed record has waited."""
    buffer_percent: float
    """The share of the journal's bound that unconfirmed records take."""
    last_record: int
    holes: int
    damaged: int
    lost: dict[str, int]
    appended: int
    batches: int
    waiting: int
    unfit: int
    in_flight: int
    resent: int
    backlog_rate: float
    """Records a second that the way to the cloud takes now."""
    clock_offset_ms: int | None
    clock_wrong: bool
    certificates: Mapping[str, float]
    """Days left of the certificates on the way to the broker."""
    opcua_certificates: Mapping[str, float]
    """Days left of those on the way to OPC UA servers."""
    uplink: UplinkCounters
    published: Published
    reloads: Reloads
    devices: Sequence[DeviceStatus]
    config: str = ""
    """A fingerprint of the config that runs."""
    ways: Sequence[Fares] = ()
    """How each way to the broker fares, where there are two."""
    way_changes: int = 0
    beacon: BeaconStatus | None = None
    """None where no beacon is configured."""
    local_alarms: Mapping[str, int] = field(default_factory=dict)
    """Of the alarms decided here how many stand, and counters, by the names of their metrics; empty where none are."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: HTTPStatus
    content_type: str
    text: str

    def encode(self) -> bytes:
        """Return it as HTTP/1.1, the connection to be closed after it."""
        body = self.text.encode()
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


class StatusServer:
    """Serves the two pages; does nothing where no port is configured."""

    def __init__(self, config: StatusConfig | None, snapshot: Callable[[], Snapshot]) -> None:
        self._config = config
        self._snapshot = snapshot
        self.port: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. A port that is taken is said and costs the page, not the polling."""
        if self._config is None:
            return
        try:
            server = await asyncio.start_server(self._answer, self._config.host, self._config.port)
        except OSError as error:
            log.error("status page cannot be served", port=self._config.port, error=str(error))
            return
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            log.info("status page served", host=self._config.host, port=self.port)
            await stop.wait()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write((await asyncio.to_thread(self._page, request)).encode())
                await writer.drain()
        except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or does not speak HTTP
        finally:
            writer.close()

    def _page(self, request: bytes) -> Page:
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return Page(HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", "GET only\n")
        if path == b"/healthz":
            return health(self._snapshot())
        if path == b"/metrics":
            return Page(HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", metrics(self._snapshot()))
        return Page(HTTPStatus.NOT_FOUND, "text/plain", "/healthz and /metrics are here\n")


def health(now: Snapshot) -> Page:
    """Return whether readings are safe here; a lost broker is no fault of the edge and shows as its state."""
    status = HTTPStatus.OK if now.refusal is None else HTTPStatus.SERVICE_UNAVAILABLE
    silent = [device.name for device in now.devices if device.lost_since_ms is not None]
    told: dict[str, object] = {
        "node": now.node,
        "uplink": now.state,
        "journal": now.refusal or "ok",
        "devices_silent": silent,
        "clock": "wrong" if now.clock_wrong else "ok",
        "config": list(now.reloads.mistakes) or "ok",
    }
    if now.certificates:
        told["certificate_days"] = now.certificates
    if now.opcua_certificates:
        told["opcua_certificate_days"] = now.opcua_certificates
    if now.ways:
        told["ways"] = {fares.way.name: _in_words(fares) for fares in now.ways}
    if now.beacon is not None:
        told["beacon"] = _beacon_in_words(now.beacon)
    return Page(status, "application/json", json.dumps(told, ensure_ascii=False) + "\n")


def _in_words(fares: Fares) -> str:
    state = {None: "not tried yet", True: "ok", False: f"lost: {fares.reason}"}[fares.well]
    return f"{state}, taken" if fares.taken else state


def _beacon_in_words(beacon: BeaconStatus) -> dict[str, object]:
    module = {None: "not tried yet", True: "ok", False: f"lost: {beacon.reason}"}[beacon.well]
    return {"state": beacon.state, **beacon.shown, "engines_silent": list(beacon.silent), "module": module}


def metrics(now: Snapshot) -> str:
    """Return every counter in Prometheus text format."""
    return "".join(f"{line}\n" for line in _lines(now))


def _lines(now: Snapshot) -> Iterator[str]:
    plain = {
        "journal_bytes": now.journal_bytes,
        "journal_last_record": now.last_record,
        "journal_refused": int(now.refusal is not None),
        "journal_holes_unconfirmed": now.holes,
        "journal_damaged_total": now.damaged,
        "journal_appended_total": now.appended,
        "journal_batches_total": now.batches,
        "journal_waiting": now.waiting,
        "readings_unfit_total": now.unfit,
        "backlog_records": now.backlog,
        "backlog_age_seconds": now.backlog_age_s,
        "backlog_percent_of_journal": now.buffer_percent,
        "clock_wrong": int(now.clock_wrong),
        "config_reloads_total": now.reloads.taken,
        "config_refused_total": now.reloads.refused,
        "config_refused": int(bool(now.reloads.mistakes)),
        "uplink_in_flight": now.in_flight,
        "uplink_resent": now.resent,
        "uplink_backlog_rate": round(now.backlog_rate),
        "uplink_online": int(now.state == "online"),
        **{f"uplink_{name}_total": value for name, value in asdict(now.uplink).items()},
        **{f"local_alarms_{name}": value for name, value in now.local_alarms.items()},
        **{f"published_{name}_total": value for name, value in asdict(now.published).items()},
    }
    if now.clock_offset_ms is not None:
        plain["clock_offset_ms"] = now.clock_offset_ms
    for name, value in plain.items():
        yield f"# TYPE davylamp_edge_{name} {'counter' if name.endswith('_total') else 'gauge'}"
        yield f'davylamp_edge_{name}{{node="{now.node}"}} {value}'
    yield "# TYPE davylamp_edge_records_lost_total counter"
    for journal_class, count in now.lost.items():
        yield f'davylamp_edge_records_lost_total{{node="{now.node}",class="{journal_class}"}} {count}'
    yield from _certificate_lines(now, "certificate_days", now.certificates)
    yield from _certificate_lines(now, "opcua_certificate_days", now.opcua_certificates)
    yield from _way_lines(now)
    yield from _beacon_lines(now)
    yield from _device_lines(now)


def _certificate_lines(now: Snapshot, name: str, days: Mapping[str, float]) -> Iterator[str]:
    if days:
        yield f"# TYPE davylamp_edge_{name} gauge"
    for certificate, left in days.items():
        yield f'davylamp_edge_{name}{{node="{now.node}",certificate="{certificate}"}} {left}'


def _way_lines(now: Snapshot) -> Iterator[str]:
    if now.ways:
        yield "# TYPE davylamp_edge_way_changes_total counter"
        yield f'davylamp_edge_way_changes_total{{node="{now.node}"}} {now.way_changes}'
        yield "# TYPE davylamp_edge_way_taken gauge"
    for fares in now.ways:
        yield f'davylamp_edge_way_taken{{node="{now.node}",way="{fares.way.name}"}} {int(fares.taken)}'
    tried = [fares for fares in now.ways if fares.well is not None]
    if tried:
        yield "# TYPE davylamp_edge_way_well gauge"
    for fares in tried:
        yield f'davylamp_edge_way_well{{node="{now.node}",way="{fares.way.name}"}} {int(bool(fares.well))}'


def _beacon_lines(now: Snapshot) -> Iterator[str]:
    beacon = now.beacon
    if beacon is None:
        return
    figures = {
        **{f"beacon_{name}": int(is_on) for name, is_on in beacon.shown.items()},
        "beacon_lost": int(beacon.well is False),
        "beacon_engines_silent": len(beacon.silent),
        "beacon_writes_total": beacon.writes,
        "beacon_losses_total": beacon.losses,
    }
    for name, value in figures.items():
        yield f"# TYPE davylamp_edge_{name} {'counter' if name.endswith('_total') else 'gauge'}"
        yield f'davylamp_edge_{name}{{node="{now.node}"}} {value}'


def _device_lines(now: Snapshot) -> Iterator[str]:
    for name in ("scans", "requests", "late", "losses", "dropped", "unanswered_ms"):
        yield f"# TYPE davylamp_edge_device_{name}_total counter"
        for device in now.devices:
            labels = f'node="{now.node}",device="{device.name}"'
            yield f"davylamp_edge_device_{name}_total{{{labels}}} {getattr(device, name)}"
    yield "# TYPE davylamp_edge_device_answers gauge"
    for device in now.devices:
        labels = f'node="{now.node}",device="{device.name}"'
        yield f"davylamp_edge_device_answers{{{labels}}} {int(device.lost_since_ms is None)}"
