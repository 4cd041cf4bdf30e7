"""Rules as a rules file writes them, from the tables that were asked for: what was tried, to be read or tried again."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
"""What a key may be written of without quotes."""


def rules_text(rules: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the TOML of rules: a table for each pattern, its keys with dots."""
    tables = ("\n".join([f"[{_quoted(pattern)}]", *_lines(said, "")]) for pattern, said in rules.items())
    return "\n\n".join(tables) + "\n"


def _lines(said: Mapping[str, Any], before: str) -> Iterator[str]:
    for key, value in said.items():
        name = before + (key if key and not set(key) - set(PLAIN) else _quoted(key))
        if isinstance(value, Mapping) and value:
            yield from _lines(value, f"{name}.")
        elif value is not None and value != {}:
            yield f"{name} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """Return a basic string of TOML, which JSON's are but for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
