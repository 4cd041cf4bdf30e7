"""Opens a serial port the way POSIX has it, so that a gateway needs no further library for its oldest devices."""

import fcntl
import os
import termios
from typing import BinaryIO

from davylamp_edge.drivers.modbus_address import SerialLine

PARITY_BITS = {"none": 0, "even": termios.PARENB, "odd": termios.PARENB | termios.PARODD}


def open_port(line: SerialLine) -> BinaryIO:
    """Return a port, raw, non-blocking and for us alone: two masters on one line hear each other's answers.

    Raises: OSError with the port's name in it.
    """
    descriptor = os.open(line.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        _set(descriptor, line)
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
    except termios.error as error:
        os.close(descriptor)
        raise OSError(error.args[0], f"{error.args[1]}: is it a serial port?", line.path) from None
    except OSError:
        os.close(descriptor)
        raise
    return open(descriptor, "rb", buffering=0)


def _set(descriptor: int, line: SerialLine) -> None:
    controls = termios.tcgetattr(descriptor)[6]
    controls[termios.VMIN], controls[termios.VTIME] = 1, 0
    speed = getattr(termios, f"B{line.baud}")
    flags = termios.CREAD | termios.CLOCAL | termios.CS8 | PARITY_BITS[line.parity]
    flags |= termios.CSTOPB if line.stop == 2 else 0
    termios.tcsetattr(descriptor, termios.TCSANOW, [0, 0, flags, 0, speed, speed, controls])
    termios.tcflush(descriptor, termios.TCIOFLUSH)
