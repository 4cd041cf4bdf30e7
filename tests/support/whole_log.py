"""A whole log, record by record, as a small plant and its people would leave it; what a person does depends on what
stands, so the log is written while it is evaluated."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from davylamp_alarms.definition import Register as EngineRegister
from davylamp_alarms.engine import Engine
from davylamp_cloud.beside import NOTHING, Beside
from davylamp_cloud.config import MaskConfig, SiteConfig
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.introduction import said_by_device
from davylamp_cloud.live import Live
from davylamp_cloud.log import Log, NewRecord, RecordKind
from davylamp_cloud.register import Register
from davylamp_cloud.site import site_change
from davylamp_cloud.ticker import tick
from davylamp_cloud.work import Work
from davylamp_wire.decode import decode
from davylamp_wire.point import Point
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from hypothesis import strategies as st

from support.speaker import SOURCE, START_MS, Speaker, gas_point, group, limit

Step = tuple[str, Any]

SITE = SiteConfig(name="park", zh="园区", en="park", groups=("park",), one_person=True)
STORE = "park/edge-1/store"
MASKS = (
    MaskConfig(name="cleaning", hazard_source="cl2-store", zh="清洗", en="cleaning", people=f"{STORE}/people",
               input=f"{STORE}/key", alarms=(f"{STORE}/gas#L1", f"{STORE}/gas#STALE")),
    MaskConfig(name="blasting", hazard_source="cl2-store", zh="爆破", en="blasting", alarms=(f"{STORE}/level#H",)),
)  # fmt: skip


def plain(kind: str, **more: Any) -> Point:
    return Point.model_validate({"zh": kind, "en": kind, "unit": "m", "kind": kind, "type": "float64", **more})


def warned(**rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return statistical rules as a profile has them."""
    return {name: {"source": SOURCE, **rule} for name, rule in rules.items()}


LEVEL = {"H": limit(6.0, deadband=0.5, on_delay_s=2, off_delay_s=2), "HH": limit(8.0, latch=True)}
WARNED = warned(
    trend={"settings": {"samples": 6, "horizon_s": 30, "share": 0.2, "confidence": 0.2}, "towards": ("H", "HH")},
    rate={"settings": {"window_s": 2, "limit": 20}, "on_delay_s": 1},
    expression={"settings": {"text": "level > 5 and gas < 2"}, "inputs": ("level", f"{STORE}/gas")},
)
FASTER = warned(rate={"settings": {"window_s": 1, "limit": 20}}, frozen={"settings": {"still_s": 3, "band": 0.1}})
GAS, STATUS = gas_point(max_silence_s=5.0), plain("status", unit="")
BIRTHS: Mapping[str, tuple[Mapping[str, Point], ...]] = {
    "store": (
        {"gas": GAS, "comm_ok": STATUS},
        {"gas": GAS, "comm_ok": STATUS, "people": STATUS, "key": STATUS},
        {"gas": gas_point(max_silence_s=5.0, zh="一号氯气"), "comm_ok": STATUS},
        {"gas": gas_point(max_silence_s=5.0, limits={"L1": limit(0.5, on_delay_s=1)}), "comm_ok": STATUS},
        {"gas": GAS, "comm_ok": STATUS, "level": plain("process", limits=LEVEL, range=(0.0, 10.0))},
    ),
    "tank": (
        {"comm_ok": STATUS, "level": plain("process")},
        {"comm_ok": STATUS, "level": plain("process", limits={"H": limit(6.0, priority="blue")})},
        {"level": plain("process", limits={**LEVEL, "HH": limit(8.0, priority="red")}), "comm_ok": STATUS},
        {"comm_ok": STATUS, "level": plain("process", limits=LEVEL, warnings=WARNED)},
        {"comm_ok": STATUS, "level": plain("process", limits=LEVEL, warnings=WARNED | FASTER)},
    ),
    "meter": ({"pressure": plain("process")}, {"pressure": plain("process", unit="bar")}),
}
"""What each device may say it is, one time or another: more points, other words, other limits, louder ones."""

