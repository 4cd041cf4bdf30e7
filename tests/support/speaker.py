"""An edge that speaks Sparkplug for tests of the cloud: real payloads by `davylamp_wire`, no socket, clock by hand."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from davylamp_wire.describe import DeviceDescription
from davylamp_wire.local_alarm import EdgeWord, LocalAlarm, encode_word
from davylamp_wire.payload import (
    DESCRIPTION,
    EPOCH,
    HOLE,
    LOCAL_ALARM,
    REBIRTH,
    RECORD,
    BirthMetric,
    SparkplugType,
    bd_seq_metric,
    birth_payload,
    data_payload,
    death_payload,
    mark_historical,
    metrics_body,
    record_metric,
)
from davylamp_wire.point import Limit, Point, Source
from davylamp_wire.profile import DetectorGroup
from davylamp_wire.quality import GOOD
from davylamp_wire.reading import Readings, Value
from davylamp_wire.topic import MessageType, Topic

START_MS = 1_760_000_000_000
HOLE_ALIAS, NODE_RECORD, DEVICE_RECORD, ALARMS, FIRST_POINT = 16_384, 16_385, 16_386, 16_387, 16_400

SOURCE = Source(standard="GB/T 50493", clause="5.5", edition="2019", basis="proposal")


def limit(value: float, **more: object) -> Limit:
    """Return a limit with a source nobody has verified yet."""
    return Limit(value=value, source=SOURCE, **more)  # type: ignore[arg-type]  # a test names the fields


def gas_point(**more: object) -> Point:
    """Return a chlorine detector: L1 1 ppm, L2 3 ppm, 0 to 10 ppm."""
    fields: dict[str, object] = {
        "zh": "氯气浓度",
        "en": "chlorine",
        "unit": "ppm",
        "kind": "gas",
        "type": "float64",
        "range": (0.0, 10.0),
        "plant_tag": "1#AT-101/A",
        "limits": {"L1": limit(1.0, deadband=0.1), "L2": limit(3.0, deadband=0.3)},
    }
    return Point.model_validate({**fields, **more})


def group(*members: str, **more: object) -> DetectorGroup:
    """Return a group of detectors, named in both languages."""
    fields = {"zh": "氯气探测器组", "en": "chlorine detectors", "members": members, "source": SOURCE, **more}
    return DetectorGroup.model_validate(fields)


@dataclass
class Speaker:
    """One edge with one device of some points. `now_ms` is its clock; every message takes the next numbers."""

    group: str = "park"
    node: str = "edge-1"
    device: str = "store"
    hazard_source: str = "cl2-store"
    epoch: str | None = "e1"
    points: Mapping[str, Point] = field(default_factory=lambda: {"gas": gas_point()})
    groups: Mapping[str, DetectorGroup] = field(default_factory=dict)
    now_ms: int = START_MS
    bd_seq: int = 0
    seq: int = 0
    record: int = 0
    stands: EdgeWord = field(default_factory=lambda: EdgeWord("life-1", 1, ()))
    """What its birth says of the alarms it decides itself."""

    def topic(self, kind: MessageType) -> str:
        """Return the topic of one of its messages."""
        return Topic(kind, self.group, self.node, self.device if kind.of_device else None).text

    def birth(self) -> list[tuple[str, bytes]]:
        """Return NBIRTH and DBIRTH."""
        self.seq = 0
        own: list[BirthMetric] = [
            BirthMetric(EPOCH, SparkplugType.STRING, None, self.epoch),
            BirthMetric(HOLE, SparkplugType.STRING, HOLE_ALIAS, None),
            BirthMetric(RECORD, SparkplugType.UINT64, NODE_RECORD, 0),
        ]
        node = [bd_seq_metric(self.bd_seq), BirthMetric(REBIRTH, SparkplugType.BOOLEAN, None, False)]
        node += own if self.epoch else []
        nbirth = birth_payload(node, seq=0, sent_ms=self.now_ms)
        return [(self.topic(MessageType.NBIRTH), nbirth), (self.topic(MessageType.DBIRTH), self._device_birth())]

    def _device_birth(self) -> bytes:
        self.seq = 1
        description = DeviceDescription(
            name=self.device,
            profile="cl2-store",
            hazard_source=self.hazard_source,
            zh="氯气库",
            en="chlorine store",
            groups=dict(self.groups),
            points=dict(self.points),
        )
        own: list[BirthMetric] = [
            BirthMetric(DESCRIPTION, SparkplugType.STRING, None, description.encode()),
            BirthMetric(RECORD, SparkplugType.UINT64, DEVICE_RECORD, 0),
        ]
        if any(point.local for point in self.points.values()):
            said = encode_word(self.stands, self.now_ms)
            own.append(BirthMetric(LOCAL_ALARM, SparkplugType.STRING, ALARMS, said, time_ms=self.now_ms))
        points = [
            BirthMetric(name, SparkplugType.DOUBLE, FIRST_POINT + place, 0.5 if self.epoch is None else None)
            for place, name in enumerate(self.points)
        ]
        return birth_payload([*(own if self.epoch else []), *points], seq=self.seq, sent_ms=self.now_ms)

    def data(
        self,
        values: Sequence[Value],
        *,
        quality: int | Sequence[int] = GOOD,
        historical: bool = False,
        record: int | None = None,
        time_ms: int | None = None,
    ) -> tuple[str, bytes]:
        """Return a DDATA with one value for each point, under the next record number or the one given."""
        return self.topic(MessageType.DDATA), self.payload(self.body(values, quality, record, time_ms), historical)

    def alarms(self, *said: LocalAlarm, run: int | None = None, historical: bool = False) -> tuple[str, bytes]:
        """Return a DDATA that says what it decided of its alarms, under the next record number."""
        word = EdgeWord(self.stands.life, self.stands.run if run is None else run, said)
        readings = Readings([ALARMS], [self.now_ms], [encode_word(word, self.now_ms)], [GOOD])
        body = metrics_body(readings, {ALARMS: int(SparkplugType.STRING)})
        numbered = record_metric(DEVICE_RECORD, self._number(None), self.now_ms) + body
        return self.topic(MessageType.DDATA), self.payload(numbered, historical)

    def body(
        self,
        values: Sequence[Value],
        quality: int | Sequence[int] = GOOD,
        record: int | None = None,
        time_ms: int | None = None,
    ) -> bytes:
        """Return a journal record's body."""
        aliases = [FIRST_POINT + place for place in range(len(values))]
        at_ms = self.now_ms if time_ms is None else time_ms
        qualities = [quality] * len(values) if isinstance(quality, int) else quality
        readings = Readings(aliases, [at_ms] * len(values), values, qualities)
        body = metrics_body(readings, dict.fromkeys(aliases, int(SparkplugType.DOUBLE)))
        return record_metric(DEVICE_RECORD, self._number(record), at_ms) + body if self.epoch else body

    def payload(self, body: bytes, historical: bool = False) -> bytes:
        """Return a body as the next payload of the session."""
        self.seq = (self.seq + 1) % 256
        return data_payload(mark_historical(body) if historical else body, seq=self.seq, sent_ms=self.now_ms)

    def hole(self, first: int, last: int, count: int, journal_class: str = "live") -> tuple[str, bytes]:
        """Return an NDATA that announces lost records."""
        said = {
            "epoch": self.epoch, "first": first, "last": last, "journal_class": journal_class,
            "reason": "journal full", "first_ms": START_MS, "last_ms": START_MS + 1000, "count": count,
        }  # fmt: skip
        readings = Readings([HOLE_ALIAS], [self.now_ms], [json.dumps(said)], [GOOD])
        body = metrics_body(readings, {HOLE_ALIAS: int(SparkplugType.STRING)})
        numbered = record_metric(NODE_RECORD, self._number(None), self.now_ms) + body
        return self.topic(MessageType.NDATA), self.payload(numbered)

    def death(self) -> tuple[str, bytes]:
        """Return its will."""
        return self.topic(MessageType.NDEATH), death_payload(self.bd_seq, self.now_ms)

    def _number(self, record: int | None) -> int:
        if record is not None:
            return record
        self.record += 1
        return self.record
