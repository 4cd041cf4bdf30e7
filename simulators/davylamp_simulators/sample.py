"""What an instrument shows and in what condition it is, before it is put on any wire."""

from dataclasses import dataclass
from enum import StrEnum

from davylamp_simulators.process import Value


class Condition(StrEnum):
    """The condition of an instrument; each wire says it in its own way (`registers`, `opcua`)."""

    OK = "ok"
    FROZEN = "frozen"
    """Shows its last value for ever, and says it is well."""
    WIRE_BREAK = "wire-break"
    """No current in the loop, NaN in a register, BadSensorFailure in OPC UA."""
    OVER_RANGE = "over-range"
    """More than it can show: 22 mA, or a tenth of the span above the range."""
    INHIBIT = "inhibit"
    """Inhibited at the transmitter: 2 mA where the profile's loop knows it, else as a broken wire."""
    NO_VALUE = "no-value"
    """Nothing recorded: NaN in a register, BadNoData in OPC UA."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One instrument at one moment; `value` is None exactly where the condition leaves none."""

    value: Value | None
    condition: Condition = Condition.OK


NOTHING = Sample(None, Condition.NO_VALUE)