GROUPS = {"both": group("gas", "level", limit="H", need=1, blind_at=1)}
"""Of a device that has both points."""

WANTED: tuple[dict[str, Any], ...] = (
    {"L1": limit(0.7, deadband=0.1)},
    {"L1": limit(2.0), "L2": limit(3.0, deadband=0.3)},
    {"H": limit(6.0, priority="yellow")},
    {"H": limit(4.0, on_delay_s=3), "HH": limit(5.0, priority="red")},
    {},
)
"""Limits people put in force."""

VALUES = st.sampled_from([0.0, 0.4, 0.8, 0.95, 1.0, 1.5, 2.0, 3.0, 4.5, 5.5, 6.0, 7.0, 8.5, 11.0, float("nan")])
QUALITIES = st.sampled_from([GOOD] * 7 + [bad(Reason.COMM), bad(Reason.LOOP_LOW), uncertain(Reason.CLOCK)])
DEVICES = st.sampled_from(sorted(BIRTHS))
AGES_MS = st.sampled_from([0, 0, 0, 0, 0, 300, 2_000, 45_000, -3_000, -4_000_000])
SMALL = st.integers(0, 7)


def _of(what: str, *details: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(what), st.tuples(*details))


HISTORICAL = st.sampled_from([False] * 4 + [True])
SAY = _of("say", DEVICES, st.lists(VALUES, min_size=5, max_size=5), QUALITIES, AGES_MS, HISTORICAL)
STEPS = st.one_of(
    SAY,
    SAY,
    SAY,
    _of("ramp", st.sampled_from(["tank", "store"]), st.sampled_from([1.0, 4.0]), st.sampled_from([-0.4, 0.0, 0.5])),
    _of("again", SMALL),
    _of("birth", DEVICES, SMALL),
    _of("tick", st.sampled_from([200, 1_000, 1_000, 3_000, 12_000, 1_900_000, 50_000_000])),
    _of("tick", st.sampled_from([200, 1_000, 1_000, 1_000, 2_500])),
    _of("chatter", st.integers(3, 8)),
    _of("jump", st.sampled_from([-3_600_000, 90_000])),
    _of("reboot"),
    _of("offset", st.sampled_from([0, 3_000, -90_000])),
    _of("link", st.sampled_from(["park/edge-1", "park/edge-2"]), st.booleans()),
    _of("act", st.sampled_from(["acknowledge", "acknowledge", "reset", "shelve", "unshelve"]), SMALL),
    _of("act", st.sampled_from(["mask", "unmask", "take_out", "return", "review"]), SMALL),
    _of("decide", st.sampled_from(["accept", "accept", "reject"]), SMALL, st.booleans()),
    _of("limits", SMALL, st.integers(0, len(WANTED) - 1), st.booleans()),
    _of("verify", SMALL, st.sampled_from(["L1", "H"])),
    _of("site", st.integers(0, 2)),
    _of("start", st.sampled_from(["run", "again"])),
    _of("shifts", st.sampled_from([(), (0,), (28_800_000, 72_000_000)])),
    _of("report", st.sampled_from(["lag", "disk"]), st.booleans()),
    _of("dismiss", SMALL),
    _of("died", DEVICES),
    _of("delivery"),
    _of("junk", st.sampled_from([b"", b"{}", b'{"op": "dance"}', b'{"op": "limits", "tag": 7}'])),
    _of("damage"),
)  # fmt: skip
STORIES = st.lists(STEPS, min_size=3, max_size=45)
"""Steps of which a log is made."""


