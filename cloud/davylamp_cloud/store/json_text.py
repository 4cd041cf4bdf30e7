"""A column of JSON that takes text as it is: what a hundred thousand tags share is turned into text once."""

import json
from typing import Any

from sqlalchemy import Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_WRITER = json.JSONEncoder(ensure_ascii=False)


def json_text(value: Any) -> str | None:
    """Return a value as such a column holds it."""
    return value if value is None or isinstance(value, str) else _WRITER.encode(value)


class JsonText(TypeDecorator[Any]):
    """JSON in, values out; a `str` is taken for JSON that is already written."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return json_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)
