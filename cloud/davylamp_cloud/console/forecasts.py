"""The forecasts of standing warnings, renewed on the page while nothing else in their rows changes."""

from davylamp_alarms.definition import WARNING_KINDS

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.board import Standing, shown
from davylamp_cloud.api.event import Event, dumps
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.console.parts import MOST_SHOWN
from davylamp_cloud.console.render import Reader


def forecast_events(reader: Reader, parts: Parts, actor: Actor, standing: Standing) -> list[Event]:
    """Return what the warnings on the page find now, as JSON with HTML; nothing where there is none."""
    rows = [alarm for alarm in standing.seen(actor.sees) if not alarm.hidden][:MOST_SHOWN]
    warnings = [alarm for alarm in rows if alarm.kind in WARNING_KINDS]
    if not warnings:
        return []
    said = [
        {
            "occurrence": alarm.occurrence,
            "label": reader.say(alarm.text),
            "html": reader.render("parts/forecast.html", alarm=alarm),
        }
        for alarm in shown(parts.cloud, parts.catalogue, warnings)
    ]
    return [Event("forecasts", dumps(said))]