class Writing:
    """Writes a log and evaluates it, one record at a time; `works` is what each led to."""

    def __init__(self, path: Path) -> None:
        self.log = Log(path)
        self.works: list[Work] = []
        self.evaluator = new_evaluator(self.log)
        self.now_ms, self.monotonic_ms, self.boots, self.offset_ms = START_MS, 0, 0, 0
        self.edges = {
            "store": Speaker(points=BIRTHS["store"][0]),
            "tank": Speaker(device="tank", points=BIRTHS["tank"][0]),
            "meter": Speaker(node="edge-2", device="meter", epoch=None, points=BIRTHS["meter"][0]),
        }
        self._births: dict[str, int] = {}
        self._said: list[NewRecord] = []
        self._broken = False

    def play(self, story: list[Step]) -> None:
        """Write what happens, after two births so that something can."""
        self.do("site", 2)
        for device in self.edges:
            self.do("birth", device, 0)
        for what, details in story:
            self.do(what, *details)

    def do(self, what: str, *details: Any) -> None:
        self._pass(50)
        step: Callable[..., None] = getattr(self, f"_{what}")
        step(*details)

    def close(self) -> None:
        self.log.close()

    def _pass(self, ms: int) -> None:
        self.now_ms += ms
        self.monotonic_ms += ms

    def _write(self, record: NewRecord, beside: Beside = NOTHING) -> None:
        seq = self.log.append([record], beside)[0]
        if self._broken:
            self._spoil(seq)
        self.works.append(self.evaluator.take(self.log.read(seq - 1, 1)))

    def _json(self, kind: RecordKind, /, **said: Any) -> None:
        self._write(NewRecord(kind, json.dumps(said).encode(), self.now_ms))

    def _change(self, op: str, /, **said: Any) -> None:
        self._json(RecordKind.CHANGE, op=op, by="li", **said)

    # what the plant says

    def _birth(self, device: str, which: int) -> None:
        edge = self.edges[device]
        edge.points, edge.now_ms = BIRTHS[device][which % len(BIRTHS[device])], self.now_ms
        edge.groups = GROUPS if set(GROUPS["both"].members) <= edge.points.keys() else {}
        payload = edge.birth()[1][1]
        said = said_by_device(edge.group, edge.node, device, decode(payload), edge.epoch is not None)
        known = self.log.births.known(said.digest)
        birth = known or self.log.births.introduce(said, payload, self.now_ms)
        self._births[device] = birth.id
        body = b"" if known and birth.own else payload
        record = NewRecord(RecordKind.BIRTH, body, self.now_ms, birth.node, birth.device, birth.id)
        self._write(record, NOTHING if known else Beside(births=[birth]))

    def _say(self, device: str, values: list[float], quality: int, age_ms: int, historical: bool) -> None:
        edge = self.edges[device]
        edge.now_ms = self.now_ms + self.offset_ms - age_ms
        payload = edge.data(values[: len(edge.points)], quality=quality, historical=historical)[1]
        node = f"{edge.group}/{edge.node}"
        self._said.append(NewRecord(RecordKind.DATA, payload, self.now_ms, node, device, self._births[device]))
        self._write(self._said[-1])

    def _again(self, back: int) -> None:
        if self._said:
            old = self._said[-1 - back % len(self._said)]
            self._write(NewRecord(old.kind, old.body, self.now_ms, old.node, old.device, old.birth))

    def _chatter(self, times: int) -> None:
        for _ in range(times):
            for value in (1.5, 0.2):
                self._say("store", [value, 1.0, 0.0, 1.0], GOOD, 0, False)
                self._tick(1_000)

    def _ramp(self, device: str, start: float, slope: float) -> None:
        for step in range(9):
            self._say(device, [start + slope * step] * 5, GOOD, 0, False)
            self._tick(1_000)

    def _died(self, device: str) -> None:
        self._change("device_died", node="park/edge-1", device=device)

    # time and links

    def _tick(self, ms: int) -> None:
        self._pass(ms)
        offsets = {"park/edge-1": self.offset_ms}
        self._write(tick(self.now_ms, self.monotonic_ms, f"boot-{self.boots}", offsets))

    def _jump(self, ms: int) -> None:
        self.now_ms += ms

    def _reboot(self) -> None:
        self.boots, self.monotonic_ms = self.boots + 1, 0

    def _offset(self, ms: int) -> None:
        self.offset_ms = ms

    def _link(self, node: str, up: bool) -> None:
        self._json(RecordKind.LINK, node=node, up=up, reason="test")

    # what persons do

    def _act(self, op: str, at: int) -> None:
        until_ms = self.now_ms + 5_000
        said: dict[str, Any] = {"op": op, "by": "li", "at_ms": self.now_ms, "comment": "seen on site"}
        match op:
            case "acknowledge" | "reset":
                said |= self._standing(at)
            case "shelve" | "unshelve":
                alarms = [f"{STORE}/gas#L1", f"{STORE}/gas#L2", f"{STORE}/gas#STALE", "park/edge-1/tank/level#H"]
                said |= {"alarm": alarms[at % 4], "second": "wang", "until_ms": until_ms}
            case "mask" | "unmask":
                said |= {"mask": MASKS[at % 2].name, "until_ms": until_ms}
            case "take_out" | "return":
                said |= {"tag": self._tag(at), "reason": "calibration", "permit": "1", "until_ms": until_ms}
                said |= {"break_glass": True} if at % 2 else {"second": "wang"}
            case _:
                owed = [*sorted(self.evaluator.engine.reviews()), "none"]
                said |= {"review": owed[at % len(owed)], "by": "zhao", "role": "regulator"}
        self._json(RecordKind.COMMAND, **said)

    def _standing(self, at: int) -> dict[str, Any]:
        standing = self.evaluator.engine.standing()
        if not standing:
            return {"occurrence": "none", "version": 0}
        seen = standing[at % len(standing)]
        return {"occurrence": seen.occurrence, "version": seen.version}

    def _tag(self, at: int) -> str:
        tags = self.log.births.tag_ids
        return tags[at % len(tags)]

    def _decide(self, op: str, at: int, alone: bool) -> None:
        names = [*sorted(self.evaluator.register.proposals), "none"]
        self._change(op, proposal=names[at % len(names)], **({} if alone else {"second": "wang"}))

    def _limits(self, at: int, which: int, alone: bool) -> None:
        limits = {kind: wanted.model_dump(mode="json") for kind, wanted in WANTED[which].items()}
        self._change("limits", tag=self._tag(at), limits=limits, **({} if alone else {"second": "wang"}))

    def _verify(self, at: int, kind: str) -> None:
        self._change("verify", tag=self._tag(at), kind=kind)

    def _dismiss(self, at: int) -> None:
        names = [*sorted(advice.id for advice in self.evaluator.performance.adviser.open.values()), "none"]
        self._change("dismiss_advice", advice=names[at % len(names)], comment="known")

    # what the cloud itself writes, and what no one should

    def _site(self, masks: int) -> None:
        self._json(RecordKind.CHANGE, **site_change(MASKS[:masks], [SITE]))

    def _start(self, run: str) -> None:
        self._json(RecordKind.CHANGE, op="start", run=run)

    def _shifts(self, shifts_ms: tuple[int, ...]) -> None:
        self._json(RecordKind.CHANGE, op="shifts", shifts_ms=shifts_ms)

    def _report(self, name: str, active: bool) -> None:
        self._json(RecordKind.CHANGE, op="report", name=name, active=active, comment="measured")

    def _delivery(self) -> None:
        said = {"transition": "cl2-store-1", "receiver": "bureau", "status": "delivered", "at_ms": self.now_ms}
        self._json(RecordKind.DELIVERY, **said)

    def _junk(self, body: bytes) -> None:
        for kind in (RecordKind.CHANGE, RecordKind.COMMAND, RecordKind.LINK):
            self._write(NewRecord(kind, body, self.now_ms))

    def _damage(self) -> None:
        self._broken = True

    def _spoil(self, seq: int) -> None:
        """Let the disk have lost a record, whatever it was."""
        with closing(sqlite3.connect(self.log.path)) as disk, disk:
            disk.execute("UPDATE records SET crc = crc + 1 WHERE seq = ?", (seq,))
        self._broken = False


def new_evaluator(log: Log) -> Evaluator:
    """Return an evaluator at the beginning of a log."""
    return Evaluator(Engine(EngineRegister()), Register(), Live(), log)
