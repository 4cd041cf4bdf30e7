"""The command ``davylamp-cloud backtest``."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, tzinfo
from pathlib import Path

from davylamp_wire.config import mistaken

from davylamp_cloud.backtest.answer import Answer, Source
from davylamp_cloud.backtest.answer_json import as_dict
from davylamp_cloud.backtest.asked import Asked
from davylamp_cloud.backtest.csv_file import Progress, Span
from davylamp_cloud.backtest.csv_trial import AskedOfCsv, over_csv
from davylamp_cloud.backtest.options import zone_named
from davylamp_cloud.backtest.over_cloud import over_cloud
from davylamp_cloud.backtest.page import clock, lines
from davylamp_cloud.backtest.plot import Look, able, draw, ready
from davylamp_cloud.backtest.rules import NO_RULES, Rules, load_rules
from davylamp_cloud.cloud import utc_ms
from davylamp_cloud.config import CloudConfig, clock_of
from davylamp_cloud.replay import TooOld
from davylamp_cloud.why_page import time_of

EACH_S = 2.0
"""How often the progress is told, in seconds of the clock."""

NICE = 10
"""A backtest beside a running cloud takes what that leaves: alarms come first."""

DAY_MS = 86_400_000

Answered = tuple[Answer, tzinfo, str]
"""An answer, the clock it is told by, and the language."""


def backtest(given: argparse.Namespace, load: Callable[[Path], CloudConfig]) -> int:
    """Print what the rules would have changed.

    Raises:
        ConfigError: What was given is wrong; the message says what to do.
    """
    if (given.file is None) == (given.csv is None):
        raise mistaken(
            "backtest: name either a cloud's config or --csv FILE",
            "backtest：请给出云端配置文件，或 --csv 文件，二者取一",
        )
    if given.plots is not None:
        ready(given.plots, Look(given.plot_format, UTC, ""))
    answer, zone, language = _over_csv(given) if given.file is None else _over_cloud(given, load(given.file))
    print(json.dumps(as_dict(answer), ensure_ascii=False) if given.json else "\n".join(lines(answer, zone, language)))
    if given.plots is not None:
        paths = draw(answer, given.plots, able(Look(given.plot_format, zone, language)))
        print(f"backtest: pictures (曲线图) in {given.plots}: {len(paths)}", file=sys.stderr)
    return 0


def _over_csv(given: argparse.Namespace) -> Answered:
    zone = zone_named(given.timezone or "Asia/Shanghai")
    span = Span(*_times(given, zone))
    asked = AskedOfCsv(given.csv, zone, span, *_rules(given), courses=given.plots is not None)
    answer = over_csv(asked, _teller(given.quiet))
    return answer, zone, given.language or "zh"


def _over_cloud(given: argparse.Namespace, config: CloudConfig) -> Answered:
    """Ask a cloud's own records: the last day of them, where no span is named."""
    zone = zone_named(given.timezone) if given.timezone else clock_of(config.sites)
    from_ms, to_ms = _times(given, zone)
    to_ms = utc_ms() if to_ms is None else to_ms
    from_ms = to_ms - DAY_MS if from_ms is None else from_ms
    os.nice(NICE)
    try:
        asked = Asked(*_rules(given), from_ms, to_ms, courses=0 if given.plots is None else sys.maxsize)
        over = None if given.over is None else Source(given.over)
        answer = over_cloud(config.data_dir, config.historian, asked, _teller(given.quiet), over)
    except TooOld as error:
        earliest = clock(error.earliest_ms, zone)
        raise mistaken(
            f"--from: log and snapshots reach back to {earliest}; name a later time, or --over history",
            f"--from：日志与快照最早到 {earliest}；请把时间推后，或用 --over history",
        ) from None
    return answer, zone, given.language or config.language


def _rules(given: argparse.Namespace) -> tuple[Rules, Rules]:
    return load_rules(given.rules), NO_RULES if given.against is None else load_rules(given.against)


def _times(given: argparse.Namespace, zone: tzinfo) -> tuple[int | None, int | None]:
    now_ms = utc_ms()
    from_ms = None if given.from_ is None else time_of(given.from_, now_ms, zone, "--from")
    to_ms = None if given.to is None else time_of(given.to, now_ms, zone, "--to")
    if from_ms is not None and to_ms is not None and from_ms >= to_ms:
        raise mistaken(
            f"--to: {given.to} is not after --from {given.from_}; name a later time",
            f"--to：{given.to} 不晚于 --from {given.from_}；请改为更晚的时间",
        )
    return from_ms, to_ms


def _teller(quiet: bool) -> Progress:
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
