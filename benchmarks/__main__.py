"""Runs benchmarks by name: `python -m benchmarks engine --json`; `all` runs every one."""

import argparse
import importlib
import sys

BENCHMARKS = {
    "wire": "benchmarks.wire",
    "engine": "benchmarks.engine",
    "log": "benchmarks.log",
    "historian": "benchmarks.historian",
    "edge": "benchmarks.edge",
    "cloud": "benchmarks.cloud",
}
"""Benchmark by name: a module with `run() -> Report`, imported on first use."""


def main(arguments: list[str] | None = None) -> int:
    """Run what was named; return 0, or 2 when the name is unknown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, "all"], help="which benchmark")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    chosen = parser.parse_args(arguments)
    for name in BENCHMARKS if chosen.name == "all" else [chosen.name]:
        report = importlib.import_module(BENCHMARKS[name]).run()
        print(report.table(), flush=True)
        print(report.json() if chosen.json else "", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
