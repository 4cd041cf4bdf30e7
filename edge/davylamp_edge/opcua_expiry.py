"""When the certificates of OPC UA end: our own by their files, each server's as it shows it."""

from collections.abc import Iterable, Mapping

from davylamp_edge.config import EdgeConfig, opcua_files
from davylamp_edge.expiry import Certificates, end_in
from davylamp_edge.line import DeviceStatus


class OpcuaCertificates:
    """Certificates of a config's OPC UA devices: our own by file, a server's by the first device behind it."""

    def __init__(self) -> None:
        self._certificates = Certificates("the OPC UA server", end_in)

    def look(self, config: EdgeConfig, statuses: Iterable[DeviceStatus], now_ms: int) -> None:
        """Read files anew and count the days of all; what this config does not name is forgotten."""
        files, servers = opcua_files(config), _servers(statuses)
        self._certificates.keep(files.keys() | servers.keys())
        self._meet(servers, now_ms)
        self._certificates.look(files, now_ms)

    def days(self, statuses: Iterable[DeviceStatus], now_ms: int) -> dict[str, float]:
        """Return the days left of each; what servers have shown since the last look counts."""
        self._meet(_servers(statuses), now_ms)
        return self._certificates.days(now_ms)

    def _meet(self, servers: Mapping[str, int], now_ms: int) -> None:
        for name, end_ms in servers.items():
            self._certificates.found(name, end_ms, now_ms)


def _servers(statuses: Iterable[DeviceStatus]) -> dict[str, int]:
    ends = {f"server of {status.name}": status.trusted_until_ms for status in statuses}
    return {name: end_ms for name, end_ms in ends.items() if end_ms is not None}
