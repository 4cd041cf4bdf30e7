"""The scorer and the naive detectors of ../shared/tools, called as they are, as programs."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.warning.reading import DataError

Scores = dict[str, Any]


def check(tools: Path) -> None:
    """Say what is missing before anything long begins.

    Raises:
        DataError: The message says what to install or to name.
    """
    for name in ("score.py", "baselines.py"):
        if not (tools / name).is_file():
            raise DataError(f"{tools / name} is not there: name the folder of the scorer with --tools")
    if importlib.util.find_spec("pandas") is None:
        raise DataError("the scorer needs pandas: pip install pandas, or pip install -e '.[dev]'")


def score(tools: Path, data: Path, predictions: Path, work: Path, only: str = "") -> Scores:
    """Return what the scorer says of predictions, by set.

    Raises:
        DataError: It failed; its last words are in the message.
    """
    out = work / "scores.json"
    chosen = ["--only", only] if only else []
    _call([tools / "score.py", "--data", data, "--pred", predictions, "--json", out, *chosen])
    summary: Scores = json.loads(out.read_text())["summary"]
    return summary


def naive(tools: Path, data: Path, work: Path, method_of: dict[str, str]) -> Scores:
    """Return the scores of the best naive detector of each set."""
    _call([tools / "baselines.py", data, work / "naive"])
    found: Scores = {}
    for name, method in method_of.items():
        found.update(score(tools, data, work / "naive" / f"{method}.csv", work, name))
    return found


def _call(words: list[Path | str]) -> None:
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(f"{words[0]} failed: {last}")
