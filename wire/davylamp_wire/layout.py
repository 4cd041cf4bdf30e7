"""Where the parts of a metric lie, for metrics that all lie the same way: the equal-stride view of `columns`.

A layout is read off one metric and then proved for the others: bytes that must be equal are compared, bytes of varints
must go on or end where the first one's do, and only the bits that carry alias, time and value may differ.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from davylamp_wire import sparkplug_pb2
from davylamp_wire.decode import stated_quality

Bytes = NDArray[np.uint8]

SHORT = 7
"""Longest varint read by a product of floats: 49 bits, exact in a double."""
ALIAS_TAG = 0x10
SIZES = 64
"""Payload sizes a layout remembers its proof for."""
TILE = 1 << 10
"""Metrics whose proof is one comparison; longer payloads are proved in pieces."""


MANY = 512
"""Metrics from which shifting the bits of whole columns beats one product for all bytes."""
WORD = 8
FEW = 4
"""Runs of equal numbers are worth finding where they are this long on average."""


class Kind(Enum):
    """What carries the value."""

    NULL = 0
    DOUBLE = 0x69
    FLOAT = 0x65
    BOOL = 0x70
    INT = 0x50
    LONG = 0x58


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """One shape of metric, `stride` bytes long including its tag and length.

    ``mask`` has the bits that every metric of this shape shares, ``want`` what they are, both repeated `TILE` times;
    ``proofs`` keeps both cut to the sizes seen.
    ``weights`` make alias and time out of a metric's bytes: a varint is a sum of its bytes times powers of 128, less
    what its continuation bits add. The alias's tag is 16 in every metric, so its weight takes that off; all of it is
    exact in doubles. ``spans`` say where alias and time begin and end: of many metrics it is quicker to shift bits.
    """

    stride: int
    kind: Kind
    value: int
    value_end: int
    datatype: int
    quality: int
    historical: bool
    transient: bool
    weights: NDArray[np.float64]
    spans: tuple[tuple[int, int], tuple[int, int]]
    mask: Bytes
    want: bytes = field(repr=False)
    proofs: dict[int, tuple[Bytes, bytes]] = field(default_factory=dict, repr=False)

    def fits(self, flat: Bytes) -> bool:
        """Return whether bytes, one metric after the other, are all of this shape."""
        size = len(flat)
        if size > self.stride * TILE:
            return all(self.fits(piece) for piece in self._pieces(flat))
        proof = self.proofs.get(size)
        if proof is None:
            if len(self.proofs) >= SIZES:
                self.proofs.clear()
            proof = self.proofs[size] = (self.mask[:size], self.want[:size])
        return np.bitwise_and(flat, proof[0]).tobytes() == proof[1]

    def keys(self, flat: Bytes, count: int) -> NDArray[np.int64]:
        """Return aliases and times of metrics that fit, shape (2, metrics)."""
        if count >= MANY and all(start + WORD <= self.stride for start, _ in self.spans):
            return np.stack([_varints(flat, count, self.stride, *span) for span in self.spans])
        if count > TILE:
            # Small products stay on this thread; a large one would wake those of BLAS.
            pieces = [self.keys(piece, len(piece) // self.stride) for piece in self._pieces(flat)]
            return np.concatenate(pieces, axis=1)
        # All bytes become floats, those of the value too: their weight is nothing, and one plain cast is the quickest.
        parts = flat.astype(np.float64).reshape(count, self.stride)
        keys: NDArray[np.int64] = self.weights.dot(parts.T).astype(np.int64)
        return keys

    def _pieces(self, flat: Bytes) -> Iterator[Bytes]:
        size = self.stride * TILE
        return (flat[start : start + size] for start in range(0, len(flat), size))

    def floats(self, flat: Bytes, count: int) -> NDArray[np.float64]:
        """Return the values of doubles, floats or Booleans that fit."""
        if self.kind is Kind.DOUBLE:
            return np.ndarray((count,), "<f8", flat, self.value, (self.stride,)).copy()
        if self.kind is Kind.FLOAT:
            with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
                return np.ndarray((count,), "<f4", flat, self.value, (self.stride,)).astype(np.float64)
        return np.ndarray((count,), np.uint8, flat, self.value, (self.stride,)).astype(np.float64)

    def wholes(self, rows: Bytes) -> NDArray[np.uint64]:
        """Return the unsigned integers on the wire, bits beyond 64, or 32 of a short one, cut off as protobuf does."""
        found = np.zeros(len(rows), np.uint64)
        for place in range(self.value_end - self.value):
            part = (rows[:, self.value + place] & 0x7F).astype(np.uint64)
            found |= part << np.uint64(7 * place)
        return found & np.uint64(0xFFFF_FFFF) if self.kind is Kind.INT else found


_SEEN: dict[tuple[int, int, int], Layout] = {}
_SEEN_MOST = 256
_KEY_BYTES = 14
"""Our aliases and times end with the thirteenth byte; the tag behind them, and the length, tell shapes apart."""


def layout_fitting(metric: bytes, flat: Bytes) -> Layout | None:
    """Return a layout that fits bytes whose first metric is given: a remembered one, or the first metric's own.

    What is remembered is a guess, proved each time; it only saves reading the layout off again.
    """
    if len(metric) < _KEY_BYTES:
        return None
    key = (len(metric), metric[6], metric[13])
    known = _SEEN.get(key)
    if known is not None and known.fits(flat):
        return known
    read = layout_of(metric)
    if read is None or not read.fits(flat):
        return None
    if len(_SEEN) >= _SEEN_MOST:
        _SEEN.clear()
    _SEEN[key] = read
    return read


def layout_of(metric: bytes) -> Layout | None:
    """Return the layout a metric (with its tag and length) shows; None where its kind has no fixed places.

    Names, texts and everything unknown have none; nor has a metric without alias or time, or with one twice.
    """
    found = _Walk(metric)
    return found.layout() if found.walk() else None


_VARINTS = {0x10: "alias", 0x18: "time", 0x50: "value", 0x58: "value", 0x20: "datatype"}
_FLAGS = {0x28: "historical", 0x30: "transient", 0x38: "null"}
_FIXED = {0x69: 8, 0x65: 4}
_PROPERTIES, _BOOL = 0x4A, 0x70


class _Walk:
    """One pass over one metric's bytes, noting where everything lies."""

    def __init__(self, metric: bytes) -> None:
        self.metric = metric
        self.places: dict[str, tuple[int, int]] = {}
        self.kind = Kind.NULL
        self.mask = bytearray(b"\xff" * len(metric))

    def walk(self) -> bool:
        at = self._end_of_varint(1)
        while at < len(self.metric):
            name, start, at = self._field(at)
            if not name or name in self.places or at > len(self.metric):
                return False
            self.places[name] = (start, at)
        return self._short("alias") and self._short("time")

    def _short(self, name: str) -> bool:
        start, end = self.places.get(name, (0, SHORT + 1))
        return end - start <= SHORT

    def _field(self, at: int) -> tuple[str, int, int]:
        """Return a field's name, where its content begins and ends; no name where it has no fixed place."""
        tag, start = self.metric[at], at + 1
        if tag in _FIXED:
            end = start + _FIXED[tag]
            self._vary(start, end, 0x00, Kind(tag))
            return "value", start, end
        if tag == _PROPERTIES:
            content = self._end_of_varint(start)
            return "properties", start, content + (self.metric[start] if content == start + 1 else len(self.metric))
        end = self._end_of_varint(start)
        if tag == _BOOL and end == start + 1:
            self._vary(start, end, 0xFE, Kind.BOOL)
            return "value", start, end
        if tag in _FLAGS:
            return _FLAGS[tag], start, end
        name = _VARINTS.get(tag, "")
        if name and name != "datatype":
            self._vary(start, end, 0x80, Kind(tag) if name == "value" else self.kind)
        return name, start, end

    def _vary(self, start: int, end: int, mask: int, kind: Kind) -> None:
        self.mask[start:end] = bytes([mask]) * (end - start)
        self.kind = kind

    def _end_of_varint(self, at: int) -> int:
        while at < len(self.metric) and self.metric[at] & 0x80:
            at += 1
        return at + 1

    def layout(self) -> Layout:
        read = sparkplug_pb2.Payload.FromString(self.metric).metrics[0]
        value = self.places.get("value", (0, 0))
        return Layout(
            stride=len(self.metric),
            kind=Kind.NULL if read.is_null else self.kind,
            value=value[0],
            value_end=value[1],
            datatype=read.datatype,
            quality=stated_quality(read),
            historical=read.is_historical,
            transient=read.is_transient,
            weights=_weights(self.places["alias"], self.places["time"], len(self.metric)),
            spans=(self.places["alias"], self.places["time"]),
            mask=np.frombuffer(bytes(self.mask) * TILE, np.uint8),
            want=bytes(a & b for a, b in zip(self.metric, self.mask, strict=True)) * TILE,
        )


