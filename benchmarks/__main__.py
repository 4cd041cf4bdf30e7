"""Runs benchmarks by name: `python -m benchmarks engine --json`; `all` runs every one with what it does by default."""

import argparse
import importlib
import sys
from types import ModuleType

from davylamp_wire.piping import as_long_as_read

from benchmarks.report import Report

BENCHMARKS = {
    "wire": "benchmarks.wire",
    "engine": "benchmarks.engine",
    "rules": "benchmarks.rules",
    "log": "benchmarks.log",
    "historian": "benchmarks.historian",
    "edge": "benchmarks.edge",
    "opcua": "benchmarks.opcua",
    "line": "benchmarks.line",
    "failover": "benchmarks.failover",
    "beacon": "benchmarks.beacon",
    "cloud": "benchmarks.cloud",
    "latency": "benchmarks.latency",
    "backlog": "benchmarks.backlog",
    "restart": "benchmarks.restart",
    "performance": "benchmarks.performance",
    "storm": "benchmarks.storm",
    "backtest": "benchmarks.backtest",
    "warning": "benchmarks.warning",
}
"""Benchmark by name, imported on first use: a module with `run(**options) -> Report`, and `add_options(parser)` where
it takes any."""


def main(arguments: list[str] | None = None) -> int:
    """Run what was named; return 0, 1 when something was left out, or 2 when nothing could be done."""
    return as_long_as_read(lambda: _act(arguments))


def _act(arguments: list[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, add_help=False)
    parser.add_argument("name", choices=[*BENCHMARKS, "all"], help="which benchmark; NAME --help tells its options")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    chosen, rest = parser.parse_known_args(arguments)
    if chosen.name == "all" and rest:
        parser.error(f"{rest[0]}: options belong to one benchmark; name it")
    code = 0
    for name in BENCHMARKS if chosen.name == "all" else [chosen.name]:
        report = _run(importlib.import_module(BENCHMARKS[name]), name, rest)
        print(report.table(), flush=True)
        print(report.json() if chosen.json else "", flush=True)
        code = max(code, report.code)
    return code


def _run(module: ModuleType, name: str, rest: list[str]) -> Report:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=module.__doc__)
    if hasattr(module, "add_options"):
        module.add_options(parser)
    found: Report = module.run(**vars(parser.parse_args(rest)))
    return found


if __name__ == "__main__":
    sys.exit(main())
