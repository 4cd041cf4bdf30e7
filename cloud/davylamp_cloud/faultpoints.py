"""Named places at which a test makes the process die (SIGKILL): `hit` does nothing unless DAVYLAMP_FAULTS arms one.

```
DAVYLAMP_FAULTS=monitor.before_commit#3             the third time
DAVYLAMP_FAULTS=monitor.evaluating@data:store       each time, for that key only
DAVYLAMP_FAULTS=random:7:40                         seed 7: anywhere, one hit in 40
```

As in etcd (gofail): what a crash at the worst moment does is tried and not argued about.
"""

import os
import random
import signal
import threading
from collections.abc import Callable
from typing import Final

VARIABLE: Final = "DAVYLAMP_FAULTS"

POINTS: Final = (
    "monitor.before_engine",
    "monitor.evaluating",
    "monitor.after_engine",
    "monitor.after_transitions",
    "monitor.after_outbox",
    "monitor.before_commit",
    "monitor.after_commit",
    "snapshot.before_commit",
    "snapshot.after_commit",
    "log.before_commit",
    "log.after_commit",
    "outbox.after_send",
    "outbox.before_mark",
)
"""Every place there is."""

NOT_BY_CHANCE: Final = frozenset({"monitor.evaluating"})
"""Dying here says that a record kills the process (trying.py); chance must not say so."""


class BadFaults(ValueError):
    """The variable names no fault point or has another form."""


class Faults:
    """What one setting of the variable makes of a hit: True where the process is to die."""

    def __init__(self, text: str) -> None:
        """Read a setting.

        Raises:
            BadFaults: It cannot be read; the message says how it must look.
        """
        self._lock = threading.Lock()
        self._decide = _by_chance(text) if text.startswith("random:") else _by_name(text)

    def due(self, name: str, key: str) -> bool:
        """Count a hit; True where this one is meant."""
        with self._lock:
            return self._decide(name, key)


def _by_chance(text: str) -> Callable[[str, str], bool]:
    try:
        _, seed, one_in = text.split(":")
        dice, mean = random.Random(int(seed)), int(one_in)
    except ValueError:
        raise BadFaults(f"{VARIABLE}={text}: it is random:SEED:ONE_IN") from None
    return lambda name, key: name not in NOT_BY_CHANCE and dice.randrange(mean) == 0


def _by_name(text: str) -> Callable[[str, str], bool]:
    rest, _, nth = text.partition("#")
    name, _, wanted = rest.partition("@")
    if name not in POINTS or not (nth or "0").isdigit():
        raise BadFaults(f"{VARIABLE}={text}: it is NAME, NAME#N or NAME@KEY, and NAME one of {', '.join(POINTS)}")
    left = int(nth or 1)

    def decide(hit: str, key: str) -> bool:
        nonlocal left
        if hit != name or (wanted and key != wanted):
            return False
        left -= 1
        return left <= 0

    return decide


_ARMED = Faults(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None

armed: Final = _ARMED is not None
"""Whether any point is armed; what prepares a hit in a loop asks first."""


def hit(name: str, key: str = "") -> None:
    """Die here if this process was told to."""
    if _ARMED is not None and _ARMED.due(name, key):
        os.kill(os.getpid(), signal.SIGKILL)
