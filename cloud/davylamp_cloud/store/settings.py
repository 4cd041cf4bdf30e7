"""Settings on disk: the text of each once, however many tags share it; `limits` names it by its key."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, String, select, type_coerce
from sqlalchemy.dialects.sqlite import insert

from davylamp_cloud.settings import Settings
from davylamp_cloud.store import schema


@lru_cache(maxsize=1 << 12)
def key_of(text: str) -> str:
    """Return the key of settings written as canonical JSON."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def keep_settings(connection: Connection, texts: Iterable[str]) -> None:
    """Store texts that are not stored yet."""
    rows = [{"key": key_of(text), "body": text} for text in set(texts)]
    if rows:
        connection.execute(insert(schema.SETTINGS).on_conflict_do_nothing(), rows)


def all_settings(connection: Connection) -> dict[str, Settings]:
    """Return all stored settings by key; equal settings are one object."""
    table = schema.SETTINGS
    rows = connection.execute(select(table.c.key, type_coerce(table.c.body, String)))
    return {key: Settings.model_validate_json(text) for key, text in rows}


def select_limits(*where: ColumnElement[bool]) -> Select[Any]:
    """Return a query for versions of limits with their settings in words."""
    limits, settings = schema.LIMITS, schema.SETTINGS
    plain = [column for column in limits.c if column.name != "settings"]
    joined = limits.join(settings, settings.c.key == limits.c.settings)
    return select(*plain, settings.c.body.label("settings")).select_from(joined).where(*where)
