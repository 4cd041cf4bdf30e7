"""Which red alarms stand where an edge is: the text of the ``Davylamp/Red`` metric (docs/wire.md)."""

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

MOST = 50
"""Alarms told at most: what a beacon shows of a thousand is what it shows of one."""

_TEXT = TypeAdapter(dict[str, str])


def encode_reds(occurrences: Mapping[str, str]) -> str:
    """Return the text that tells of these occurrences, by alarm; of many, the first."""
    return _TEXT.dump_json(dict(list(occurrences.items())[:MOST])).decode()


def decode_reds(text: str) -> dict[str, str]:
    """Return the occurrences a text tells of, by alarm. Raises ValueError where nobody can read it."""
    try:
        return _TEXT.validate_json(text)
    except ValidationError as error:
        raise ValueError(f"red alarms: {error.errors(include_url=False)[0]['msg']}") from None
