"""The alarm engine: one step gives every tag one changed sample; a quiet plant with 1 % of its tags over a limit."""

import numpy as np
from davylamp_alarms.batch import Batch
from davylamp_alarms.definition import AlarmDef, Kind, Priority, Register, TagDef, alarm_id
from davylamp_alarms.engine import Engine

from benchmarks.report import Figure, Report, at_most
from benchmarks.timing import median_s

SIZES = (10_000, 100_000, 1_000_000)
LIMITS = {Kind.LL: 10.0, Kind.L: 15.0, Kind.H: 85.0, Kind.HH: 90.0}
START_MS = 1_700_000_000_000


def run() -> Report:
    """Measure the existing rule set: four limits with deadband and delays, stale, fault, lifecycle included."""
    report = Report("engine")
    for size in SIZES:
        _measure(report, size)
    return report


def register(size: int) -> Register:
    """Return tags with four limits each, in hazard sources of a thousand tags."""
    tags = tuple(TagDef(f"g/n/d/{at}", "g/n", f"hs{at // 1000}") for at in range(size))
    alarms = tuple(
        AlarmDef(
            alarm_id(tag.id, kind), at, kind, Priority.YELLOW, tag.hazard_source, limit,
            deadband=1.0, on_delay_ms=5_000, off_delay_ms=30_000,
        )
        for at, tag in enumerate(tags)
        for kind, limit in LIMITS.items()
    )  # fmt: skip
    return Register(tags, alarms)


class Plant:
    """Readings of a quiet plant, one step after another."""

    def __init__(self, size: int) -> None:
        random = np.random.default_rng(3)
        self.size = size
        self.step = 0
        self._noise = random.normal(0, 1, size)
        self._level = np.where(np.arange(size) % 100 == 0, 95.0, 50.0)
        self._tags = np.arange(size, dtype=np.int32)
        self._good = np.zeros(size, np.uint16)
        self._live = np.zeros(size, np.bool_)

    def next(self) -> Batch:
        """Return the next second; every value differs from the one before."""
        self.step += 1
        at_ms = START_MS + self.step * 1000
        seq = np.repeat(np.arange((self.size + 99) // 100, dtype=np.int64), 100)[: self.size] + self.step * 1_000_000
        times = np.full(self.size, at_ms, np.int64)
        values = self._level + np.roll(self._noise, self.step)
        return Batch(seq, self._tags, times, values, self._good, self._live, times + 20)


def _measure(report: Report, size: int) -> None:
    engine, plant = Engine(register(size)), Plant(size)
    for _ in range(40):  # past on-delays, so that the 1 % stand
        engine.apply(plant.next())
    batches = iter([plant.next() for _ in range(9)])
    step_s = median_s(lambda: engine.apply(next(batches)), runs=7)
    small = iter([plant.next().part(0, size // 100) for _ in range(9)])
    small_s = median_s(lambda: engine.apply(next(small)), runs=7)
    limit = {100_000: 20.0, 1_000_000: 35.0}.get(size)
    nanoseconds = step_s / size * 1e9
    name = f"{size:,} tags: a step"
    report.add(at_most(name, nanoseconds, "ns a tag", limit) if limit else Figure(name, nanoseconds, "ns a tag"))
    report.add(Figure(f"{size:,} tags: a batch of 1 % of them", small_s / step_s * 100, "% of a step"))
    report.add(at_most(f"{size:,} tags: numeric state", engine.nbytes / size, "bytes a tag", 250))
    report.add(Figure(f"{size:,} doubles: copied in the same run", _copy_gb_s(size), "GB/s"))
    assert len(engine.standing()) == size // 100 * 2, "1 % of the tags stand over H and HH"


def _copy_gb_s(size: int) -> float:
    """Return this machine's copy bandwidth (read + write), as STREAM counts it."""
    source = np.ones(size)
    target = np.empty(size)
    return 2 * 8 * size / median_s(lambda: np.copyto(target, source), runs=21) / 1e9
