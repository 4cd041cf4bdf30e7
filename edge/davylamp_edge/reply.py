"""What one reply of a device says, in columns, whatever protocol it came by."""

from dataclasses import dataclass

from davylamp_wire.reading import Value


@dataclass(slots=True)
class Decoded:
    """One reply in columns, in the order of its request's `points`.

    ``doubts`` maps a position to its quality code where that is not GOOD; ``times_ms`` is None where the protocol
    carries no time of its own, and then the reply's arrival is the time.
    """

    values: list[Value]
    doubts: dict[int, int]
    times_ms: list[int] | None = None
