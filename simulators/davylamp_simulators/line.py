"""The line to a simulated device: whether it answers now, how late, and when it comes and goes."""

from collections.abc import Callable

from davylamp_simulators.scenario import LineMode, LineState

Watcher = Callable[[], None]


class Line:
    """What a server asks before it answers. `move` sets it; watchers hear of every change."""

    def __init__(self) -> None:
        self._state = LineState()
        self._since_s = 0.0
        self.mode = LineMode.OK
        self._watchers: list[Watcher] = []

    @property
    def delay_s(self) -> float:
        """How late every answer comes."""
        return self._state.delay_s if self.mode is LineMode.SLOW else 0.0

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` whenever the mode has changed."""
        self._watchers.append(watcher)

    def move(self, state: LineState, elapsed_s: float) -> None:
        """Take a state, and let a flapping one come and go; `elapsed_s` is real time, as a cable knows no other."""
        if state != self._state:
            self._state, self._since_s = state, elapsed_s
        mode = state.mode
        if mode is LineMode.FLAPPING:
            down = int((elapsed_s - self._since_s) / state.period_s) % 2 == 0
            mode = LineMode.DOWN if down else LineMode.OK
        if mode is not self.mode:
            self.mode = mode
            for watcher in self._watchers:
                watcher()
