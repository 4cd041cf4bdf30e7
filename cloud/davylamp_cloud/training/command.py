"""The command ``davylamp-cloud train``."""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from davylamp_wire.config import ConfigError

from davylamp_cloud.backtest.options import zone_named

if TYPE_CHECKING:
    from davylamp_alarms.watching.artefact import Artefact
    from davylamp_alarms.watching.training import WatchError
    from davylamp_alarms.watching.watch import Plan
    from davylamp_alarms.watching.window import Demands

    from davylamp_cloud.config import CloudConfig
    from davylamp_cloud.training.window import Window

EVERY_S = 10.0

NICE = 10
"""Beside a running cloud training takes what that leaves: alarms come first."""


def add_options(train: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add = train.add_argument
    add("file", type=Path, nargs="?", metavar="FILE", help="the cloud's config, TOML; the cloud may run meanwhile")
    add("--csv", type=Path, metavar="FILE", help="readings, without any cloud (CSV 文件)")
    add("--from", dest="from_", metavar="TIME", help="2026-11-20T00:00, or 7d (ago); a CSV's beginning (起始)")
    add("--to", metavar="TIME", help="the end, which does not belong to it; now, or a CSV's end, if not given (结束)")
    add("--tags", metavar="PATTERN", action="append", help="ids or the plant's own names, * any characters (位号)")
    add("--rules", type=Path, metavar="FILE", help="what to train, [[watch]] tables in TOML; defaults, if not given")
    add("--out", type=Path, metavar="FILE", required=True, help="where the training goes, JSON (结果文件)")
    add("--replace", action="store_true", help="even if --out is there already")
    add(
        "--every", type=float, metavar="SECONDS", help="between rows, each the mean of its readings; 10, or a CSV's own"
    )
    add("--hold", type=float, metavar="SECONDS", help="of a CSV: how long a value counts until the next; one row")
    add(
        "--despite-alarms", action="store_true", help="although alarms stood in it; the training says so (含报警也训练)"
    )
    add("--least-samples", type=int, metavar="N", help="good readings a tag must have; 500")
    add("--most-missing", type=float, metavar="SHARE", help="of the rows may be without a value; 0.1")
    add("--longest-gap", type=float, metavar="SECONDS", help="without a value at a stretch; 3600")
    add("--most-not-good", type=float, metavar="SHARE", help="of the readings may be bad or uncertain; 0.05")
    add("--by", metavar="NAME", help="who trains; who is logged in, if not given (训练人)")
    add("--timezone", default="Asia/Shanghai", help="of a CSV's times without an offset")
    add("--language", choices=("zh", "en"), help="of the answer; the config's, or zh, if not given")
    add("--json", action="store_true", help="the answer for programs, with codes and both languages")


def train(given: argparse.Namespace, load: "Callable[[Path], CloudConfig]") -> int:
    """Train, and print what was learnt; 1: the window was refused.

    Raises:
        ConfigError: What was given is wrong; the message says what to do.
    """
    from davylamp_alarms.watching.artefact import sealed
    from davylamp_alarms.watching.teaching import WindowRefused

    from davylamp_cloud.training.page import as_dict, lines, refusal_lines, refusals_as_dict

    source = _source(given, load)
    _check(given)
    try:
        found = _trained(given, source)
    except WindowRefused as refused:
        said = refused.refusals
        if given.json:
            print(json.dumps(refusals_as_dict(said), ensure_ascii=False))
        print("\n".join(refusal_lines(said, source.language)), file=sys.stderr)
        return 1
    _write(given.out, sealed(found))
    print(
        json.dumps(as_dict(found, given.out), ensure_ascii=False)
        if given.json
        else "\n".join(lines(found, given.out, source.zone, source.language))
    )
    return 0


@dataclass(frozen=True, slots=True)
class Source:
    """Where readings come from: a cloud's history, or (`config` is None) a CSV."""

    config: "CloudConfig | None"
    zone: tzinfo
    language: str


def _source(given: argparse.Namespace, load: "Callable[[Path], CloudConfig]") -> Source:
    if (given.file is None) == (given.csv is None):
        raise ConfigError(["name the cloud's config, or a file of readings by --csv: one of them"])
    if given.csv is not None:
        return Source(None, zone_named(given.timezone), given.language or "zh")
    from davylamp_cloud.config import clock_of

    config = load(given.file)
    return Source(config, clock_of(config.sites), given.language or config.language)


def _trained(given: argparse.Namespace, source: Source) -> "Artefact":
    from davylamp_alarms.watching.teaching import Asked, teach
    from davylamp_alarms.watching.training import WatchError, check

    from davylamp_cloud.cloud import utc_ms

    now_ms, plan, demands = utc_ms(), _plan(given.rules), _demands(given)
    try:
        check(plan.watches, given.every or EVERY_S)  # before anything is read, which may take minutes
    except WatchError as error:
        raise _of_plan(given, error) from None
    found = _window(given, source, now_ms)
    asked = Asked(
        plan=plan,
        demands=demands,
        grid=found.grid,
        source=f"history of {source.config.host_id}" if source.config else given.csv.name,
        made_ms=now_ms,
        made_by=given.by or getpass.getuser(),
        made_with=version("davylamp"),
        despite_alarms=given.despite_alarms,
        # A CSV's rows are readings as they came, unless somebody wants them wider.
        thinned=source.config is not None or given.every is not None,
    )
    try:
        return teach(asked, found.rows, found.seen, found.stood)
    except WatchError as error:
        raise _of_plan(given, error) from None


def _of_plan(given: argparse.Namespace, error: "WatchError") -> ConfigError:
    return ConfigError([f"{given.rules or 'defaults'}: {line}" for line in error.mistakes])


def _window(given: argparse.Namespace, source: Source, now_ms: int) -> "Window":
    from davylamp_alarms.watching.window import grid

    from davylamp_cloud.backtest.csv_file import Span
    from davylamp_cloud.training import csv_window, history

    from_ms, to_ms = (_time(given, option, now_ms, source.zone) for option in ("from", "to"))
    if from_ms is not None and to_ms is not None and from_ms >= to_ms:
        raise ConfigError([f"--to: {given.to} is not after --from {given.from_}; name a later time"])
    patterns = given.tags or ()
    if source.config is None:
        span = Span(from_ms, to_ms)
        return csv_window.window(given.csv, source.zone, patterns, span, given.every, given.hold, lambda done: None)
    if from_ms is None:
        raise ConfigError(["--from: is missing; name the beginning of a window of normal operation"])
    rows = grid(from_ms, now_ms if to_ms is None else to_ms, round((given.every or EVERY_S) * 1000))
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    return history.window(source.config, patterns, rows, _teller())


def _time(given: argparse.Namespace, option: str, now_ms: int, zone: tzinfo) -> int | None:
    from davylamp_cloud.why_page import time_of

    said = given.from_ if option == "from" else given.to
    return None if said is None else time_of(said, now_ms, zone, f"--{option}")


def _check(given: argparse.Namespace) -> None:
    """Raise ConfigError for what can be seen to be wrong before anything is read."""
    if given.every is not None and not 0.001 <= given.every <= 86_400:
        raise ConfigError([f"--every: {given.every:g} is not between 0.001 and 86400 seconds"])
    if given.out.exists() and not given.replace:
        way = "name another file, or give --replace"
        raise ConfigError([f"--out: {given.out} is there already, and may be in use; {way}"])
    if not given.out.parent.is_dir():
        raise ConfigError([f"--out: the folder {given.out.parent} is not there; make it, or name another"])


def _plan(path: Path | None) -> "Plan":
    from davylamp_alarms.watching.watch import Plan, default_plan
    from davylamp_wire.config import load

    return default_plan() if path is None else load(Plan, path)


def _demands(given: argparse.Namespace) -> "Demands":
    from davylamp_alarms.watching.window import Demands
    from davylamp_wire.config import parse

    said = {
        "least_samples": given.least_samples,
        "most_missing": given.most_missing,
        "longest_gap_s": given.longest_gap,
        "most_not_good": given.most_not_good,
    }
    return parse(Demands, {name: value for name, value in said.items() if value is not None}, "command line")


def _write(path: Path, text: str) -> None:
    """Write the file, whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise ConfigError([f"--out: {path} cannot be written ({error.strerror})"]) from None


def _teller() -> Callable[[float], None]:
    """Return what tells how much of the window is read, where a person looks."""

    def tell(done: float) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == 1 else ""
            print(f"\rtrain: {done:.0%} read (已读取)", end=end, file=sys.stderr, flush=True)

    return tell
