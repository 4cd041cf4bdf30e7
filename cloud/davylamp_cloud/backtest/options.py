"""What ``davylamp-cloud backtest`` takes; apart from the rest, which is imported when it is asked for."""

import argparse
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from davylamp_wire.config import mistaken


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="the cloud's config, TOML; the cloud may run meanwhile"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="readings from a CSV, without any cloud (CSV 文件)")
    parser.add_argument("--rules", type=Path, required=True, metavar="FILE", help="the limits to try, TOML (新规则)")
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="the limits before; what the cloud did, or none (原规则)"
    )
    parser.add_argument("--from", dest="from_", metavar="TIME", help="2026-11-27T03:10, 03:10, or 2d (ago)")
    parser.add_argument("--to", metavar="TIME", help="likewise; to the end, if not given")
    parser.add_argument(
        "--over", choices=("log", "history"), help="of a cloud; its log while that reaches back, else its history"
    )
    parser.add_argument("--timezone", help="of times without an offset; the config's, or Asia/Shanghai")
    parser.add_argument("--language", choices=("zh", "en"), help="of the answer; the config's, or zh")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="a picture of each tag goes there (曲线图)")
    parser.add_argument("--plot-format", choices=("svg", "png"), default="svg", help="of the pictures")
    parser.add_argument("--json", action="store_true", help="the whole answer for programs, one JSON object")
    parser.add_argument("--quiet", action="store_true", help="tell no progress (不显示进度)")


def zone_named(name: str) -> tzinfo:
    """Return the time zone of a command line.

    Raises:
        ConfigError: There is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise mistaken(
            f"--timezone: {name!r} is no time zone; write one such as Asia/Shanghai or UTC",
            f"--timezone：{name!r} 不是时区；请写 Asia/Shanghai、UTC 之类",
        ) from None
