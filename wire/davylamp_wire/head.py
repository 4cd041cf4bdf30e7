"""What a host needs of a data payload before anybody reads its values."""

from typing import NamedTuple

from davylamp_wire.decode import is_record, parse
from davylamp_wire.regular import pattern_of

WORD = 1 << 64


class Head(NamedTuple):
    """The head of a payload.

    `record` is the journal number where the first metric carries one. `historical` says whether the payload is backlog.
    """

    sent_ms: int | None
    seq: int | None
    record: int | None
    historical: bool


def head_of(payload: bytes) -> Head:
    """Return the head of a payload; the whole of it is looked at, so that what cannot be read is found here.

    Raises: PayloadError where it cannot be read.
    """
    pattern = pattern_of(payload)
    if pattern is not None:
        sent_ms, record, seq = pattern.numbers(payload)
        if (record or 0) < WORD and (seq or 0) < WORD:
            return Head(sent_ms, seq, record, pattern.layout.historical)
    return _parsed(payload)


def _parsed(payload: bytes) -> Head:
    read = parse(payload)
    metrics = read.metrics
    first = metrics[0] if metrics else None
    return Head(
        sent_ms=read.timestamp if read.HasField("timestamp") else None,
        seq=read.seq if read.HasField("seq") else None,
        record=first.long_value if first is not None and is_record(first) else None,
        historical=bool(metrics) and metrics[-1].is_historical,
    )
