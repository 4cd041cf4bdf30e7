"""Opens a socket by a way: through its interface, from its address, and quick to notice that nobody answers any more.

On a way with another beside it the kernel itself gives up what has not been acknowledged for `silence_s`, be it data
(TCP_USER_TIMEOUT) or, while there is none, its own keepalive probes: a cut that drops packets without a word is an
error on the socket, and no thread of ours has to look.
"""

import asyncio
import errno
import socket
import ssl

from davylamp_edge.ways import Way

KEEPALIVE_EVERY_S = 1


def dial(way: Way, context: ssl.SSLContext | None, timeout_s: float) -> socket.socket:
    """Return a connected socket, TLS included, with that time for each step. Raises: OSError."""
    try:
        found = socket.getaddrinfo(way.host, way.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise _no_name(way, error) from None
    for left, (family, _, _, _, address) in zip(range(len(found))[::-1], found, strict=True):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            prepare(sock, way)
            sock.settimeout(timeout_s)
            sock.connect(address)
            # The wrapped socket shakes hands here and closes itself where that fails.
            return sock if context is None else context.wrap_socket(sock, server_hostname=way.host)
        except OSError:
            sock.close()
            if not left:
                raise
    raise OSError(f"{way.host} has no address")


async def dialled(way: Way) -> socket.socket:
    """Return a connected socket that does not block, without TLS. Raises: OSError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(way.host, way.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise _no_name(way, error) from None
    for left, (family, _, _, _, address) in zip(range(len(found))[::-1], found, strict=True):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            prepare(sock, way)
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            return sock
        except BaseException as error:
            sock.close()
            if not left or not isinstance(error, OSError):
                raise
    raise OSError(f"{way.host} has no address")


def _no_name(way: Way, error: UnicodeError) -> OSError:
    """Return what a host that can be no name means: nobody answers there. paho's thread would end by anything else."""
    return OSError(errno.EINVAL, f"{way.host!r} can be no host's name ({error}); mend broker.host")


def prepare(sock: socket.socket, way: Way) -> None:
    """Bind a new socket to what the way says, and set how it notices a loss. Raises: OSError with the way out."""
    # Small messages must not wait for the acknowledgement of the ones before them (Nagle).
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if way.silence_s is not None:
        notice_silence(sock, way.silence_s)
    if way.interface is not None:
        _through(sock, way.interface)
    if way.source is not None:
        _from(sock, way.source)


def notice_silence(sock: socket.socket, silence_s: float) -> None:
    """Let the kernel end a connection whose peer has acknowledged nothing for so long. Source: tcp(7), RFC 5482."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, int(silence_s / 2)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_EVERY_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence_s * 1000))


def _through(sock: socket.socket, interface: str) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    except OSError as error:
        raise OSError(error.errno, _unbound(interface, error)) from None


def _unbound(interface: str, error: OSError) -> str:
    if error.errno == errno.ENODEV:
        return f"this machine has no interface {interface!r} now; `ip link` lists what it has"
    if error.errno == errno.EPERM:
        return (
            f"not allowed to bind to interface {interface!r}; give the agent CAP_NET_RAW (Linux before 5.7 asks for it)"
        )
    return f"cannot bind to interface {interface!r}: {error.strerror}"


def _from(sock: socket.socket, source: str) -> None:
    try:
        sock.bind((source, 0))
    except OSError as error:
        raise OSError(error.errno, f"cannot send from {source}: {error.strerror}; `ip address` lists ours") from None
