"""Playing a recording through a simulated device, and the profile of a table that has none yet."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from davylamp_wire.point import Text

from davylamp_simulators.recording import Recording
from davylamp_simulators.sample import NOTHING, Sample
from davylamp_simulators.scenario import LineState


class ReplaySource:
    """The rows of a recording, one after the other at its own pace; after the last there is nothing to show.

    A row stands until the next one's time. Cells that are missing and columns that never measure have no value.
    """

    def __init__(self, recording: Recording) -> None:
        self.line = LineState()
        self.speed = recording.config.speed
        self._recording = recording
        dead = recording.dead
        self._alive = [name for name in recording.columns if name not in dead]
        self._row = -1
        self._now: Mapping[str, Sample] = {}
        self.advance(0.0)

    def advance(self, elapsed_s: float) -> Sequence[Text]:
        """Move to the row of a simulated time."""
        times = self._recording.times_s
        at_s = self._recording.config.start_s + elapsed_s
        row = bisect_right(times, at_s) - 1
        if row == len(times) - 1 and at_s > times[-1] + self._last_stands_s:
            row = len(times)
        if row == self._row:
            return []
        ended = row == len(times)
        self._row, self._now = row, {} if ended else self._samples(row)
        return (
            [Text(zh="录制数据播放完毕，此后无值", en="the recording is over; from here on nothing is shown")]
            if ended
            else []
        )

    @property
    def _last_stands_s(self) -> float:
        """Return how long the last row stands: as long as the one before it did."""
        times = self._recording.times_s
        return times[-1] - times[-2] if len(times) > 1 else self._recording.config.period_s

    def samples(self) -> Mapping[str, Sample]:
        """Return the present row, by column."""
        return self._now

    def _samples(self, row: int) -> Mapping[str, Sample]:
        cells = {name: self._recording.columns[name][row] for name in self._alive}
        return {name: NOTHING if math.isnan(value) else Sample(value) for name, value in cells.items()}


PROFILE_HEAD = """\
# Made from the columns of {file}; add units, names, ranges, and limits with their source.
zh = "{name}"
en = "{name}"
"""
PROFILE_POINT = """
[points.{column}]
zh = "{column}"
en = "{column}"
unit = ""
type = "float64"
address = {{modbus = "holding:{register}", opcua = "nsu=urn:davylamp:sim;s={column}"}}
"""


def profile_text(recording: Recording) -> str:
    """Return a profile that reads every column of a recording, as a start for a person to go on from."""
    points = [PROFILE_POINT.format(column=column, register=4 * at) for at, column in enumerate(recording.columns)]
    return PROFILE_HEAD.format(file=recording.config.file.name, name=recording.config.name) + "".join(points)
