"""A backtest over a cloud: over its log while that reaches back, else over its history."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from davylamp_alarms.backtest.ticks import TICK_MS
from davylamp_wire.config import mistaken

from davylamp_cloud.backtest.answer import Answer, Source
from davylamp_cloud.backtest.asked import Asked
from davylamp_cloud.backtest.csv_file import Progress
from davylamp_cloud.backtest.history_trial import over_history
from davylamp_cloud.backtest.log_trial import NoRecords, over_log
from davylamp_cloud.cloud import utc_ms
from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import HistorianUnavailable, LogNames
from davylamp_cloud.historian.past import open_past
from davylamp_cloud.log import Log
from davylamp_cloud.looking import looking
from davylamp_cloud.replay import TooOld


def over_cloud(
    data_dir: Path, historian: HistorianConfig, asked: Asked, told: Progress, over: Source | None = None
) -> Answer:
    """Return what rules would have changed over a cloud's own records.

    Args:
        over: Log or history alone; None: the log if it reaches back, for it has all that happened.

    Raises:
        ConfigError: A rule is wrong, nothing happened in that span, or history cannot be read.
        TooOld: The log alone was asked for, and does not reach back that far.
    """
    with looking(data_dir) as (log, state):
        if over is not Source.HISTORY:
            try:
                return over_log(log, state, asked, told)
            except (TooOld, NoRecords):
                if over is Source.LOG:
                    raise
        try:
            with closing(open_past(historian, data_dir, LogNames(log))) as past:
                return over_history(past, state, replace(asked, to_ms=min(asked.to_ms, _end_ms(log))), told)
        except HistorianUnavailable as error:
            raise mistaken(
                f"historian: {error}; try again when it answers", f"historian：{error}；待其恢复后重试"
            ) from None


def _end_ms(log: Log) -> int:
    """Return until when anything can have been stored: later, every tag would fall silent, second after second."""
    newest = log.read(log.newest_seq - 1, 1)
    return (newest[-1].time_ms if newest else utc_ms()) + TICK_MS
