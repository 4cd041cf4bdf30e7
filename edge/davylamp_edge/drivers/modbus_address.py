"""How a Modbus device is reached, as one line of text.

192.168.1.20:502, tcp://192.168.1.20       Modbus TCP, port 502 unless said otherwise
rtu-tcp://192.168.1.30:4001                RTU frames through a serial server's TCP port
serial:///dev/ttyUSB0?baud=9600&parity=none&stop=2
"""

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit

from davylamp_wire.config import unclear

DEFAULT_PORT = 502
BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
PARITIES = ("none", "even", "odd")
STOPS = ("1", "2")
HINT = "write host:502, rtu-tcp://host:4001 or serial:///dev/ttyUSB0?baud=9600&parity=even"
ZH_HINT = HINT.replace("write", "请写").replace(" or ", " 或 ")


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP port, and whether RTU frames go through it."""

    host: str
    port: int
    rtu: bool

    def __str__(self) -> str:
        return f"{'rtu-tcp://' if self.rtu else ''}{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SerialLine:
    """A serial line. Its settings must be those of every device on it, so none but the stop bits is guessed."""

    path: str
    baud: int
    parity: str
    stop: int

    @property
    def character_s(self) -> float:
        """How long one character takes: a start bit, eight of data, perhaps one of parity, the stop bits."""
        return (1 + 8 + (self.parity != "none") + self.stop) / self.baud

    def __str__(self) -> str:
        return self.path


Address = Port | SerialLine


def numbers_answers(address: Address) -> bool:
    """Return whether answers say which request they belong to: only Modbus TCP's do."""
    return isinstance(address, Port) and not address.rtu


def line_of(text: str) -> str | None:
    """Return what two addresses of one line have in common, however they are spelled; None for no address."""
    try:
        address = parse_address(text)
    except ValueError:
        return None
    return address.path if isinstance(address, SerialLine) else f"{address.host}:{address.port}"


def parse_address(text: str) -> Address:
    """Return an address. Raises: ValueError that says what is wrong and how it should look."""
    scheme, found, _ = text.partition("://")
    try:
        parts = urlsplit(text if found else f"tcp://{text}")
        port = parts.port
    except ValueError:
        raise unclear(
            f"{text!r} is no address of a Modbus device; {HINT}", f"{text!r} 不是 Modbus 设备地址；{ZH_HINT}"
        ) from None
    if found and scheme == "serial":
        return _serial_line(text, parts)
    if scheme not in ("tcp", "rtu-tcp") and found:
        en = f"{text!r}: Modbus does not go over {scheme!r}; {HINT}"
        raise unclear(en, f"{text!r}：Modbus 不走 {scheme!r}；{ZH_HINT}")
    if not parts.hostname or parts.path or parts.query or parts.fragment or parts.username or " " in text:
        raise unclear(f"{text!r} is no address of a Modbus device; {HINT}", f"{text!r} 不是 Modbus 设备地址；{ZH_HINT}")
    if parts.scheme == "rtu-tcp" and port is None:
        own = f"rtu-tcp://{parts.hostname}:4001"
        en = f"{text!r}: a serial server has no usual port; give its own, {own}"
        raise unclear(en, f"{text!r}：串口服务器没有默认端口；请写明，如 {own}")
    return Port(parts.hostname, port or DEFAULT_PORT, rtu=parts.scheme == "rtu-tcp")


def _serial_line(text: str, parts: SplitResult) -> SerialLine:
    if parts.netloc or len(parts.path) < 2:
        en = f"{text!r} names no serial port; write serial:///dev/ttyUSB0, with three slashes"
        raise unclear(en, f"{text!r} 没有写串口；请写 serial:///dev/ttyUSB0，三条斜线")
    said = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(said.keys() - {"baud", "parity", "stop"})
    if unknown:
        en = f"{text!r}: {unknown[0]!r} is no setting of a serial line; known are baud, parity, stop"
        raise unclear(en, f"{text!r}：{unknown[0]!r} 不是串行线的设置；可写 baud、parity、stop")
    baud = _chosen(text, said, "baud", [str(baud) for baud in BAUDS])
    parity = _chosen(text, said, "parity", PARITIES)
    stop = _chosen(text, {"stop": "1"} | said, "stop", STOPS)
    return SerialLine(parts.path, int(baud), parity, int(stop))


def _chosen(text: str, said: dict[str, str], name: str, known: list[str] | tuple[str, ...]) -> str:
    if name not in said:
        en = f"{text!r} does not say the line's {name}; add {name}= one of {', '.join(known)}"
        raise unclear(en, f"{text!r} 没有写 {name}；请加 {name}=，可为 {', '.join(known)}")
    if said[name] not in known:
        en = f"{text!r}: {name}={said[name]} is not known; it is one of {', '.join(known)}"
        raise unclear(en, f"{text!r}：{name}={said[name]} 无效；可为 {', '.join(known)}")
    return said[name]
