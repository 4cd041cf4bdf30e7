"""The seam to the field: what a protocol must do, and the list of protocols.

A driver is one connection. It never retries and never decides what a failure means for an alarm: it says
`DeviceUnreachable` (wait) or `DeviceRefused` (mend the profile), and `davylamp_edge.scan` does the rest. To add one:
one file here, one line in `DRIVERS`, and the suite in ``tests/edge/test_driver_contract.py`` (docs/how-to/protocol.md).
"""

import asyncio
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from davylamp_wire.point import Point
from davylamp_wire.quality import Reason

from davylamp_edge.config import DeviceConfig
from davylamp_edge.reply import Decoded

DRIVERS: dict[str, str] = {
    "modbus": "davylamp_edge.drivers.modbus:ModbusDriver",
    "opcua": "davylamp_edge.drivers.opcua:OpcuaDriver",
}


class DeviceUnreachable(Exception):
    """Nothing came back: wait and try again. Everything the device measures is unknown meanwhile."""


class DeviceRefused(Exception):
    """The device answered, and the answer is no. `reason` becomes the quality of the points that were asked for."""

    def __init__(self, message: str, reason: Reason = Reason.DEVICE_EXCEPTION, *, narrower: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.narrower = narrower
        """True where asking for less may help: one address in the block does not exist."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A point as a driver is asked for it. `index` is its place among the device's points."""

    index: int
    name: str
    address: str
    point: Point


class Answer(NamedTuple):
    """What came of a request: its reply, or why there is none; and when that was known, by the loop's clock."""

    said: Any
    """As the request's ``decode`` takes it, or `DeviceUnreachable`, or `DeviceRefused`."""
    at_s: float


class Request(Protocol):
    """One question to a device; knows which points its reply answers, and what it says of them."""

    @property
    def points(self) -> Sequence[int]:
        """The points' indices, in the order of the reply's columns."""

    def decode(self, reply: Any, arrived_ms: int) -> Decoded:
        """Return a reply of this driver in columns. Pure but for what the request itself remembers."""

    def halves(self) -> tuple[Self, Self] | None:
        """Return two narrower requests for the same points, or None where there is but one point."""

    def joined(self, other: Self) -> Self | None:
        """Return one request for both's points, or None; asked of neighbours that were ``halves`` of one request."""


Asked = TypeVar("Asked", bound=Request)


class Driver(Protocol[Asked]):
    """One connection to one address, for requests of its own kind. Made in the running loop, used by one task."""

    @classmethod
    def of(cls, device: DeviceConfig, timeout_s: float) -> Self:
        """Return the driver for a device's address and settings."""

    @staticmethod
    def wrong_settings(device: DeviceConfig) -> Iterator[str]:
        """Yield what is wrong with a device's settings of this protocol, each with its key; connects to nothing."""

    @staticmethod
    def wrong_address(address: str) -> str | None:
        """Return what is wrong with a device's address and how it should look, or None."""

    @staticmethod
    def wrong_point(address: str, point: Point, device: DeviceConfig) -> str | None:
        """Return what is wrong with a point's address for this point and device, or None."""

    @staticmethod
    def plan(device: DeviceConfig, wanted: Sequence[Wanted]) -> Sequence[Asked]:
        """Return the fewest requests that answer every wanted point exactly once."""

    @staticmethod
    def takes_s(device: DeviceConfig, request: Asked) -> float:
        """Return how long a request keeps the line from the others, by reckoning; 0 where several can be under way."""

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as this side knows."""

    @property
    def trusted_until_ms(self) -> int | None:
        """Until when the certificate that the other side showed last is good; None where it shows none."""

    async def connect(self) -> None:
        """Connect anew, dropping what was there. Raises: DeviceUnreachable."""

    async def read(self, request: Asked) -> Any:
        """Return the reply as the request's ``decode`` takes it. Raises: DeviceUnreachable, DeviceRefused."""

    async def read_in_turn(self, requests: Sequence[Asked], goes_on: Callable[[float], bool]) -> Sequence[Answer]:
        """Return answers to the first of one device's requests, in their order: one at least, none behind an error.

        ``goes_on`` says, at a time of the loop's clock, whether the next may be asked for; the first always is. Where
        asking for several gains nothing, `only_first` does.
        """

    async def settle(self) -> None:
        """Wait until a late answer to what was unanswered can be taken for nothing else; the line counts the time."""

    async def close(self) -> None:
        """Leave no task and no socket behind. May be called twice."""


async def only_first(driver: Driver[Any], requests: Sequence[Any]) -> Sequence[Answer]:
    """Read the first request: what `read_in_turn` does where each request is as dear as it is alone."""
    said: Any
    try:
        said = await driver.read(requests[0])
    except (DeviceUnreachable, DeviceRefused) as error:
        said = error
    return [Answer(said, asyncio.get_running_loop().time())]


def driver_class(name: str) -> type[Driver[Any]]:
    """Return a driver by its name in `DRIVERS`, importing it on first use.

    A gateway without OPC UA never imports asyncua. Raises: KeyError for a name nobody registered, ImportError where
    the library is not installed.
    """
    module, _, attribute = DRIVERS[name].partition(":")
    found: type[Driver[Any]] = getattr(importlib.import_module(module), attribute)
    return found
