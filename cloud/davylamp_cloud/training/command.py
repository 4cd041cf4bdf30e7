"""The command ``davylamp-cloud train``."""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from davylamp_wire.config import ConfigError

if TYPE_CHECKING:
    from davylamp_alarms.watching.artefact import Artefact
    from davylamp_alarms.watching.teaching import Asked
    from davylamp_alarms.watching.watch import Plan
    from davylamp_alarms.watching.window import Demands, Grid

    from davylamp_cloud.config import CloudConfig


def add_options(train: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add = train.add_argument
    add("file", type=Path, metavar="FILE", help="the cloud's config, TOML; the cloud may run meanwhile")
    add("--from", dest="from_", metavar="TIME", required=True, help="2026-11-20T00:00, or 7d (ago) (起始)")
    add("--to", metavar="TIME", default="0s", help="the end, which does not belong to it; now, if not given (结束)")
    add("--tags", metavar="PATTERN", action="append", help="ids or the plant's own names, * any characters (位号)")
    add("--rules", type=Path, metavar="FILE", help="what to train, [[watch]] tables in TOML; defaults, if not given")
    add("--out", type=Path, metavar="FILE", required=True, help="where the training goes, JSON (结果文件)")
    add("--replace", action="store_true", help="even if --out is there already")
    add("--every", type=float, default=10.0, metavar="SECONDS", help="between rows, each the mean of its readings; 10")
    add(
        "--despite-alarms", action="store_true", help="although alarms stood in it; the training says so (含报警也训练)"
    )
    add("--least-samples", type=int, metavar="N", help="good readings a tag must have; 500")
    add("--most-missing", type=float, metavar="SHARE", help="of the rows may be without a value; 0.1")
    add("--longest-gap", type=float, metavar="SECONDS", help="without a value at a stretch; 3600")
    add("--most-not-good", type=float, metavar="SHARE", help="of the readings may be bad or uncertain; 0.05")
    add("--by", metavar="NAME", help="who trains; who is logged in, if not given (训练人)")
    add("--token-file", type=Path, metavar="FILE", help="a token that may read, where the cloud runs and wants one")
    add("--language", choices=("zh", "en"), help="of the answer; the config's, if not given")
    add("--json", action="store_true", help="the answer for programs, with codes and both languages")


def train(given: argparse.Namespace, config: "CloudConfig") -> int:
    """Train, and print what was learnt; 1: the window was refused.

    Raises:
        ConfigError: What was given is wrong; the message says what to do.
    """
    from davylamp_alarms.watching.artefact import sealed
    from davylamp_alarms.watching.teaching import WindowRefused

    from davylamp_cloud.config import clock_of
    from davylamp_cloud.training.page import as_dict, lines, refusal_lines, refusals_as_dict

    _check_out(given.out, given.replace)
    zone, language = clock_of(config.sites), given.language or config.language
    try:
        found = _trained(given, config, zone)
    except WindowRefused as refused:
        said = refused.refusals
        if given.json:
            print(json.dumps(refusals_as_dict(said), ensure_ascii=False))
        print("\n".join(refusal_lines(said, language)), file=sys.stderr)
        return 1
    _write(given.out, sealed(found))
    print(
        json.dumps(as_dict(found, given.out), ensure_ascii=False)
        if given.json
        else "\n".join(lines(found, given.out, zone, language))
    )
    return 0


def _trained(given: argparse.Namespace, config: "CloudConfig", zone: tzinfo) -> "Artefact":
    from davylamp_alarms.watching.teaching import teach
    from davylamp_alarms.watching.training import WatchError
    from davylamp_wire.config import secret_from

    from davylamp_cloud.cloud import utc_ms
    from davylamp_cloud.training.history import window

    now_ms = utc_ms()
    grid = _grid(given, now_ms, zone)
    plan = _plan(given.rules)
    token = secret_from(given.token_file, None, "the token")
    secret = token.get_secret_value() if token else None
    found = window(config, given.tags or (), grid, secret, _teller())
    asked = _asked(given, plan, grid, f"history of {config.host_id}", now_ms)
    try:
        return teach(asked, found.rows, found.seen, found.stood)
    except WatchError as error:
        raise ConfigError([f"{given.rules or 'defaults'}: {error}"]) from None


def _asked(given: argparse.Namespace, plan: "Plan", grid: "Grid", source: str, now_ms: int) -> "Asked":
    from importlib.metadata import version

    from davylamp_alarms.watching.teaching import Asked

    return Asked(
        plan=plan,
        demands=_demands(given),
        grid=grid,
        source=source,
        made_ms=now_ms,
        made_by=given.by or getpass.getuser(),
        made_with=version("davylamp"),
        despite_alarms=given.despite_alarms,
    )


def _grid(given: argparse.Namespace, now_ms: int, zone: tzinfo) -> "Grid":
    from davylamp_alarms.watching.window import grid

    from davylamp_cloud.why_page import time_of

    if not 0.001 <= given.every <= 86_400:
        raise ConfigError([f"--every: {given.every:g} is not between 0.001 and 86400 seconds"])
    from_ms, to_ms = time_of(given.from_, now_ms, zone, "--from"), time_of(given.to, now_ms, zone, "--to")
    if from_ms >= to_ms:
        raise ConfigError([f"--to: {given.to} is not after --from {given.from_}; name a later time"])
    return grid(from_ms, to_ms, round(given.every * 1000))


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


def _check_out(path: Path, replace: bool) -> None:
    if path.exists() and not replace:
        raise ConfigError([f"--out: {path} is there already, and may be in use; name another file, or give --replace"])
    if not path.parent.is_dir():
        raise ConfigError([f"--out: the folder {path.parent} is not there; make it, or name another"])


def _write(path: Path, text: str) -> None:
    """Write the file, whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise ConfigError([f"--out: {path} cannot be written ({error.strerror})"]) from None


def _teller() -> Callable[[int, int], None]:
    """Return what tells how many tags are read, where a person looks."""

    def tell(done: int, of: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == of else ""
            print(f"\rtrain: {done} / {of} tags read (已读取位号)", end=end, file=sys.stderr, flush=True)

    return tell
