"""What tried rules mean of the tags there are: which ones, and what of it could never work on them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from davylamp_wire.config import ConfigError, in_chinese
from davylamp_wire.point import Limit, LimitKind, Text

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.backtests import job_of
from davylamp_cloud.api.catalogue import Entry
from davylamp_cloud.api.language import Bilingual
from davylamp_cloud.api.limits import settings_in_force
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.backtest.laid import names_of, settings_under
from davylamp_cloud.backtest.overlay import TRIED, Taught
from davylamp_cloud.backtest.rules import Rules, rules_of, unmatched
from davylamp_cloud.backtest.trainings import kept_in, place_of
from davylamp_cloud.registered import Tag
from davylamp_cloud.settings import Settings

ORIGIN = "rules"
"""How rules are named that come from no file."""

JUDGED = 200
"""So many tags are judged while somebody waits; the backtest itself judges all."""


def rules_in(parts: Parts, said: Mapping[str, Any]) -> Rules:
    """Return rules from what was asked, with the trainings they name.

    Raises:
        ConfigError: They are mistaken.
    """
    return rules_of(said, ORIGIN, kept_in(parts.cloud.config.data_dir))


def seen_by(parts: Parts, actor: Actor) -> list[Entry]:
    """Return the tags an actor sees."""
    return [entry for entry in parts.catalogue.register().entries if actor.sees(entry.hazard_source)]


def meant_by(rules: Rules, entries: Sequence[Entry]) -> list[Entry]:
    """Return the tags that rules mean."""
    return [entry for entry in entries if rules.of(*names_of(entry.tag, entry.plant_tag))]


def unknown(rules: Rules, entries: Sequence[Entry]) -> list[Bilingual]:
    """Return one line for each pattern that means no tag."""
    return list(_said(unmatched(rules, [names_of(entry.tag, entry.plant_tag) for entry in entries]), rules.origin))


def unworkable(parts: Parts, rules: Rules, entries: Sequence[Entry]) -> list[Bilingual]:
    """Return what of the rules could never work on the tags they mean."""
    some = meant_by(rules, entries)[:JUDGED]
    live = settings_in_force(parts.cloud.state, [entry.index for entry in some])
    found: list[Bilingual] = []
    for entry in some:
        if entry.index in live:
            try:
                under(parts, rules, entry, live[entry.index])
            except ConfigError as error:
                found += _said(error.mistakes, rules.origin)
    return found


def under(parts: Parts, rules: Rules, entry: Entry, live: Settings) -> Settings:
    """Return a tag's settings with rules laid over those in force.

    Raises:
        ConfigError: A limit or a rule cannot be.
    """
    said = [rule for _, rule in rules.of(*names_of(entry.tag, entry.plant_tag))]
    name, device = (Text(zh=one.zh, en=one.en) for one in (entry.name, entry.device_name))
    where = f"{rules.origin}: {entry.plant_tag or entry.tag}"
    tag = Tag(entry.index, entry.tag, entry.node, entry.device, entry.point, name, device, live, entry.plant_tag)
    taught = Taught(rules.trainings, place_of(entry.tag, parts.catalogue.register().by_tag))
    return settings_under(said, tag, where, taught)


def tried_limits(parts: Parts, actor: Actor, entry: Entry, job: str) -> Mapping[LimitKind, Limit]:
    """Return a tag's limits with what a backtest tried of them; a figure that moved has no source yet (SAFETY S30)."""
    live = settings_in_force(parts.cloud.state, [entry.index])[entry.index]
    said = job_of(parts, actor, job).request["rules"]
    try:
        rules = rules_in(parts, said)
        return {kind: _bare(limit) for kind, limit in under(parts, rules, entry, live).limits.items()}
    except ConfigError:  # they were edited since, so that it no longer fits
        return live.limits


def _bare(limit: Limit) -> Limit:
    """Return a limit without the source that a backtest writes: what goes into force needs its own."""
    if limit.source.standard != TRIED["standard"]:
        return limit
    return limit.model_copy(update={"source": limit.source.model_copy(update={"standard": ""})})


def said_of(error: ConfigError, origin: str) -> list[Bilingual]:
    """Return the mistakes of rules without where they are from: they stand at their field."""
    return list(_said(error.mistakes, origin))


def _said(mistakes: Iterator[str] | Sequence[str], origin: str) -> Iterator[Bilingual]:
    for line in mistakes:
        zh, en = (text.removeprefix(origin).lstrip(":： ") for text in (in_chinese(line), line))
        yield Bilingual(zh, en)
