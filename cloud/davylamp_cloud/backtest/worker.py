"""A backtest in a process of its own, behind everything else: ``python -m davylamp_cloud.backtest.worker``.

A request comes on stdin as one JSON object. Lines of JSON go to stdout: ``{"done": 0.3}`` now and then, and at the end
``{"answer": …}``, ``{"mistakes": [{"zh": …, "en": …}]}`` or ``{"earliest_ms": …}`` where the log does not reach
back that far. Pictures go into the folder the request names, one for each of ``"drawn"``.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from davylamp_wire.config import ConfigError, in_chinese

from davylamp_cloud.backtest.answer import Source
from davylamp_cloud.backtest.answer_json import as_dict
from davylamp_cloud.backtest.asked import Asked
from davylamp_cloud.backtest.command import NICE
from davylamp_cloud.backtest.csv_file import Progress
from davylamp_cloud.backtest.jobs import MOST_DRAWN
from davylamp_cloud.backtest.over_cloud import over_cloud
from davylamp_cloud.backtest.plot import Look, draw, ready
from davylamp_cloud.backtest.rules import NO_RULES, rules_of
from davylamp_cloud.backtest.trainings import kept_in
from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.replay import TooOld

EACH_S = 0.5


def main() -> None:
    """Do what stdin asks."""
    os.nice(NICE)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))  # copies of history go with it
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    _say(answered(json.loads(sys.stdin.read()), _teller()))


def answered(request: dict[str, Any], told: Progress) -> dict[str, Any]:
    """Return the last line: the answer, or why there is none."""
    sources = frozenset(request["hazard_sources"])

    def sees(hazard_source: str) -> bool:
        return not sources or hazard_source in sources

    try:
        read = kept_in(Path(request["data_dir"]))
        rules = rules_of(request["rules"], "rules", read)
        against = rules_of(request["against"], "against", read) if request["against"] else NO_RULES
        over = Source(request["over"]) if request["over"] else None
        historian = HistorianConfig.model_validate(request["historian"])
        pictures = wanted(request)
        asked = Asked(rules, against, request["from_ms"], request["to_ms"], sees, MOST_DRAWN if pictures else 0)
        found = over_cloud(Path(request["data_dir"]), historian, asked, told, over)
        drawn = [] if pictures is None else draw(found, *pictures)
    except ConfigError as error:
        return {"mistakes": [{"en": line, "zh": in_chinese(line)} for line in error.mistakes]}
    except TooOld as error:
        return {"earliest_ms": error.earliest_ms}
    tags = found.courses.tag_ids if found.courses else ()
    named = [{"tag": tag, "file": path.name} for tag, path in zip(tags, drawn, strict=True)]
    return {"answer": {**as_dict(found), "origin": ""}, "drawn": named}


def wanted(request: dict[str, Any]) -> tuple[Path, Look] | None:
    """Return where pictures go and how they look; None where nobody wants any.

    Raises:
        ConfigError: This machine cannot draw.
    """
    said = request["plots"]
    if not said:
        return None
    folder = Path(said["folder"])
    return folder, ready(folder, Look(said["form"], ZoneInfo(said["timezone"]), said["language"], said["ground"]))


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line, ensure_ascii=False, allow_nan=False), flush=True)


def _teller() -> Progress:
    told_s = time.monotonic()

    def tell(done: float) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= EACH_S:
            told_s = time.monotonic()
            _say({"done": round(done, 3)})

    return tell


if __name__ == "__main__":
    main()
