"""What the beacon shows and why, as a table. Pure: times are a monotonic clock's seconds.

Everything that lights the lamp, sounds the horn or opens the watchdog contact is in this file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from davylamp_edge.beacon_settings import BeaconCoils
from davylamp_edge.standing import Occurrences

TEST_S = 5.0
"""How long a test shows every output."""

BLINK_S, LIT_S = 5.0, 1.0
"""A silent engine is a short flash now and then: not to be taken for an alarm, and kind to a relay's contacts."""


class State(StrEnum):
    """What the beacon is doing."""

    OFF = "off"
    SOUNDING = "sounding"
    SILENCED = "silenced"
    TEST = "test"
    FAULT = "fault"
    """No alarm stands, as far as is known: an engine is silent."""


class Event(StrEnum):
    """What can happen to it."""

    RAISED = "raised"
    """Something stands that nobody has silenced."""
    CLEARED = "cleared"
    """Nothing stands any more."""
    SILENCE = "silence"
    TEST = "test"
    TESTED = "tested"
    """The test is over."""
    LOST = "lost"
    """An engine is silent."""
    HEARD = "heard"
    """No engine is silent."""


_S, _E = State, Event
TABLE: Mapping[State, Mapping[Event, State]] = {
    _S.OFF: {_E.RAISED: _S.SOUNDING, _E.TEST: _S.TEST, _E.LOST: _S.FAULT},
    _S.SOUNDING: {_E.SILENCE: _S.SILENCED, _E.CLEARED: _S.OFF},
    _S.SILENCED: {_E.RAISED: _S.SOUNDING, _E.CLEARED: _S.OFF},
    _S.TEST: {_E.RAISED: _S.SOUNDING, _E.SILENCE: _S.OFF, _E.TESTED: _S.OFF},
    _S.FAULT: {_E.RAISED: _S.SOUNDING, _E.TEST: _S.TEST, _E.HEARD: _S.OFF},
}
"""What is not here changes nothing: an alarm outranks a silent engine, and no test hides either."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen at one moment: what stands, whether an engine is silent, and what was pressed."""

    standing: Occurrences
    silent: bool
    pressed: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Signal:
    """The beacon's memory: what stood when it last looked, and what of it was silenced."""

    state: State = State.OFF
    heard: Occurrences = field(default_factory=dict)
    silenced: Occurrences = field(default_factory=dict)
    test_until_s: float = 0.0


def step(signal: Signal, seen: Seen, now_s: float) -> Signal:
    """Return the signal after what is seen now.

    What is pressed is about what was heard before: an occurrence of this very moment is not silenced with the others,
    nor is one that has become graver (SAFETY S28).
    """
    for event in seen.pressed:
        signal = _after(signal, event, now_s)
    kept = {name: priority for name, priority in signal.silenced.items() if name in seen.standing}
    signal = replace(signal, heard=dict(seen.standing), silenced=kept)
    for event in _happened(signal, seen, now_s):
        signal = _after(signal, event, now_s)
    return signal


def _happened(signal: Signal, seen: Seen, now_s: float) -> Iterator[Event]:
    if any(priority > signal.silenced.get(name, 0) for name, priority in seen.standing.items()):
        yield Event.RAISED
    if not seen.standing:
        yield Event.CLEARED
    if now_s >= signal.test_until_s:
        yield Event.TESTED
    yield Event.LOST if seen.silent else Event.HEARD


def _after(signal: Signal, event: Event, now_s: float) -> Signal:
    state = TABLE[signal.state].get(event, signal.state)
    if state is signal.state:
        return signal
    silenced = signal.heard if state is State.SILENCED else {}
    return replace(signal, state=state, silenced=silenced, test_until_s=now_s + TEST_S if state is State.TEST else 0.0)


def closed(coils: BeaconCoils, state: State, *, lives: bool, now_s: float) -> dict[int, bool]:
    """Return which coils are closed; `lives` where every engine that is watched is known to live.

    A horn that shares the lamp's coil cannot be silenced, and does not sound for a silent engine: that is left to the
    watchdog contact.
    """
    shown = state in (State.SOUNDING, State.SILENCED, State.TEST)
    flash = state is State.FAULT and now_s % BLINK_S < LIT_S and coils.horn is not None
    wanted = {coils.lamp: shown or flash}
    if coils.horn is not None:
        wanted[coils.horn] = state in (State.SOUNDING, State.TEST)
    return wanted | {coils.watchdog: lives and state is not State.TEST}


def at_rest(coils: BeaconCoils, state: State) -> dict[int, bool]:
    """Return the coils of a beacon that is left alone: nobody could silence its horn, and nobody watches any more.

    The lamp goes on showing what stood; where the horn shares its coil, the two are one and fall silent.
    """
    stays = state in (State.SOUNDING, State.SILENCED) and coils.horn is not None
    return {coil: stays and coil == coils.lamp for coil in coils.all}
