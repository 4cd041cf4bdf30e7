"""A tag's limits as readers see them: value, priority, and the source that has or has not been verified (S30)."""

from collections.abc import Iterable
from functools import lru_cache

from davylamp_alarms.definition import Kind, PointKind, default_priority
from davylamp_wire.point import Limit, Source
from sqlalchemy import String, select, type_coerce

from davylamp_cloud.api.views import LimitView
from davylamp_cloud.settings import Settings
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import Row, State

CHUNK = 500
"""Tags asked for in one query: SQLite bounds the number of parameters."""


def limits_of(row: Row | None) -> tuple[LimitView, ...]:
    """Return the limits in force, highest first; none where the register has none."""
    if row is None:
        return ()
    settings = Settings.model_validate(row["settings"])
    found = [_view(name, limit, settings.kind) for name, limit in settings.limits.items()]
    return tuple(sorted(found, key=lambda limit: -limit.value))


def settings_in_force(state: State, tags: Iterable[int]) -> dict[int, Settings]:
    """Return the settings in force of some tags, by index."""
    wanted = sorted(set(tags))
    limits, settings = schema.LIMITS, schema.SETTINGS
    joined = limits.join(settings, settings.c.key == limits.c.settings)
    query = select(limits.c.tag, type_coerce(settings.c.body, String)).select_from(joined)
    found = {}
    with state.reading() as connection:
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            for tag, text in connection.execute(query.where(limits.c.tag.in_(chunk), limits.c.to_seq.is_(None))):
                found[tag] = _settings(text)
    return found


@lru_cache(maxsize=1 << 12)
def _settings(text: str) -> Settings:
    """Return settings from their JSON; many tags share a few."""
    return Settings.model_validate_json(text)


def source_words(source: Source) -> str:
    """Return where a limit comes from as one line: standard, edition, clause."""
    return " ".join(part for part in (source.standard, source.edition, source.clause) if part)


def _view(name: str, limit: Limit, kind: str) -> LimitView:
    source = limit.source
    return LimitView(
        kind=name,
        value=limit.value,
        deadband=limit.deadband,
        priority=limit.priority or default_priority(Kind(name), PointKind(kind)).word,
        source=source_words(source),
        verified=source.verified,
    )