def _varints(flat: Bytes, count: int, stride: int, start: int, end: int) -> NDArray[np.int64]:
    """Return the varint of `end - start` bytes at the same place of each metric.

    Metrics in a row often have the same (they were read at the same time): then one of each run is worked out.
    """
    words = np.ndarray((count,), "<u8", flat, start, (stride,)) & np.uint64((1 << 8 * (end - start)) - 1)
    changes = np.flatnonzero(words[1:] != words[:-1])
    if FEW * len(changes) > count:
        return _shifted(words, end - start)
    starts = np.append(0, changes + 1)
    return np.repeat(_shifted(words[starts], end - start), np.diff(np.append(starts, count)))


def _shifted(words: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
    """Return the varints in the low bytes of words, which are used up."""
    found = words & np.uint64(0x7F)
    for place in range(1, size):
        words >>= np.uint64(1)
        found |= words & np.uint64(0x7F << 7 * place)
    return found.view(np.int64)


def _weights(alias: tuple[int, int], time: tuple[int, int], stride: int) -> NDArray[np.float64]:
    weights = np.zeros((2, stride))
    for row, (start, end) in enumerate((alias, time)):
        powers = 128.0 ** np.arange(end - start)
        weights[row, start:end] = powers
        weights[row, alias[0] - 1] = -128.0 * powers[:-1].sum() / ALIAS_TAG
    return weights
