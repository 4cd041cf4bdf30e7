"""The command ``davylamp-cloud trained``: whether a training is what it was, and what is in it."""

import argparse
import json
from pathlib import Path

from davylamp_wire.config import ConfigError

from davylamp_cloud.backtest.options import zone_named


def add_options(trained: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add = trained.add_argument
    add("file", type=Path, metavar="FILE", help="a training, as `davylamp-cloud train` wrote it")
    add("--profile", action="store_true", help="its rules, as a profile or a site names them, TOML (写入设备模板)")
    add("--tags", metavar="PATTERN", action="append", help="only of these, * any characters (位号)")
    add("--timezone", default="Asia/Shanghai", help="in which times are told")
    add("--language", choices=("zh", "en"), default="zh", help="of the answer")
    add("--json", action="store_true", help="the answer for programs")


def trained(given: argparse.Namespace) -> int:
    """Print what a training says.

    Raises:
        ConfigError: The file cannot be used; the message says what to do.
    """
    from davylamp_alarms.watching.artefact import load
    from davylamp_wire.training_file import ArtefactError

    from davylamp_cloud.training.page import as_dict, lines
    from davylamp_cloud.training.profile_words import tables

    zone = zone_named(given.timezone)
    try:
        found = load(given.file)
    except ArtefactError as error:
        raise ConfigError([error.words[0 if given.language == "zh" else 1]]) from None
    if given.profile:
        print("\n".join(tables(found, given.file, given.tags or ())))
    elif given.json:
        print(json.dumps(as_dict(found, given.file), ensure_ascii=False))
    else:
        print("\n".join(lines(found, given.file, zone, given.language)))
    return 0
