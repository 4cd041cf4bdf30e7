"""Limits from training. Process values know of each other, so textbook limits are in alarm almost always."""

import math
from collections.abc import Sequence

import numpy as np

from davylamp_alarms.batch import Floats, Ints
from davylamp_alarms.warning.bank import Bank
from davylamp_alarms.warning.rule import Samples

EULER = 0.5772156649015329


def usual(value: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each tag over its training rows, shape (rows, tags); NaN is passed over."""
    return np.nanmean(value, axis=0), np.nanstd(value, axis=0, ddof=1)


def run(bank: Bank, time_ms: Ints, value: Floats, names: Sequence[str]) -> dict[str, Floats]:
    """Return what the evidence said after each training row, shape (rows, tags), by the rule's own step; NaN is bad.

    Args:
        bank: Fresh, with its means set; it is left as the last row makes it.
        time_ms: Shape (rows,), rising.
        value: Shape (rows, tags).
    """
    said: dict[str, list[Floats]] = {name: [] for name in names}
    for at_ms, row in zip(time_ms.tolist(), value, strict=True):
        level = np.where(np.isfinite(row), 0, 2).astype(np.uint8)
        bank.step(Samples(np.full(len(row), at_ms, np.int64), row, level))
        evidence = bank.evidence()
        for name in names:
            said[name].append(np.array(evidence[name], np.float64))
    return {name: np.array(rows) for name, rows in said.items()}


def rms_limit(statistic: Floats, times: float, warm: int) -> Floats:
    """Return `times` the statistic's own root mean square in training, after its first `warm` rows.

    The statistic's own spread has the autocorrelation of the values in it, which the textbook's has not.
    """
    limit: Floats = times * np.sqrt(np.nanmean(statistic[warm:] ** 2, axis=0))
    return limit


def largest_limit(statistic: Floats, factor: float, warm: int = 0) -> Floats:
    """Return the largest size the statistic had in training, times a factor."""
    limit: Floats = factor * np.nanmax(np.abs(statistic[warm:]), axis=0)
    return limit


def return_limit(statistic: Floats, block: int, blocks: float, warm: int = 0) -> Floats:
    """Return the level the statistic passes about once in `blocks` blocks of `block` rows, also beyond training.

    Maxima of blocks much longer than the values remember are as good as independent, whatever the autocorrelation
    inside; their distribution tends to Gumbel's, fitted here by its moments.

    Source: E. J. Gumbel, Statistics of Extremes (1958); return level ``u - b·ln(-ln(1 - 1/blocks))``.

    Raises:
        ValueError: Fewer than five whole blocks.
    """
    rows = statistic[warm:]
    whole = len(rows) // block
    if whole < 5:
        raise ValueError(f"{len(rows)} training rows are {whole} blocks of {block}: five are the least, give more rows")
    maxima = np.nanmax(np.abs(rows[: whole * block]).reshape(whole, block, *rows.shape[1:]), axis=1)
    spread = maxima.std(axis=0, ddof=1) * math.sqrt(6) / math.pi
    limit: Floats = maxima.mean(axis=0) - EULER * spread - spread * math.log(-math.log(1 - 1 / blocks))
    return limit
