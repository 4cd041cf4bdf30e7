"""The address API and console have for themselves: taken before anything runs, so that a port is refused in time."""

import socket


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any free port. Who connects already waits until somebody serves.

    Raises OSError when another has the address.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        words = f"{host}:{port} cannot be listened on ({error.strerror})"
        raise OSError(f"http: {words}; stop what has it, or set host or port under [http]") from None
    return listening
