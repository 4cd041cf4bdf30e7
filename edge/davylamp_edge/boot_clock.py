"""A wall clock that is known to be wrong, and what its stamps become once it is set (decision 0020).

A gateway without a battery starts in 1970. What it reads is marked and sent at once (SAFETY S1); meanwhile the journal
keeps how far this boot's steady clock is from the wrong one. When the wall clock jumps, the size of the jump is what
every stamp made before it lacks, and records that are sent from then on carry the right time.
"""

import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import structlog
from davylamp_wire.payload import restamped

from davylamp_edge.records import Record

log = structlog.get_logger(__name__)

CLOCK_SET_MS = 1_704_067_200_000
"""2024-01-01: a machine that believes to be earlier has lost its clock, and its readings are doubtful (SAFETY S2)."""

DAY_MS = 86_400_000
"""A clock this much earlier than what the journal holds is wrong; one this near to the host's is not."""

STEP_MS = 1_000
"""From here on a difference between the two clocks is a jump, and not how fast they run."""

KEPT = 16
"""Jumps remembered: a record sent again after a restart is stamped as it was the first time."""


def steady_ms() -> int:
    """Return the time since this machine was started, in ms; nobody sets it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_id() -> str:
    """Return the name of this boot; empty where the system has none."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


@dataclass(frozen=True, slots=True)
class Restamp:
    """What a jump means for records: stamps earlier than `before_ms` were made ahead of it, and move on by `by_ms`."""

    first: int
    last: int
    before_ms: int
    by_ms: int

    def moved(self, time_ms: int) -> int:
        """Return a stamp as it should have been."""
        return time_ms + self.by_ms if time_ms < self.before_ms else time_ms


@dataclass(frozen=True, slots=True)
class Wrong:
    """A wrong clock: in which boot, from which record on, and how far the wall clock is ahead of the steady one."""

    boot: str
    first: int
    ahead_ms: int


class BootClock:
    """Watches the wall clock against the steady one.

    Args:
        kept: What `keep` was last given, before the restart.
        keep: Writes a text where the next start finds it.
        newest: Number and stamp of the newest few records; their median is no single device's mistake.
        last_record: The newest record's number.
    """

    def __init__(
        self,
        kept: str,
        keep: Callable[[str], None],
        newest: Iterable[tuple[int, int]],
        last_record: int,
        *,
        wall_ms: Callable[[], int],
        steady_ms: Callable[[], int] = steady_ms,
        boot: str | None = None,
    ) -> None:
        self._keep = keep
        self._wall_ms = wall_ms
        self._steady_ms = steady_ms
        self._boot = boot_id() if boot is None else boot
        self._restamps, self._wrong = _read(kept)
        times = [self.right_ms(number, time_ms) for number, time_ms in newest]
        self.right_from_ms = max(CLOCK_SET_MS, int(median(times)) - DAY_MS) if times else CLOCK_SET_MS
        """The earliest time that can be right."""
        self._looked_at = last_record
        self._forget_another_boot()
        self.look(last_record, None)

    @property
    def wrong(self) -> bool:
        """Whether the clock was known to be wrong when it was last looked at."""
        return self._wrong is not None

    def look(self, last_record: int, offset_ms: int | None) -> bool:
        """Compare the clocks, and return whether the wrong one was set since.

        Call it every second, once everything stamped so far has its number.

        Args:
            last_record: The newest record's number.
            offset_ms: How far this clock is from the host's, as far as the host has spoken.
        """
        if offset_ms is not None and abs(offset_ms) <= DAY_MS:
            self.right_from_ms = CLOCK_SET_MS  # the host agrees: then it is the journal that holds a time to come
        wall_ms = self._wall_ms()
        ahead_ms = wall_ms - self._steady_ms()
        before, self._wrong = self._wrong, self._still_wrong(wall_ms, ahead_ms)
        jumped = before is not None and ahead_ms - before.ahead_ms > STEP_MS
        if before is not None and jumped:
            self._jumped(before, last_record, wall_ms, ahead_ms - before.ahead_ms)
        self._looked_at = last_record
        if self._wrong != before:
            self._keep(json.dumps([[asdict(each) for each in self._restamps], self._wrong and asdict(self._wrong)]))
        return jumped

    def _still_wrong(self, wall_ms: int, ahead_ms: int) -> Wrong | None:
        if wall_ms >= self.right_from_ms:
            return None
        before = self._wrong
        if before is not None and abs(ahead_ms - before.ahead_ms) <= STEP_MS:
            return before
        if before is not None and ahead_ms > before.ahead_ms:
            return replace(before, ahead_ms=ahead_ms)
        log.warning("the clock is wrong, readings are marked", at_ms=wall_ms, right_from_ms=self.right_from_ms)
        return Wrong(self._boot, self._looked_at + 1, ahead_ms)

    def _jumped(self, wrong: Wrong, last_record: int, wall_ms: int, by_ms: int) -> None:
        made = Restamp(wrong.first, last_record, wall_ms - by_ms // 2, by_ms)
        self._restamps = (*self._restamps, made)[-KEPT:]
        records = f"{made.first}-{made.last}"
        log.warning("the clock was set, what is not sent yet is stamped anew", by_s=by_ms // 1000, records=records)

    def _forget_another_boot(self) -> None:
        if self._wrong is not None and self._wrong.boot != self._boot:
            log.warning("the clock was not set before the machine was switched off", first_record=self._wrong.first)
            self._wrong = None

    def right_ms(self, number: int, time_ms: int) -> int:
        """Return a record's stamp as it should have been."""
        for each in self._restamps:
            if each.first <= number <= each.last:
                time_ms = each.moved(time_ms)
        return time_ms

    def known_ms(self, number: int, time_ms: int) -> int | None:
        """Return when a record was made; None where its stamp is of a clock that was never set."""
        right_ms = self.right_ms(number, time_ms)
        return right_ms if right_ms >= CLOCK_SET_MS else None

    def stamped(self, record: Record) -> Record:
        """Return a record with the stamps it should have had; the one in the journal stays as it is."""
        for each in self._restamps:
            if each.first <= record.number <= each.last:
                body = restamped(record.body, each.moved)
                record = replace(record, first_ms=each.moved(record.first_ms), body=body)
        return record


def _read(kept: str) -> tuple[tuple[Restamp, ...], Wrong | None]:
    """Return what was kept; nothing where it was something else."""
    with suppress(ValueError, TypeError):
        restamps, wrong = json.loads(kept)
        return tuple(Restamp(**each) for each in restamps), wrong and Wrong(**wrong)
    return (), None
