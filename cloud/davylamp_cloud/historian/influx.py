"""History in InfluxDB: pre-built lines written synchronously, read in InfluxQL (1.x, 2.x and 3 all speak it).

The cursor is a small file written after the rows. A kill in between writes the same rows again, each onto itself
(same series, same time). A reading the store refuses for ever goes to ``influx-quarantine.lp`` with its reason, and
the rest goes on.
"""

import json
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import urllib3
from davylamp_wire.config import ConfigError, secret_from
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS, WriteApi
from influxdb_client.rest import ApiException

from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import HistorianUnavailable, Names, Rows, Series, Trend
from davylamp_cloud.historian.influx_lines import FIRST_MS, LAST_MS, Device, field_of, lines_of, split_fields
from davylamp_cloud.historian.influx_read import (
    NO_TREND,
    page_query,
    series_of,
    trend_of,
    trend_query,
)

LOG = structlog.get_logger()

PART_ROWS = 25_000
PLAIN_LINES = 5_000
IN_FLIGHT = 2
"""Parts on their way at once; their order does not matter, for each reading has its own place."""

COUNT_PAGE = 100_000
QUARANTINE_BYTES = 64 << 20
REFUSED_LINES = (400, 413, 422)
NOT_ALLOWED = (401, 403, 404)
EXPIRED = "retention policy"
"""What every version says of points older than the bucket keeps: they need no place any more, and are counted."""


