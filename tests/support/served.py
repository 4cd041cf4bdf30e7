"""A cloud's parts on a real log, a real state.db and a real historian, filled row by row with what a screen shows.

For tests of API and console that need a certain picture. Tests of the whole path use the real monitor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from davylamp_alarms.definition import Kind
from davylamp_alarms.definition import Register as EngineRegister
from davylamp_alarms.engine import Engine
from davylamp_cloud.api.address import listen
from davylamp_cloud.api.app import create_app
from davylamp_cloud.api.server import HttpServer
from davylamp_cloud.api.tokens import credentials_of
from davylamp_cloud.chain import canonical
from davylamp_cloud.cloud import Cloud
from davylamp_cloud.config import CloudConfig
from davylamp_cloud.console import mount
from davylamp_cloud.console.others import add_others
from davylamp_cloud.engine_age import EngineAge
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.group_commit import GroupCommit
from davylamp_cloud.handling import general
from davylamp_cloud.historian import Rows
from davylamp_cloud.historian.duckdb import DuckDbHistorian
from davylamp_cloud.log import Log
from davylamp_cloud.monitor import Monitor
from davylamp_cloud.outcomes import Committed
from davylamp_cloud.register import Register
from davylamp_cloud.settings import Settings
from davylamp_cloud.store import schema
from davylamp_cloud.store.settings import keep_settings, key_of
from davylamp_cloud.store.state import State
from davylamp_wire.point import Limit, LimitKind, Source, Text
from sqlalchemy import insert

NOW_MS = 1_795_000_000_000
SOURCE = Source(standard="GB/T 50493", clause="5.5.2", edition="2019", basis="memory")


class Quiet:
    """A part that has nothing to report."""

    def __init__(self, **status: Any) -> None:
        self._status = status

    def status(self) -> dict[str, Any]:
        return self._status


@dataclass
class Clock:
    """A clock a test moves."""

    ms: int = NOW_MS

    def __call__(self) -> int:
        return self.ms


def limit(value: float, priority: str | None = None, action: Text | None = None, **more: Any) -> Limit:
    return Limit(value=value, priority=priority, action=action, **{"source": SOURCE, **more})  # type: ignore[arg-type]  # a test's word


@dataclass
class Plant:
    """The parts of a cloud, and hands to fill them."""

    folder: Path
    config: CloudConfig
    now_ms: Any = field(default_factory=Clock)
    set_back_s: float = 0.0

    def __post_init__(self) -> None:
        self.log = Log(self.folder / "log.db")
        self.state = State(self.folder / "state.db")
        self.failures: list[BaseException] = []
        self.commits = GroupCommit(self.log, self.failures.append)
        self.commits.start()
        self.monitor = Monitor(self.log, self.state, self.now_ms)
        self.age = EngineAge(self.monitor.lag, lambda: self.now_ms() / 1000 + self.set_back_s)
        self.age.heard(Committed(0, clock_ms=self.now_ms()))
        self.monitor.on_commit(self.age.heard)
        # The rows are this plant's own: an engine that knows nothing answers what is asked of it.
        self.monitor._evaluator = Evaluator(Engine(EngineRegister()), Register(), self.monitor.live, self.log)
        self.historian = DuckDbHistorian(self.folder / "history")
        ingest = Quiet(messages=12, quarantined=1, nodes={"park/edge1": {"clock_offset_ms": 12}})
        outbox = Quiet(receivers={"park": {"accepting": True}})
        self.cloud = Cloud(
            self.config,
            self.log,
            self.commits,
            self.state,
            self.monitor,
            self.historian,
            ingest,
            outbox,
            Quiet(cursor=0),
            self.now_ms,
            self.age.ms,
        )
        self.server: HttpServer | None = None
        self._seq = 0
        self._numbers: dict[str, int] = {}
        self._births: dict[tuple[str, str], int] = {}

    def serve(self) -> str:
        """Start the real server on a free port and return its address."""
        app = mount(create_app(self.cloud, credentials_of(self.config)))
        add_others(app)
        self.server = HttpServer(app, listen("127.0.0.1", 0), self.failures.append)
        return self.server.start()

    def close(self) -> None:
        if self.server:
            self.server.stop()
        self.commits.stop()
        self.historian.close()
        self.state.close()
        self.log.close()
        assert not self.failures

    def tag(
        self,
        point: str,
        zh: str,
        en: str,
        *,
        source: str = "LC-01",
        device: str = "plc1",
        node: str = "park/edge1",
        plant_tag: str = "",
        unit: str = "ppm",
        kind: str = "gas",
        limits: dict[LimitKind, Limit] | None = None,
        range: tuple[float, float] | None = None,
        device_text: tuple[str, str] = ("液氯库 PLC", "Chlorine store PLC"),
        states: dict[str, dict[str, str]] | None = None,
        confirmed: bool = True,
    ) -> int:
        """Put a tag into the register with its limits, and return its index."""
        with self.state.writing() as connection:
            index = len(self.state.tags())
            settings = Settings(hazard_source=source, kind=kind, unit=unit, range=range, limits=limits or {})
            row = {
                "idx": index,
                "tag_id": f"{node}/{device}/{point}",
                "node": node,
                "device": device,
                "point": point,
                "hazard_source": source,
                "plant_tag": plant_tag,
                "zh": zh,
                "en": en,
                "unit": unit,
                "kind": kind,
                "datatype": "Float",
                "range_low": range[0] if range else None,
                "range_high": range[1] if range else None,
                "silence_s": 10.0,
                "profile": "cl2-store",
                "profile_version": 1,
                "device_zh": device_text[0],
                "device_en": device_text[1],
                "confirmed": confirmed,
                "states": states or {},
                "birth": self._births.setdefault((node, device), len(self._births) + 1),
                "born_seq": 1,
                "limits_version": 1,
                "accepted_by": "birth",
            }
            connection.execute(insert(schema.TAGS).values(row))
            text = canonical(settings.json_form())
            keep_settings(connection, [text])
            connection.execute(
                insert(schema.LIMITS).values(
                    tag=index,
                    version=1,
                    from_seq=1,
                    settings=key_of(text),
                    accepted_by="birth",
                    accepted_ms=self.now_ms(),
                )
            )
        self.monitor.live.grow(index + 1)
        self.monitor._outcomes.publish(Committed(self._seq, (), register_changed=True, clock_ms=self.now_ms()), [])
        return index

    def set_clock_back(self, seconds: float) -> None:
        """Set the host's clock back; the one that the engine's age goes by knows nothing of it."""
        self.now_ms.ms -= round(1000 * seconds)
        self.set_back_s += seconds

    def read(self, tag: int, value: float, quality: int = 0, age_ms: int = 400) -> None:
        """Give a tag a newest reading."""
        at_ms = self.now_ms() - age_ms
        self.monitor.live.store(
            np.array([tag], np.int32),
            np.array([at_ms], np.int64),
            np.array([value], np.float64),
            np.array([quality], np.uint16),
            np.array([at_ms], np.int64),
            {},
        )

    def history(self, tag: int, times_ms: Sequence[int], values: Sequence[float], qualities: Sequence[int]) -> None:
        """Store readings of a tag in the historian."""
        n = len(times_ms)
        self._seq += 1
        self.historian.write(
            Rows(
                np.full(n, self._seq, np.int64),
                np.full(n, tag, np.int32),
                np.array(times_ms, np.int64),
                np.array(values, np.float64),
                np.array(qualities, np.uint16),
                np.ones(n, np.int32),
                np.arange(n, dtype=np.int64),
            ),
            self._seq,
        )

    def link(self, node: str, up: bool, reason: str = "", since_ms: int | None = None) -> None:
        """Say whether an edge is connected."""
        with self.state.writing() as connection:
            connection.execute(
                insert(schema.LINKS).values(
                    node=node, up=up, reason=reason, since_ms=since_ms or self.now_ms() - 3_600_000, seq=1
                )
            )

    def alarm(self, tag: int | None, kind: str, priority: str, letter: str = "B", **more: Any) -> dict[str, Any]:
        """Put an alarm into a state, with its transition; return its row."""
        tags = self.state.tags()
        row = tags[tag] if tag is not None else None
        source = row["hazard_source"] if row else more.pop("source", "LC-01")
        number = self._numbers[source] = self._numbers.get(source, 0) + 1
        self._seq += 1
        age_ms = more.pop("age_ms", 65_000)
        first = general(Kind(kind)).action
        raised_ms = more.pop("raised_ms", self.now_ms() - age_ms)
        step = {
            "lane": "live",
            "occurrence": f"{source}-{number}",
            "version": 1,
            "hazard_source": source,
            "tag": tag if tag is not None else -1,
            "tag_id": row["tag_id"] if row else "",
            "kind": kind,
            "priority": priority,
            "event": "raised",
            "condition": "normal" if letter in "ADEF" else "active",
            "quality": 0,
            "acknowledged": letter in "ACF",
            "latched": letter in "EF",
            "suppressions": ["shelved"] if letter == "G" else [],
            "letter": letter,
            "value": None,
            "limit": None,
            "time_ms": raised_ms,
            "due_ms": None,
            "raised_ms": raised_ms,
            "late": False,
            "late_until_ms": None,
            "scan_ms": 1000,
            "actor": "",
            "comment": "",
        }
        step.update({name: value for name, value in more.items() if name in step})
        alarm_id = more.get("alarm_id") or f"{step['tag_id']}#{kind}"
        alarm = {
            **step,
            "alarm_id": alarm_id,
            "transition": step["occurrence"],
            "seq": self._seq,
            "acknowledged_by": "",
            "acknowledged_ms": None,
            "shelved_until_ms": more.get("shelved_until_ms"),
            "text_zh": f"监测报警 · {source} · {first.zh}",
            "text_en": f"MONITORING · {source} · {first.en}",
        }
        transition = {
            **step,
            "id": step["occurrence"],
            "source_no": number,
            "seq": self._seq,
            "alarm_id": alarm_id,
            "at_ms": raised_ms,
            "body": canonical(more.get("told", {})),
            "prev_hash": "0" * 64,
            "hash": f"{number:064d}",
        }
        with self.state.writing() as connection:
            connection.execute(insert(schema.ALARMS).values(alarm))
            connection.execute(insert(schema.TRANSITIONS).values(transition))
        self.publish(transition)
        return alarm

    def publish(self, *transitions: dict[str, Any]) -> None:
        """Tell the monitor's listeners of a commit, as the monitor does."""
        self.monitor._outcomes.publish(Committed(self._seq, transitions, clock_ms=self.now_ms()), [])
