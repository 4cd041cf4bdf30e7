"""The whole memory as JSON and back, what there is much of in columns: a storm's memory must not hold up a snapshot."""

import json
from collections import deque
from collections.abc import Collection, Mapping
from operator import attrgetter
from typing import Any

from davylamp_alarms.performance.advice import ADVICE, Advice, Adviser, Kind, Seen
from davylamp_alarms.performance.first_out import FirstOuts, Upset
from davylamp_alarms.performance.firsts import Candidate, Firsts
from davylamp_alarms.performance.flood import BEGINS_ABOVE, Flood, Floods, Position

SEEN = tuple(Seen.__dataclass_fields__)


def dump(adviser: Adviser, floods: Floods, first_outs: FirstOuts, ticked_ms: int) -> bytes:
    """Return all of it; equal memories give equal bytes."""
    said = {
        "seen": [list(adviser.seen), _columns(SEEN, adviser.seen.values())],
        "open": [list(adviser.open), _columns(ADVICE, adviser.open.values())],
        "told_ms": adviser.told_ms,
        "advices": adviser.number,
        "positions": {name: _position(here) for name, here in floods.positions.items()},
        "upsets": {source: _upset(upset) for source, upset in first_outs.upsets.items()},
        "numbers": first_outs.numbers,
        "ticked_ms": ticked_ms,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def load(dumped: bytes) -> tuple[Adviser, Floods, FirstOuts, int]:
    """Return what `dump` was given."""
    said = json.loads(dumped)
    (seen, seen_columns), (keys, open_columns) = said["seen"], said["open"]
    adviser = Adviser(
        dict(zip(seen, map(_seen, *seen_columns), strict=True)),
        dict(zip(keys, map(_advice, *open_columns), strict=True)),
        said["told_ms"],
        said["advices"],
    )
    floods = Floods({name: _position_of(here) for name, here in said["positions"].items()})
    first_outs = FirstOuts({source: _upset_of(upset) for source, upset in said["upsets"].items()}, said["numbers"])
    return adviser, floods, first_outs, said["ticked_ms"]


def _columns(names: tuple[str, ...], found: Collection[Any]) -> list[list[Any]]:
    return [list(map(attrgetter(name), found)) for name in names]


def _seen(raises_ms: list[int], raised_ms: int, ended_ms: int, acted: bool, flashes_ms: list[int], *rest: Any) -> Seen:
    return Seen(tuple(raises_ms), raised_ms, ended_ms, acted, tuple(flashes_ms), *rest)


def _advice(*fields: Any) -> Advice:
    said = dict(zip(ADVICE, fields, strict=True))
    return Advice(**{**said, "kind": Kind(said["kind"])})


def _plain(one: Flood | Upset) -> dict[str, Any]:
    """Return the fields as they are, but for the first ones: two lists of tuples."""
    fields = {name: getattr(one, name) for name in one.__dataclass_fields__}
    return {**fields, "firsts": [one.firsts.named, one.firsts.kept]}


def _position(here: Position) -> dict[str, Any]:
    flood = here.flood and _plain(here.flood)
    return {"recent_ms": list(here.recent_ms), "latest": list(here.latest), "flood": flood, "floods": here.floods}


def _position_of(said: Mapping[str, Any]) -> Position:
    latest = ((priority, Candidate(*candidate)) for priority, candidate in said["latest"])
    flood = said["flood"] and Flood(**{**said["flood"], "firsts": _firsts_of(said["flood"]["firsts"])})
    return Position(deque(said["recent_ms"]), deque(latest, BEGINS_ABOVE + 1), flood, said["floods"])


def _upset(upset: Upset) -> dict[str, Any]:
    return {**_plain(upset), "standing": sorted(upset.standing)}


def _upset_of(said: Mapping[str, Any]) -> Upset:
    return Upset(**{**said, "firsts": _firsts_of(said["firsts"]), "standing": set(said["standing"])})


def _firsts_of(said: Collection[Any]) -> Firsts:
    return Firsts(*([Candidate(*one) for one in found] for found in said))