class InfluxHistorian:
    """A bucket of an InfluxDB. The feed's thread writes; any thread reads."""

    def __init__(self, config: HistorianConfig, token: str, folder: Path, names: Names) -> None:
        assert config.url is not None, "the config demands it"
        self._config = config
        self._names = names
        self._folder = folder
        self._headers = {"Authorization": f"Token {token}"} if token else {}
        self._client = InfluxDBClient(
            config.url, token=token or "-", org=config.org, timeout=int(config.timeout_s * 1000), retries=False
        )
        self._writer: WriteApi = self._client.write_api(write_options=SYNCHRONOUS)
        timeout = urllib3.Timeout(total=config.timeout_s)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False, headers=self._headers)
        self._prefixes: dict[int, str] = {}
        self._fields: dict[int, str] = {}
        self._known = np.zeros(0, np.bool_)
        self._blocked: set[int] = set()
        self._aside = threading.Lock()
        self.quarantined = 0
        self.expired = 0
        self._cursor = self._stored_cursor()

    @classmethod
    def open(cls, config: HistorianConfig, data_dir: Path, names: Names) -> "InfluxHistorian":
        """Read the token; the first write tells whether the store is there."""
        if not config.url:
            raise ConfigError(["historian: influxdb needs url, for example http://127.0.0.1:8086"])
        token = secret_from(config.token_file, None, "the InfluxDB token")
        data_dir.mkdir(parents=True, exist_ok=True)
        return cls(config, token.get_secret_value() if token else "", data_dir, names)

    def cursor(self) -> int:
        """Return the log number up to which everything is stored."""
        return self._cursor

    def write(self, rows: Rows, cursor: int) -> None:
        """Write rows, then the cursor."""
        fresh = self._set_aside(rows.where(rows.seqs > self._cursor))
        self._learn(fresh)
        with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="influx-write") as sender:
            sent: deque[Future[None]] = deque()
            for part in _parts(fresh):
                lines = lines_of(part, self._prefixes, self._fields)  # while the parts before are on their way
                if len(sent) == IN_FLIGHT:
                    sent.popleft().result()
                sent.append(sender.submit(self._write_lines, lines))
            for part_sent in sent:
                part_sent.result()
        self._keep_cursor(cursor)

    def write_plain(self, lines: Iterable[str]) -> None:
        """Write lines that are no readings (historian/announce.py), apart from the cursor."""
        rest = iter(lines)
        while chunk := list(islice(rest, PLAIN_LINES)):
            self._write_lines(chunk)

    def doubt(self, after: int, tags: int) -> None:
        """Do nothing: a reading that comes again meets itself, and series have names instead of indices."""

    def read(self, tag: int, from_ms: int, to_ms: int, limit: int | None = None) -> Series:
        """Return a tag's readings, whatever profile and hazard source its device had then."""
        tag_id, wanted = self._names.tag_id(tag), None if limit is None else limit + 1
        found = self._query(page_query(tag_id, from_ms, to_ms, wanted))
        return series_of(found, field_of(tag_id.rsplit("/", 1)[1]), limit)

    def trend(self, tag: int, from_ms: int, to_ms: int, step_ms: int = 60_000) -> Trend:
        """Return a tag in steps, computed by the store."""
        if from_ms >= to_ms:
            return NO_TREND
        return trend_of(self._query(trend_query(self._names.tag_id(tag), from_ms, to_ms, step_ms)))

    def count(self, tag: int) -> int:
        """Return how many readings of a tag are stored, page by page."""
        total, from_ms = 0, FIRST_MS
        while True:
            page = self.read(tag, from_ms, LAST_MS + 1, COUNT_PAGE)
            if not page.truncated:
                return total + len(page)
            # The last millisecond may continue on the next page: it is counted there as a whole.
            last = int(page.times_ms[-1])
            total += int(np.count_nonzero(page.times_ms < last))
            if last == from_ms:
                raise HistorianUnavailable(f"more than {COUNT_PAGE} readings of one tag in one millisecond")
            from_ms = last

    def expire(self, before_ms: int) -> int:
        """Do nothing: the bucket's own retention does it."""
        return 0

    def close(self) -> None:
        """Close the connections."""
        self._writer.close()  # type: ignore[no-untyped-call]  # the client's own signature
        self._client.close()  # type: ignore[no-untyped-call]  # the client's own signature
        self._pool.clear()

    def _set_aside(self, rows: Rows) -> Rows:
        """Return the rows InfluxDB can take; the others go to the quarantine."""
        wild = (rows.times_ms < FIRST_MS) | (rows.times_ms > LAST_MS)
        blocked = np.isin(rows.tags, list(self._blocked)) if self._blocked else np.zeros(len(rows), np.bool_)
        for mask, reason in ((wild, "no time InfluxDB can hold"), (blocked & ~wild, "field type conflict")):
            if mask.any():
                aside = rows.where(mask)
                self._quarantine([_plain(aside, at, self._names) for at in range(len(aside))], reason)
        return rows.where(~(wild | blocked))

    def _learn(self, rows: Rows) -> None:
        """Ask for the names of births and tags not written before; nearly always there are none."""
        for birth in np.unique(rows.births[np.flatnonzero(np.diff(rows.births, prepend=-1))]).tolist():
            if birth not in self._prefixes:
                self._prefixes[birth] = _device_of(birth, self._names).prefix
        top = int(rows.tags.max(initial=-1)) + 1
        if top > len(self._known):
            self._known = np.concatenate([self._known, np.zeros(top, np.bool_)])
        for tag in np.unique(rows.tags[~self._known[rows.tags]]).tolist():
            self._fields[tag] = field_of(self._names.tag_id(tag).rsplit("/", 1)[1])
            self._known[tag] = True

    def _write_lines(self, lines: Sequence[str]) -> None:
        """Write lines; those it refuses are narrowed down to the one point that is refused."""
        try:
            self._writer.write(self._config.bucket, record="\n".join(lines).encode())
        except ApiException as error:
            if error.status not in REFUSED_LINES:
                raise HistorianUnavailable(_advice(error, self._config)) from None
            self._narrow(lines, error)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise HistorianUnavailable(f"InfluxDB does not answer ({type(error).__name__})") from None

    def _narrow(self, lines: Sequence[str], error: ApiException) -> None:
        reason = _message(error)
        if EXPIRED in reason:
            self.expired += 1  # the rest of the chunk was written: all versions drop only such points
            return
        if len(lines) > 1:
            half = len(lines) // 2
            self._write_lines(lines[:half])
            self._write_lines(lines[half:])
            return
        points = split_fields(lines[0])
        if len(points) > 1:
            self._write_each(points)
            return
        self._block(lines[0], reason)
        self._quarantine(lines, reason)

    def _write_each(self, points: Sequence[str]) -> None:
        for point in points:
            self._write_lines([point])

    def _block(self, line: str, reason: str) -> None:
        """Send a tag whose field has another type in the store to the quarantine at once from now on."""
        if "conflict" not in reason:
            return
        for tag, field in self._fields.items():
            device = self._names.tag_id(tag).split("/")[2]
            if f" {field}=" in line and f",device={device}," in line:
                self._blocked.add(tag)

    def _quarantine(self, lines: Sequence[str], reason: str) -> None:
        if not self.quarantined:
            LOG.error("InfluxDB refuses readings", reason=reason, kept_in="influx-quarantine.lp")
        path = self._folder / "influx-quarantine.lp"
        with self._aside, open(path, "a", encoding="utf-8") as file:
            self.quarantined += len(lines)
            if file.tell() < QUARANTINE_BYTES:
                file.write(f"# {reason}\n" + "".join(f"{line}\n" for line in lines))

    def _query(self, query: str) -> list[Mapping[str, Any]]:
        """Return the series of an InfluxQL answer; integers come as text so that none is rounded."""
        database, _, policy = self._config.bucket.partition("/")
        fields = {"db": database, "q": query, "epoch": "ns", **({"rp": policy} if policy else {})}
        try:
            answer = self._pool.request("GET", f"{self._config.url}/query", fields=fields)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise HistorianUnavailable(f"InfluxDB does not answer ({type(error).__name__})") from None
        if answer.status != 200:
            raise HistorianUnavailable(f"InfluxDB answers {answer.status} to a query")
        result = json.loads(answer.data, parse_int=str, parse_float=str)["results"][0]
        if "error" in result:
            raise HistorianUnavailable(f"InfluxDB: {result['error']}")
        return list(result.get("series", ()))

    @property
    def _store(self) -> str:
        return f"{self._config.url} {self._config.org} {self._config.bucket}"

    def _stored_cursor(self) -> int:
        """Return the cursor of this very bucket; another one is filled from the log's beginning."""
        try:
            kept = json.loads((self._folder / "influx-cursor.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0
        return int(kept["cursor"]) if kept.get("store") == self._store else 0

    def _keep_cursor(self, cursor: int) -> None:
        path = self._folder / "influx-cursor.json"
        fresh = path.with_suffix(".new")
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump({"store": self._store, "cursor": cursor}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
        self._cursor = cursor


def _parts(rows: Rows) -> Iterator[Rows]:
    """Yield rows in parts of about PART_ROWS, cut between records: a record's lines are made together."""
    edges = np.flatnonzero(np.diff(rows.seqs)) + 1
    start = 0
    while start < len(rows):
        later = edges[np.searchsorted(edges, start + PART_ROWS) :]
        end = int(later[0]) if len(later) else len(rows)
        yield rows if end - start == len(rows) else rows.between(start, end)
        start = end


def _device_of(identity: int, names: Names) -> Device:
    """Return a birth's series. Its names are those of its tags' ids, which is what a read asks for."""
    birth = names.birth(identity)
    group, node, device, _ = names.tag_id(next(index for index in birth.indices if index >= 0)).split("/", 3)
    described = json.loads(birth.description) if birth.description else {}
    return Device(described.get("profile", ""), group, node, device, described.get("hazard_source", ""))


def _plain(rows: Rows, at: int, names: Names) -> str:
    """Return a row for a person to read, where it has no line."""
    tag = names.tag_id(int(rows.tags[at]))
    text = rows.texts.get(at, "")
    return f"# {tag} {int(rows.times_ms[at])} {float(rows.values[at])!r} {int(rows.qualities[at])} {text!r}"


def _message(error: ApiException) -> str:
    body = error.body if isinstance(error.body, str) else ""
    try:
        told = json.loads(body)
    except ValueError:
        return body[:300] or f"status {error.status}"
    return str(told.get("error") or told.get("message") or body)[:300]


def _advice(error: ApiException, config: HistorianConfig) -> str:
    if error.status in NOT_ALLOWED:
        return f"InfluxDB answers {error.status}: check historian.token_file, org {config.org}, bucket {config.bucket}"
    return f"InfluxDB answers {error.status}"
