"""Where a simulated device's samples come from: a process with a scenario, stepped by simulated time.

A source is pure: it is told how much simulated time has passed, and the same seed and time give the same samples.
`replay` has the other kind of source.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Protocol

from davylamp_wire.config import ConfigError
from davylamp_wire.point import Text

from davylamp_simulators.process import STEP_S, Process, process_class
from davylamp_simulators.sample import NOTHING, Condition, Sample
from davylamp_simulators.scenario import Action, LineState


class Source(Protocol):
    """The samples of one device."""

    @property
    def line(self) -> LineState:
        """How the device answers now."""

    @property
    def speed(self) -> float:
        """Simulated seconds a second, on top of the plant's own."""

    def advance(self, elapsed_s: float) -> Sequence[Text]:
        """Move to a simulated time; return what there is to tell about the way there."""

    def samples(self) -> Mapping[str, Sample]:
        """Return every instrument as it is now, by point; the same object until something has changed."""


class ProcessSource:
    """A process, the actions a scenario has for its device, and the instruments' conditions."""

    def __init__(self, process: str, seed: str, actions: Sequence[Action] = (), speed: float = 1.0) -> None:
        self.speed = speed
        self.line = LineState()
        self._process: Process = process_class(process)(Random(seed))
        self._actions = list(actions)
        self._conditions: dict[str, Condition] = {}
        self._steps = 0
        self._frozen: dict[str, Sample] = {}
        self._now = self._look()
        self._check()
        self._begin()

    @property
    def process(self) -> Process:
        return self._process

    def _check(self) -> None:
        """Refuse a scenario that moves what is not there, before anything runs."""
        mistakes = [
            f"scenario, at {action.at_s:g} s: {action.device} has no lever {lever!r}; it has "
            + ", ".join(self._process.levers)
            for action in self._actions
            for lever in action.set
            if lever not in self._process.levers
        ]
        mistakes += [
            f"scenario, at {action.at_s:g} s: {action.device} has no point {action.point!r}"
            for action in self._actions
            if action.point is not None and action.point not in self._now
        ]
        if mistakes:
            raise ConfigError(mistakes)

    def _begin(self) -> None:
        """Stand as the scenario says of second 0 before anybody reads: a story does not begin with a jump."""
        first = [action for action in self._actions if action.at_s == 0]
        for action in first:
            for lever, value in action.set.items():
                self._process.set(lever, value)
        if first:
            self._now = self._look()

    def advance(self, elapsed_s: float) -> Sequence[Text]:
        """Step the process as often as the time asks for; each action happens before the step at its time."""
        told: list[Text] = []
        while (self._steps + 1) * STEP_S <= elapsed_s + 1e-9:
            while self._actions and self._actions[0].at_s <= self._steps * STEP_S + 1e-9:
                told += self._do(self._actions.pop(0))
            self._process.step(STEP_S)
            self._steps += 1
            self._now = self._look()
        return told

    def _do(self, action: Action) -> Sequence[Text]:
        for lever, value in action.set.items():
            self._process.set(lever, value)
        if action.point is not None and action.condition is not None:
            self._conditions[action.point] = action.condition
            self._frozen[action.point] = self._now[action.point]
        if action.line is not None:
            self.line = action.line
        return [action.says] if action.says else []

    def samples(self) -> Mapping[str, Sample]:
        """Return every instrument as it is now, by point."""
        return self._now

    def _look(self) -> Mapping[str, Sample]:
        """Read every instrument once a step, so that noise is drawn by simulated time and not by who asks."""
        return {name: self._sample(name, Sample(value)) for name, value in self._process.measured().items()}

    def _sample(self, point: str, true: Sample) -> Sample:
        condition = self._conditions.get(point, Condition.OK)
        if condition is Condition.OK:
            return true
        if condition is Condition.FROZEN:
            return self._frozen[point]
        return NOTHING if condition is Condition.NO_VALUE else Sample(true.value, condition)
