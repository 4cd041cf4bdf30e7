"""How busy each line is, by reckoning: whoever asks for more than a line can carry gets late scans, not more data.

    busy = sum over devices and scan classes of (requests x (round trip + pause)) / period

On a serial line a request also takes its characters and the silence around them (Modbus over Serial Line 1.02, 2.5.1).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from davylamp_edge.drivers import driver_class
from davylamp_edge.install import Installed, by_line

BUSY, FULL = 0.7, 1.0
"""From where a line is worth a warning, and where it cannot keep up: retries, dead units and slow answers need room."""


@dataclass(frozen=True, slots=True)
class Load:
    """A line: its driver's name and address, requests a second, and the part of its time that they take."""

    driver: str
    address: str
    requests_per_s: float
    busy: float

    @property
    def too_much(self) -> bool:
        return self.busy > FULL

    def __str__(self) -> str:
        return f"{self.driver} {self.address}: {self.requests_per_s:.3g} requests/s, busy {self.busy:.0%} of its time"


def loads(devices: Sequence[Installed]) -> Iterator[Load]:
    """Yield the load of every line."""
    for sharing in by_line(devices):
        first = sharing[0].config
        counts = [load_of(device) for device in sharing]
        yield Load(first.driver, first.address, sum(rate for rate, _ in counts), sum(busy for _, busy in counts))


def load_of(device: Installed) -> tuple[float, float]:
    """Return a device's requests a second, and the part of its line's time that they take.

    A server that tells by itself is asked for nothing; the rate is how often it tells at most.
    """
    if device.config.driver == "opcua" and device.config.opcua.mode == "subscribe":
        return 1 / device.config.opcua.publish_s, 0.0
    driver, wanted = driver_class(device.config.driver), device.wanted()
    rate = busy = 0.0
    for period_s in {want.point.scan_s for want in wanted}:
        requests = driver.plan(device.config, [want for want in wanted if want.point.scan_s == period_s])
        rate += len(requests) / period_s
        busy += sum(driver.takes_s(device.config, request) for request in requests) / period_s
    return rate, busy
