"""The engine in a process of its own: ``python -m benchmarks.engine_alone SNAPSHOT TAGS`` says its time and memory."""

import json
import sys
from pathlib import Path

from davylamp_alarms.engine import Engine
from davylamp_cloud.store.snapshots import unpacked

from benchmarks.engine import Plant
from benchmarks.timing import Load, median_s

WARM = 40
"""Steps past every on-delay, so that what is over its limits stands."""


def main() -> int:
    """Measure, say it, and stay until standard input ends, so that memory can be looked at from outside."""
    path, size = Path(sys.argv[1]), int(sys.argv[2])
    load = Load.of()
    before_mb = load.rss_mb()
    engine, plant = Engine.restore(unpacked(path.read_bytes())), Plant(size)
    for _ in range(WARM):
        engine.apply(plant.next())
    rss_mb, state_mb = load.rss_mb(), engine.nbytes / 1e6  # before the batches that are made ahead, to be timed
    batches = iter([plant.next() for _ in range(9)])
    step_s = median_s(lambda: engine.apply(next(batches)), runs=7)
    said = {"step_s": step_s, "rss_mb": rss_mb, "grown_mb": rss_mb - before_mb, "state_mb": state_mb}
    print(json.dumps({**said, "standing": len(engine.standing())}), flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
