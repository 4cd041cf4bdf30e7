"""The command ``davylamp-cloud backtest``."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from davylamp_wire.config import ConfigError

EACH_S = 2.0
"""How often the progress is told, in seconds of the clock."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--csv", type=Path, required=True, metavar="FILE", help="readings, without any cloud (CSV 文件)"
    )
    parser.add_argument("--rules", type=Path, required=True, metavar="FILE", help="the limits to try, TOML (新规则)")
    parser.add_argument("--against", type=Path, metavar="FILE", help="the limits before; none, if not given (原规则)")
    parser.add_argument(
        "--from", dest="from_", metavar="TIME", help="2026-11-27T03:10; from the beginning, if not given"
    )
    parser.add_argument("--to", metavar="TIME", help="to the end, if not given")
    parser.add_argument("--timezone", default="Asia/Shanghai", help="of times without an offset, read and written")
    parser.add_argument("--language", choices=("zh", "en"), default="zh", help="of the answer")
    parser.add_argument("--json", action="store_true", help="the whole answer for programs, one JSON object")
    parser.add_argument("--quiet", action="store_true", help="tell no progress (不显示进度)")


def backtest(given: argparse.Namespace) -> int:
    """Print what the rules would have changed.

    Raises:
        ConfigError: What was given is wrong; the message says what to do.
    """
    from davylamp_cloud.backtest.answer_json import as_dict
    from davylamp_cloud.backtest.csv_file import Span
    from davylamp_cloud.backtest.csv_trial import over_csv
    from davylamp_cloud.backtest.page import lines
    from davylamp_cloud.backtest.rules import NO_RULES, load_rules

    zone = zone_named(given.timezone)
    span = Span(_time(given.from_, zone, "--from"), _time(given.to, zone, "--to"))
    if span.from_ms is not None and span.to_ms is not None and span.from_ms >= span.to_ms:
        raise ConfigError([f"--to: {given.to} is not after --from {given.from_}; name a later time"])
    against = NO_RULES if given.against is None else load_rules(given.against)
    answer = over_csv(given.csv, zone, span, load_rules(given.rules), against, _teller(given.quiet))
    print(
        json.dumps(as_dict(answer), ensure_ascii=False)
        if given.json
        else "\n".join(lines(answer, zone, given.language))
    )
    return 0


def zone_named(name: str) -> tzinfo:
    """Return the time zone of a command line."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError([f"--timezone: {name!r} is no time zone; write one such as Asia/Shanghai or UTC"]) from None


def _time(text: str | None, zone: tzinfo, option: str) -> int | None:
    from davylamp_cloud.backtest.cells import time_in

    if text is None:
        return None
    found = time_in(text, zone)
    if found is None:
        raise ConfigError([f"{option}: {text!r} is no time; write 2026-11-27T03:10:00"])
    return found


def _teller(quiet: bool) -> Callable[[float], None]:
    """Return what tells how much is done, now and then, where people look and programs do not."""
    began_s = told_s = time.monotonic()

    def tell(done: float) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s >= EACH_S:
            told_s = now_s
            left_s = (now_s - began_s) * (1 - done) / done if done else 0.0
            print(f"backtest: {done:.0%}, {left_s:.0f} s left (剩余 {left_s:.0f} 秒)", file=sys.stderr, flush=True)

    return (lambda done: None) if quiet else tell
