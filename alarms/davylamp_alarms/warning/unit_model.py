"""The model of a unit: what training found, and how it is read where it travels as text.

The text is what an edge writes into a birth from a training's file (davylamp_wire/trained.py): ``1:`` and Base64 of

| | |
| --- | --- |
| inputs, lags, components kept | three uint16 |
| mean, home and deviation of each input | float64; a deviation of 0: the input takes no part |
| variance of each component, limit of T², limit of Q | float64; infinite: no limit |
| loadings, component by component | float32 |
| correlation of the inputs, row by row up to the diagonal | float32 |

all of it little-endian.
"""

import base64
import binascii
import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from davylamp_alarms.batch import Floats

MARK = "1:"
HEAD = struct.Struct("<3H")


@dataclass(frozen=True, slots=True)
class UnitModel:
    """What training found for one unit; the fields are columns of a unit's state (unit.py).

    Args:
        mean: Of each input, as training left it.
        home: Where a mean that follows drift comes from.
        deviation: 0: the input takes no part.
        loadings: Shape (kept, inputs · (lags + 1)).
        variances: Shape (kept,).
    """

    mean: Floats
    home: Floats
    deviation: Floats
    loadings: Floats
    variances: Floats
    correlation: Floats
    t2_limit: float
    q_limit: float


@lru_cache(maxsize=256)
def unpacked(text: str, inputs: int, lags: int) -> UnitModel:
    """Return the model that a text holds.

    Raises:
        ValueError: It is none, or of other inputs or lags than the rule has.
    """
    if not text.startswith(MARK):
        way = "the edge writes it from model = FILE beside the settings; where it did, update this program"
        raise ValueError(f"model: {text[:12]!r}… is none that this program reads; {way}")
    try:
        body = base64.b64decode(text.removeprefix(MARK), validate=True)
        has = HEAD.unpack_from(body)
    except (binascii.Error, struct.error) as error:
        raise ValueError(f"model: cannot be read ({error}); have the edge read its file again") from None
    if has[:2] != (inputs, lags):
        of = f"is of {has[0]} inputs with {has[1]} lags, the rule has {inputs} with {lags}"
        raise ValueError(f"model: {of}; train again with these, or name the inputs it was trained with")
    return _of_numbers(body[HEAD.size :], *has)


def _of_numbers(body: bytes, inputs: int, lags: int, kept: int) -> UnitModel:
    wide, half = inputs * (lags + 1), inputs * (inputs + 1) // 2
    plain = 3 * inputs + kept + 2
    if len(body) != 8 * plain + 4 * (kept * wide + half):
        raise ValueError(f"model: {len(body)} bytes are not what its head says; have the edge read its file again")
    exact = np.frombuffer(body, "<f8", plain).astype(np.float64)
    rounded = np.frombuffer(body, "<f4", offset=8 * plain).astype(np.float64)
    usual, variances = exact[: 3 * inputs].reshape(3, inputs), exact[3 * inputs : -2]
    if np.isnan(exact).any() or not (np.isfinite(usual).all() and (variances > 0).all() and np.isfinite(rounded).all()):
        raise ValueError("model: a number of it is none; have the edge read its file again")
    correlation = np.zeros((inputs, inputs))
    correlation[np.tril_indices(inputs)] = rounded[kept * wide :]
    return UnitModel(
        mean=usual[0],
        home=usual[1],
        deviation=usual[2],
        loadings=rounded[: kept * wide].reshape(kept, wide),
        variances=variances,
        correlation=correlation + np.tril(correlation, -1).T,
        t2_limit=float(exact[-2]),
        q_limit=float(exact[-1]),
    )
