"""Alarms and limits as time series in InfluxDB, so that Grafana shows them beside the values.

```
state.db ──► Announcer (own cursor) ──► davylamp_alarm   a point per transition; each minute one per standing alarm
                                    └─► davylamp_limit   each minute one per tag with limits, a field per kind
```

Only a picture: alarms are decided, kept and told elsewhere, and none waits for this. What is written twice meets
itself (same series, same time). A store that is down is asked again; nothing is lost, because the cursor waits.
"""

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import structlog
from sqlalchemy import select

from davylamp_cloud.historian import HistorianUnavailable
from davylamp_cloud.historian.influx_lines import NS
from davylamp_cloud.settings import Settings
from davylamp_cloud.store import schema
from davylamp_cloud.store.settings import all_settings
from davylamp_cloud.store.state import Row, State

LOG = structlog.get_logger()

PERIOD_MS = 60_000
PAGE = 500
NORMAL = "A"


@runtime_checkable
class TakesLines(Protocol):
    """A store that takes line protocol as it is."""

    def write_plain(self, lines: Iterable[str]) -> None: ...


def alarm_line(row: Row, at_ms: int, order: int, event: str) -> str:
    """Return a transition, or a standing alarm, as a line; `order` keeps what shares a millisecond apart."""
    tags = {"alarm": row["alarm_id"], "hazard_source": row["hazard_source"]}
    fields = {
        "standing": 0.0 if row["letter"] == NORMAL else 1.0,
        "event": event,
        "letter": row["letter"],
        "priority": row["priority"],
        "plant_tag": row.get("plant_tag") or row["tag_id"],
        "text_zh": row["text_zh"],
        "text_en": row["text_en"],
        **{name: row[name] for name in ("value", "limit") if row[name] is not None},
    }
    return line("davylamp_alarm", tags, fields, at_ms * NS + order % 1000)


def limit_line(tag_id: str, hazard_source: str, limits: Mapping[str, float], at_ms: int) -> str:
    """Return a tag's limits in force as a line."""
    group, node, device, point = tag_id.split("/", 3)
    tags = {"device": device, "group": group, "hazard_source": hazard_source, "node": node, "point": point}
    return line("davylamp_limit", tags, dict(limits), at_ms * NS)


def line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, Any], at_ns: int) -> str:
    """Return line protocol; a number is always a float, so a field's type never depends on who came first."""
    head = measurement + "".join(f",{key}={_key(value or '-')}" for key, value in tags.items())
    body = ",".join(f"{key}={_field(value)}" for key, value in fields.items())
    return f"{head} {body} {at_ns}"


def _key(value: str) -> str:
    flat = value.replace("\\", "_").replace("\n", "_").replace("\r", "_")
    return flat.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _field(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(float(value))


class Announcer:
    """The thread that draws alarms and limits. `wake` may be called from any thread."""

    def __init__(self, state: State, store: TakesLines, folder: Path, now_ms: Callable[[], int]) -> None:
        self._state = state
        self._store = store
        self._path = folder / "influx-announced.json"
        self._now_ms = now_ms
        self._cursor = self._kept()
        self._drawn_ms = 0
        self._ready = threading.Event()
        self._stopping = False
        self._down = False
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self, *_: object) -> None:
        """Look for new transitions now."""
        self._ready.set()

    def stop(self) -> None:
        """End the thread; what is not drawn yet is drawn after the next start."""
        self._stopping = True
        self._ready.set()
        if self._thread.is_alive():
            self._thread.join()

    def draw(self) -> None:
        """Write what is new, and each minute what stands and what the limits are.

        Raises: HistorianUnavailable; nothing is forgotten then.
        """
        while rows := self._next():
            self._store.write_plain(
                alarm_line({**row, **_texts(row)}, row["at_ms"], row["source_no"], row["event"]) for row in rows
            )
            self._keep(rows[-1]["seq"])
        now_ms = self._now_ms()
        if now_ms - self._drawn_ms >= PERIOD_MS and (picture := self._picture(now_ms)):
            self._store.write_plain(picture)
            self._drawn_ms = now_ms

    def _next(self) -> list[Row]:
        """Return the next transitions, all those of a record or none: the cursor is a record's number."""
        limit = PAGE
        while len(rows := self._state.transitions(after=self._cursor, limit=limit)) == limit:
            whole = [row for row in rows if row["seq"] < rows[-1]["seq"]]
            if whole:
                return whole
            limit *= 2
        return rows

    def _picture(self, now_ms: int) -> list[str]:
        """Return every standing alarm and every tag's limits, as of now."""
        standing = [alarm_line(row, now_ms, 0, "standing") for row in self._state.standing_alarms()]
        return standing + [limit_line(*found, now_ms) for found in self._limits()]

    def _limits(self) -> Iterable[tuple[str, str, dict[str, float]]]:
        tags, limits = schema.TAGS, schema.LIMITS
        with self._state.reading() as connection:
            values = {key: _values(settings) for key, settings in all_settings(connection).items()}
            query = select(tags.c.tag_id, tags.c.hazard_source, limits.c.settings)
            query = query.join(limits, limits.c.tag == tags.c.idx).where(limits.c.to_seq.is_(None))
            rows = connection.execute(query).all()
        return [(tag_id, source, values[key]) for tag_id, source, key in rows if values[key]]

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.draw()
            except HistorianUnavailable as error:
                if not self._down:
                    LOG.warning(
                        "InfluxDB takes no alarms for Grafana; the alarms themselves are not affected", why=str(error)
                    )
                self._down = True
            except Exception as error:  # a mistake in a picture must neither stop the cloud nor end the thread unheard
                LOG.error("alarms cannot be drawn for Grafana; tried again", error=repr(error))
            else:
                self._down = False
            self._ready.wait(5.0)
            self._ready.clear()

    def _kept(self) -> int:
        try:
            return int(json.loads(self._path.read_text(encoding="utf-8"))["cursor"])
        except (OSError, ValueError, KeyError):
            return 0

    def _keep(self, cursor: int) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({"cursor": cursor}), encoding="utf-8")
        os.replace(fresh, self._path)
        self._cursor = cursor


def _values(settings: Settings) -> dict[str, float]:
    return {str(kind): limit.value for kind, limit in settings.limits.items()}


def _texts(row: Row) -> dict[str, str]:
    """Return a transition's texts: they lie in the body of its notice."""
    body = json.loads(row["body"])
    text = body.get("text", {})
    return {
        "text_zh": str(text.get("zh", "")),
        "text_en": str(text.get("en", "")),
        "plant_tag": str(body.get("plant_tag", "")),
    }
