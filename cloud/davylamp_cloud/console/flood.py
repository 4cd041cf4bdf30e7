"""The banner of a flood: how many alarms come, since when, and which came first."""

from collections.abc import Mapping
from dataclasses import dataclass

from davylamp_alarms.performance.flood import WINDOW_MS

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.board import Standing
from davylamp_cloud.api.event import Event
from davylamp_cloud.api.floods import FloodView, floods
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.console.naming import AlarmName, names_of
from davylamp_cloud.console.render import Reader
from davylamp_cloud.store.performance import annunciated

MOST_SHOWN = 5
"""Positions in flood at once on one page."""


FIRST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class First:
    """An alarm that may have been first; `occurrence` is that of its row while it stands, else empty."""

    name: AlarmName
    occurrence: str


@dataclass(frozen=True, slots=True)
class Banner:
    """A flood that lasts, as the page shows it; `now` counts the last ten minutes."""

    flood: FloodView
    now: int
    firsts: list[First]

    @property
    def peak(self) -> int:
        """The most in any ten minutes; the flood's record is renewed every ten seconds only."""
        return max(self.flood.peak, self.now)


def banners(parts: Parts, actor: Actor, standing: Standing) -> list[Banner]:
    """Return the floods that last; reads the disk."""
    lasting = floods(parts, actor, lasting=True, limit=MOST_SHOWN)
    if not lasting:
        return []
    with parts.cloud.state.reading() as connection:
        counts = annunciated(connection, parts.cloud.now_ms() - WINDOW_MS)
    names = names_of(parts, [alarm for flood in lasting for _, alarm, _ in flood.first])
    here = {alarm.alarm_id: alarm.occurrence for alarm in standing.alarms}
    return [_banner(flood, counts, names, here) for flood in lasting]


def _banner(
    flood: FloodView, counts: Mapping[str, int], names: Mapping[str, AlarmName], here: Mapping[str, str]
) -> Banner:
    firsts = [First(names[alarm], here.get(alarm, "")) for _, alarm, _ in flood.first[:FIRST_SHOWN]]
    return Banner(flood, counts.get(flood.position, 0), firsts)


def flood_html(reader: Reader, found: list[Banner]) -> str:
    """Return the banners as HTML; nothing where no flood lasts."""
    return reader.render("parts/flood.html", banners=found)


def flood_events(reader: Reader, parts: Parts, actor: Actor, standing: Standing) -> list[Event]:
    """Return the banners as the stream sends them."""
    return [Event("flood", flood_html(reader, banners(parts, actor, standing)))]
