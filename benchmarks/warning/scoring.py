"""The scorer and the naive detectors of ../shared/tools, called as they are, as programs."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.warning.listing import DataError

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


def score_each(
    tools: Path, data: Path, predictions: Path, work: Path, sets: Iterable[str], tell: Callable[[str], None]
) -> Scores:
    """Return the scores of sets; where the scorer fails, of those it does not fail for, and tell which it does."""
    try:
        return score(tools, data, predictions, work, ",".join(sets))
    except DataError:
        return _one_by_one(lambda name: score(tools, data, predictions, work, name), sets, tell)


def naive(
    tools: Path, part: Callable[[str], Path], work: Path, method_of: dict[str, str], tell: Callable[[str], None]
) -> Scores:
    """Return the scores of the best naive detector of each set; `part` makes a folder of a set, or ("") of all."""
    try:
        folder, detected = part(""), work / "naive"
        _call([tools / "baselines.py", folder, detected])
    except DataError:
        return _one_by_one(
            lambda name: _naive_of(tools, part(name), work / f"naive-{name}", method_of[name], name), method_of, tell
        )
    return _one_by_one(
        lambda name: score(tools, folder, detected / f"{method_of[name]}.csv", work, name), method_of, tell
    )


def _naive_of(tools: Path, data: Path, detected: Path, method: str, name: str) -> Scores:
    _call([tools / "baselines.py", data, detected])
    return score(tools, data, detected / f"{method}.csv", detected, name)


def _one_by_one(call: Callable[[str], Scores], sets: Iterable[str], tell: Callable[[str], None]) -> Scores:
    found: Scores = {}
    for name in sets:
        try:
            found.update(call(name))
        except DataError as error:
            tell(f"{name}: {error}")
    return found


def _call(words: list[Path | str]) -> None:
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(f"{words[0]} failed: {last}")
