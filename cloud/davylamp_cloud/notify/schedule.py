"""When a notice that did not arrive is tried again. Pure: a table, a random number and what the receiver asked for.

Red and orange are tried after 2, 5, 10, 20, 30 and 60 s and then every minute, because the five minutes of the
Standard Webhooks schedule are too long for a leak. All give up after three days, which is recorded and shown; a
receiver itself is never switched off (SAFETY S22).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MINUTE_S = 60.0
HOUR_S = 3600.0
DAYS_OF_TRYING_S = 75.6 * HOUR_S

URGENT = (2.0, 5.0, 10.0, 20.0, 30.0, *([MINUTE_S] * int(DAYS_OF_TRYING_S / MINUTE_S)))
STANDARD = (5.0, 5 * MINUTE_S, 30 * MINUTE_S, *(hours * HOUR_S for hours in (2, 5, 10, 14, 20, 24)))
"""Seconds after the first, second, … failed attempt. Source: Standard Webhooks 1.0.0, retry schedule."""

JITTER = 0.1
"""Up to this part of a delay is added, so that receivers coming back are not met by everything at once."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Delays by priority, and how long a receiver's own wish (Retry-After) is followed."""

    delays_s: Mapping[str, Sequence[float]]
    longest_wish_s: Mapping[str, float]

    def delay_s(self, priority: str, attempts: int, jitter: float, wish_s: float | None = None) -> float | None:
        """Return the wait after that many failed attempts; None when it is time to give up.

        `jitter` lies in 0..1. A wish longer than the delay is followed, for red and orange up to a minute: a
        regulator's server may ask for an hour, the leak will not wait for it.
        """
        delays = self.delays_s[priority]
        if attempts > len(delays):
            return None
        delay = delays[attempts - 1] * (1 + JITTER * jitter)
        return delay if wish_s is None else max(delay, min(wish_s, self.longest_wish_s[priority]))


SCHEDULE = Schedule(
    delays_s={"red": URGENT, "orange": URGENT, "yellow": STANDARD, "blue": STANDARD},
    longest_wish_s={"red": MINUTE_S, "orange": MINUTE_S, "yellow": 24 * HOUR_S, "blue": 24 * HOUR_S},
)


def retry_after_s(header: str | None, now_ms: int) -> float | None:
    """Return a Retry-After header as seconds from now; None where it is absent or nonsense (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    text = header.strip()
    if text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.fromtimestamp(now_ms / 1000, UTC)).total_seconds())
