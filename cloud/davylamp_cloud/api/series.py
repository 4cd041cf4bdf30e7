"""What Prometheus is told of the cloud: few series, none per tag, per alarm or per occurrence."""

from collections.abc import Iterator, Mapping
from typing import Any

from davylamp_alarms.performance.flood import WINDOW_MS
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from davylamp_cloud.api.board import counts, read_standing
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.store import schema
from davylamp_cloud.store.performance import annunciated


def latest(parts: Parts) -> bytes:
    """Return every series as it stands now, in Prometheus's text; reads the disk."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Now(parts))
    return generate_latest(registry)


class _Now(Collector):
    """Everything worth watching, asked for at the moment of the scrape."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        yield from _log_and_readers(self._parts)
        yield from _alarms(self._parts)
        yield from _load(self._parts)
        yield from _outbox(self._parts)
        ingest = self._parts.cloud.ingest.status()
        yield from _ingest(ingest)
        connected = ingest.get("connected") is not False
        yield _gauge("davylamp_broker_connected", "1 while ingest has its broker", connected)
        yield _gauge("davylamp_console_screens", "Screens that watch live", self._parts.hub.screens)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _log_and_readers(parts: Parts) -> Iterator[Metric]:
    cloud, beat, lag = parts.cloud, parts.hub.heartbeat(), parts.cloud.monitor.lag()
    yield _gauge("davylamp_log_seq", "Number of the newest record of the log", cloud.log.last_seq)
    yield _gauge("davylamp_log_bytes", "Bytes the log's records occupy", cloud.log.size_bytes())
    yield _gauge("davylamp_monitor_seq", "Number of the newest evaluated record", cloud.monitor.position)
    yield _gauge("davylamp_monitor_lag_records", "Records the engine has not evaluated yet", lag.records)
    yield _gauge("davylamp_monitor_lag_seconds", "Age of the oldest record not evaluated yet", lag.ms / 1000)
    yield _gauge("davylamp_engine_age_seconds", "Time since the engine last committed", beat.engine_age_ms / 1000)
    feed = cloud.feed.status()
    yield _gauge("davylamp_historian_lag_records", "Records not in the historian yet", feed.get("lag_records", 0))
    yield _gauge("davylamp_historian_up", "1 while the historian takes rows", feed.get("down_since_ms") is None)
    yield _gauge("davylamp_tags", "Tags in the register", len(cloud.log.births))


def _alarms(parts: Parts) -> Iterator[Metric]:
    standing = GaugeMetricFamily("davylamp_alarms_standing", "Standing alarms, hidden ones aside", labels=["level"])
    waiting = GaugeMetricFamily("davylamp_alarms_unacknowledged", "Alarms nobody acknowledged", labels=["level"])
    for count in counts(read_standing(parts.cloud.state)):
        standing.add_metric([count.level], count.standing)
        waiting.add_metric([count.level], count.unacknowledged)
    yield standing
    yield waiting


def _load(parts: Parts) -> Iterator[Metric]:
    """Yield how much each position hears: those of the config, and any other that heard something."""
    state, table = parts.cloud.state, schema.FLOODS
    with state.reading() as connection:
        heard = annunciated(connection, parts.cloud.now_ms() - WINDOW_MS)
    lasting = {row["position"] for row in state.rows(select(table.c.position).where(table.c.ended_ms == 0))}
    configured = {group for site in parts.cloud.config.sites for group in site.groups}
    counts = GaugeMetricFamily(
        "davylamp_alarms_annunciated_10m", "Alarms that sounded in the last ten minutes", labels=["position"]
    )
    floods = GaugeMetricFamily("davylamp_flood", "1 while a flood lasts", labels=["position"])
    for position in sorted(configured | lasting | heard.keys()):
        counts.add_metric([position], heard.get(position, 0))
        floods.add_metric([position], position in lasting)
    yield counts
    yield floods
    advice = select(func.count().label("open")).select_from(schema.ADVICE).where(schema.ADVICE.c.closed == "")
    waiting = state.rows(advice)
    yield _gauge("davylamp_advice_open", "Advice on alarms that nobody dismissed", waiting[0]["open"])


def _outbox(parts: Parts) -> Iterator[Metric]:
    """Yield what waits per configured receiver; one that left the config has no series of its own."""
    table = schema.OUTBOX
    query = select(table.c.receiver, table.c.state, func.count().label("notices")).group_by("receiver", "state")
    found = {(row["receiver"], row["state"]): row["notices"] for row in parts.cloud.state.rows(query)}
    notices = GaugeMetricFamily(
        "davylamp_outbox_notices", "Notices by receiver and state", labels=["receiver", "state"]
    )
    for receiver in parts.cloud.config.receivers:
        for state in ("pending", "failed"):
            notices.add_metric([receiver.name, state], found.get((receiver.name, state), 0))
    yield notices


def _ingest(status: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield ingest's own counters: plain whole numbers of its status, by their names."""
    counter = CounterMetricFamily("davylamp_ingest", "What ingest counted since its start", labels=["what"])
    for name, value in status.items():
        if isinstance(value, int) and not isinstance(value, bool):
            counter.add_metric([name], value)
    yield counter
