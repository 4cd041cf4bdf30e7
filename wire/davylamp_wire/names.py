"""Metric names that mean the same to edge and cloud, and Sparkplug's datatypes (Sparkplug 3.0, 6.4.16)."""

from collections.abc import Mapping
from enum import IntEnum
from hashlib import blake2b

from davylamp_wire.point import DataType

BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"
RECORD = "Davylamp/Record"
"""UInt64, one alias per device and one of the node: the journal number of the record a data payload carries."""
EPOCH = "Davylamp/Journal Epoch"
"""String in the NBIRTH: the journal file the record numbers belong to. Its presence makes an edge one of ours."""
DESCRIPTION = "Davylamp/Device"
"""String in the DBIRTH: a `DeviceDescription` as JSON."""
CONFIRM = "Davylamp/Confirm"
"""String in an NCMD: a `Confirmation`."""
SENT = "Davylamp/Sent"
"""UInt64 in the NBIRTH: the highest record number this edge has ever sent, as far as its journal knows."""
USED = "Davylamp/Used"
"""String in an NCMD: a `Confirmation` of numbers that are beyond `SENT` and were here before the birth: the journal is
an older copy of itself, and must give other numbers."""
ENGINE = "Davylamp/Engine Age"
RED = "Davylamp/Red"
"""Int64 milliseconds in an NCMD: how long ago the cloud's engine last moved. An edge's beacon lives by it (S13)."""
HOLE = "Davylamp/Hole"
"""String in NBIRTH (null) and NDATA: JSON that names a lost stretch of records."""
LOCAL_ALARM = "Davylamp/Local Alarm"
"""String, one alias per device with local points: what its edge decides of its alarms (`local_alarm`)."""
CLOCK = "Davylamp/Clock Offset"
"""Int64 milliseconds in the NBIRTH and NDATA; also what an edge sends when it has nothing else to say."""
KEEPALIVE = "Davylamp/Keepalive"
"""Int32 seconds in the NBIRTH: how long the edge may be silent; 1.5 times that and the link counts as lost."""

OWN = "Davylamp/"
QUALITY = "Quality"
OUR_QUALITY = "Davylamp/Quality"
ENG_UNIT = "engUnit"
ENG_LOW = "engLow"
ENG_HIGH = "engHigh"

FIRST_ALIAS = 16_384
"""Aliases from here to 2,097,151 take three varint bytes, so the metrics of one payload have equal stride."""


class SparkplugType(IntEnum):
    """Sparkplug's basic datatypes, as births declare them."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15


SPARKPLUG_TYPE: Mapping[DataType, SparkplugType] = {
    DataType.BOOL: SparkplugType.BOOLEAN,
    DataType.INT8: SparkplugType.INT8,
    DataType.UINT8: SparkplugType.UINT8,
    DataType.INT16: SparkplugType.INT16,
    DataType.UINT16: SparkplugType.UINT16,
    DataType.INT32: SparkplugType.INT32,
    DataType.UINT32: SparkplugType.UINT32,
    DataType.INT64: SparkplugType.INT64,
    DataType.UINT64: SparkplugType.UINT64,
    DataType.FLOAT32: SparkplugType.FLOAT,
    DataType.FLOAT64: SparkplugType.DOUBLE,
    DataType.BCD16: SparkplugType.UINT16,
    DataType.BCD32: SparkplugType.UINT32,
    DataType.STRING: SparkplugType.STRING,
}
"""The datatype of what lies in a device; a scaled point is a Double whatever lies there (`describe.datatype_of`)."""

BITS = {
    SparkplugType.INT8: 8,
    SparkplugType.INT16: 16,
    SparkplugType.INT32: 32,
    SparkplugType.INT64: 64,
    SparkplugType.UINT8: 8,
    SparkplugType.UINT16: 16,
    SparkplugType.UINT32: 32,
    SparkplugType.UINT64: 64,
    SparkplugType.DATETIME: 64,
}
"""Width of each integer datatype."""

SIGNED = frozenset({SparkplugType.INT8, SparkplugType.INT16, SparkplugType.INT32, SparkplugType.INT64})
TEXTS = frozenset({SparkplugType.STRING, SparkplugType.TEXT, SparkplugType.UUID})


def is_own(name: str) -> bool:
    """Return whether a metric is Davylamp's or Sparkplug's housekeeping rather than a point."""
    return name.startswith((OWN, "Node Control/", "Device Control/")) or name == BD_SEQ


def signed(value: int, datatype: int) -> int:
    """Return an unsigned integer of the wire as its datatype means it.

    Stacks differ on whether a small negative is masked to its width (pysparkplug) or sign-extended to 32 bits (Tahu
    for Java): both are read, because the bits beyond the width are not looked at.
    """
    if datatype not in SIGNED:
        return value
    bits = BITS[SparkplugType(datatype)]
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def name_alias(name: str) -> int:
    """Return the alias under which a metric travels that a foreign edge names but does not number.

    Drawn from the name alone, with the top bit set, so that it is the same in the birth and in every data payload and
    never meets an alias an edge gives.
    """
    return 1 << 63 | int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
