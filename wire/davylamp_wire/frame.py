"""What stands around the readings of a payload our edges write: the time sent and the record number, then the seq."""

from functools import lru_cache

SEQ = 0x18
SIX_BYTES = (1 << 48) - 1


def _pattern(shape: str) -> tuple[int, int, int]:
    """Return length, mask and wanted value of a byte pattern: ``..`` is any byte, ``+.`` goes on, ``-.`` ends."""
    marks = {"..": (0x00, 0), "+.": (0x80, 0x80), "-.": (0x80, 0)}
    pairs = [marks.get(part) or (0xFF, int(part, 16)) for part in shape.split()]
    mask, want = (int.from_bytes(bytes(column), "little") for column in zip(*pairs, strict=True))
    return len(pairs), mask, want


_TIME = "+. +. +. +. +. -."
_SENT = _pattern(f"08 {_TIME}")
_RECORD = _pattern(f"08 {_TIME} 12 .. 10 +. +. -. 18 {_TIME} 30 01 58")
_OLD_RECORD = _pattern(f"08 {_TIME} 12 .. 10 +. +. -. 18 {_TIME} 28 01 30 01 58")
_FRONT = _SENT[0]


def front_of(payload: bytes) -> tuple[int, int | None, bool, int]:
    """Return when the payload was sent, its record number, whether that is backlog, and where the readings begin.

    They begin at 0 where the front is not what our edges write, and all of this has to be found otherwise.
    """
    for historical, (length, mask, want) in ((False, _RECORD), (True, _OLD_RECORD)):
        bits = int.from_bytes(payload[:length], "little")
        if bits & mask == want:
            number, end = _varint(payload, length)
            if end == _FRONT + 2 + payload[_FRONT + 1]:
                return _time(bits >> 8 & SIX_BYTES), number, historical, end
    length, mask, want = _SENT
    bits = int.from_bytes(payload[:length], "little")
    return (_time(bits >> 8 & SIX_BYTES), None, False, length) if bits & mask == want else (0, None, False, 0)


def front_mask(numbered: bool, historical: bool, start: int) -> tuple[bytes, int | None]:
    """Return which bits of such a front tell its kind, and where its record number begins.

    What may differ from one of a kind to the next are the bits that carry times, alias and record number.
    """
    length, mask, _ = (_OLD_RECORD if historical else _RECORD) if numbered else _SENT
    bits = bytearray(mask.to_bytes(length, "little")) + b"\x80" * (start - length)
    if numbered:
        bits[_FRONT + 1] = 0xFF
    return bytes(bits), length if numbered else None


@lru_cache(maxsize=1 << 10)
def time_of(raw: bytes) -> int:
    """Return a time of six bytes; payloads that come together often have the same."""
    return _time(int.from_bytes(raw, "little"))


def varint_of(raw: bytes) -> int:
    """Return the varint that is all of some bytes."""
    value = shift = 0
    for byte in raw:
        value |= (byte & 0x7F) << shift
        shift += 7
    return value


def _time(bits: int) -> int:
    """Return the varint of six bytes in the low bits of an integer."""
    return (
        bits & 0x7F
        | bits >> 1 & 0x3F80
        | bits >> 2 & 0x1FC000
        | bits >> 3 & 0xFE00000
        | bits >> 4 & 0x7F0000000
        | bits >> 5 & 0x3F800000000
    )


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    """Return a varint and where it ends; where it is none, an end where nothing can be."""
    value = shift = 0
    for place in range(at, min(at + 10, len(payload))):
        byte = payload[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    return 0, -1


def seq_of(tail: bytes) -> int | None:
    """Return the seq that is all of a payload's tail; None where it is something else."""
    if len(tail) == 2 and tail[0] == SEQ and tail[1] < 0x80:
        return tail[1]
    seq, end = _varint(tail, 1)
    return seq if tail[0] == SEQ and end == len(tail) else None
