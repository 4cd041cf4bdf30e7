"""Readings as InfluxDB line protocol. Pure: columns in, bytes out.

```
cl2-store,device=store-1,group=park,hazard_source=cl2,node=edge-1 det_1=0.4,det_2=7.5,det_2_q=261i 1700000000123045000
└ profile └ one series per device                                 └ a float per point             └ source time, ns
```

One line is one device at one source time. A number is always a float, so a field's type never depends on the value
that came first. Beside ``<point>`` stand, only where needed, ``<point>_q`` (quality code, when not good) and
``<point>_t`` (exact text of strings and of integers a float cannot hold).

Below the millisecond the time carries the reading's mark (its record number at the edge): two readings of one tag in
the same millisecond stay two, and the same reading sent twice meets itself.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add

import numpy as np

from davylamp_cloud.historian import Int64s, Rows

NS = 1_000_000
FIRST_MS = -9_223_372_036_854
LAST_MS = 9_223_372_036_853
"""Source times InfluxDB can hold (int64 nanoseconds)."""

PLUS_INFINITY = 1 << 16
MINUS_INFINITY = 1 << 17
"""Set in the quality field where the value is an infinity, which line protocol cannot write."""

TAKEN = re.compile(r"_[qt]_*$")
UNKNOWN_PROFILE = "foreign"
NOBODY = "-"


@dataclass(frozen=True, slots=True)
class Device:
    """The series a device's readings belong to."""

    profile: str
    group: str
    node: str
    device: str
    hazard_source: str

    @property
    def prefix(self) -> str:
        """Return measurement and tags; an empty name becomes ``-``, for line protocol knows no empty tag."""
        measurement = _measurement(self.profile or UNKNOWN_PROFILE)
        pairs = (
            ("device", self.device),
            ("group", self.group),
            ("hazard_source", self.hazard_source),
            ("node", self.node),
        )
        return measurement + "".join(f",{key}={_tag(value or NOBODY)}" for key, value in pairs) + " "


def field_of(point: str) -> str:
    """Return a point's field name: its own, with ``_`` appended where it could be read as another's quality or text."""
    return point + "_" if TAKEN.search(point) else point


def lines_of(rows: Rows, prefixes: Mapping[int, str], fields: Mapping[int, str]) -> list[str]:
    """Return the lines of rows, in their order.

    `prefixes` are by birth id (`Device.prefix`), `fields` by tag index. Times must lie within FIRST_MS..LAST_MS.
    """
    if not len(rows):
        return []
    tags = rows.tags.tolist()
    keys = [fields[tag] for tag in tags]
    texts = list(map(add, [key + "=" for key in keys], map(repr, rows.values.tolist())))
    for at in _special(rows).tolist():
        texts[at] = _field(keys[at], float(rows.values[at]), int(rows.qualities[at]), rows.texts.get(at))
    times = rows.times_ms * NS + rows.marks % 1000 * 1000
    starts = _starts(rows, times)
    births, stamps = rows.births[starts].tolist(), times[starts].tolist()
    ends = [*starts[1:].tolist(), len(tags)]
    plain = _ascending(rows, starts)
    lines: list[str] = []
    for group, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
        prefix, stamp = prefixes[births[group]], stamps[group]
        if plain[group]:
            lines.append(f"{prefix}{','.join(texts[start:end])} {stamp}")
        else:
            lines.extend(_unrolled(prefix, tags[start:end], texts[start:end], stamp))
    return lines


def split_fields(line: str) -> list[str]:
    """Return a line as lines of one point each, to find the one the store refuses."""
    head, rest = _cut(line, " ")
    body, stamp = rest.rsplit(" ", 1)
    return [f"{head} {part} {stamp}" for part in _parts(body)]


def _special(rows: Rows) -> Int64s:
    mask = (rows.qualities != 0) | ~np.isfinite(rows.values)
    if rows.texts:
        mask[list(rows.texts)] = True
    return np.flatnonzero(mask)


def _field(key: str, value: float, quality: int, text: str | None) -> str:
    """Return the fields of a reading that is not simply a good number."""
    parts = []
    if math.isfinite(value):
        parts.append(f"{key}={value!r}")
    elif math.isinf(value):
        quality |= PLUS_INFINITY if value > 0 else MINUS_INFINITY
    if text is not None:
        parts.append(f'{key}_t="{_quoted(text)}"')
    if quality or not parts:
        parts.append(f"{key}_q={quality}i")
    return ",".join(parts)


def _starts(rows: Rows, times: Int64s) -> Int64s:
    """Return where a new line begins: another record, another device or another source time."""
    new = np.ones(len(rows), np.bool_)
    new[1:] = (np.diff(times) != 0) | (np.diff(rows.seqs) != 0) | (np.diff(rows.births) != 0)
    return np.flatnonzero(new)


def _ascending(rows: Rows, starts: Int64s) -> list[bool]:
    """Return which lines surely hold no tag twice: those whose tags ascend."""
    rising = np.ones(len(rows), np.bool_)
    rising[1:] = np.diff(rows.tags) > 0
    rising[starts] = True
    return np.logical_and.reduceat(rising, starts).tolist()  # type: ignore[no-any-return]  # list[bool] by dtype


def _unrolled(prefix: str, tags: Sequence[int], texts: Sequence[str], stamp: int) -> list[str]:
    """Return a group whose tags may repeat: the n-th reading of a tag goes n nanoseconds later."""
    seen: dict[int, int] = {}
    layers: list[list[str]] = []
    for tag, text in zip(tags, texts, strict=True):
        layer = seen.get(tag, 0)
        seen[tag] = layer + 1
        if layer == len(layers):
            layers.append([])
        layers[layer].append(text)
    return [f"{prefix}{','.join(layer)} {stamp + late}" for late, layer in enumerate(layers)]


def _measurement(name: str) -> str:
    return re.sub(r"([, ])", r"\\\1", _one_line(name))


def _tag(value: str) -> str:
    return re.sub(r"([,= ])", r"\\\1", _one_line(value))


def _one_line(name: str) -> str:
    return re.sub(r"[\r\n\\]", "_", name)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _cut(line: str, mark: str) -> tuple[str, str]:
    """Return a line before and after the first unescaped `mark`."""
    found = re.search(rf"(?<!\\){mark}", line)
    assert found is not None, "every line has measurement, fields and time"
    return line[: found.start()], line[found.end() :]


def _parts(body: str) -> list[str]:
    """Return a line's fields, those of one point kept together."""
    pieces = re.findall(r'[^,=]+=(?:"(?:\\.|[^"\\])*"|[^,]*)', body, re.DOTALL)
    parts: list[str] = []
    for piece in pieces:
        key = piece.split("=", 1)[0]
        before = parts[-1].split("=", 1)[0] if parts else None
        same = before is not None and key.removesuffix("_t").removesuffix("_q") == _stem(before) and key != before
        if same and TAKEN.search(key):
            parts[-1] += "," + piece
        else:
            parts.append(piece)
    return parts


def _stem(key: str) -> str:
    return key[:-2] if key.endswith(("_q", "_t")) else key
