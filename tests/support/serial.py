"""Serial devices for tests: a pty pair for the line, RTU frames by pymodbus for what is said on it."""

import asyncio
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pymodbus.framer.rtu import FramerRTU

from support.field import Answer

REQUEST_BYTES = 8


def rtu(body: bytes) -> bytes:
    """Return unit and PDU as a frame."""
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def rtu_reply(frame: bytes, data: bytes) -> bytes:
    """Return the answer to a request frame."""
    return rtu(frame[:2] + bytes([len(data)]) + data)


def start_of(frame: bytes) -> int:
    """Return the first address a request frame asks for."""
    return int.from_bytes(frame[2:4], "big")


@asynccontextmanager
async def serial_device(answer: Answer, settings: str = "baud=115200&parity=none") -> AsyncIterator[str]:
    """Run a device at the far end of a serial line, which answers as the test likes; gives the line's address."""
    far, near = os.openpty()
    tty.setraw(near)
    os.set_blocking(far, False)
    loop, buffer, answering = asyncio.get_running_loop(), bytearray(), set[asyncio.Task[None]]()

    async def say(frame: bytes) -> None:
        reply = await answer(frame)
        if reply:
            os.write(far, reply)

    def hear() -> None:
        buffer.extend(os.read(far, 4096))
        while len(buffer) >= REQUEST_BYTES:
            frame = bytes(buffer[:REQUEST_BYTES])
            del buffer[:REQUEST_BYTES]
            task = loop.create_task(say(frame))
            answering.add(task)
            task.add_done_callback(answering.discard)

    loop.add_reader(far, hear)
    try:
        yield f"serial://{os.ttyname(near)}?{settings}"
    finally:
        loop.remove_reader(far)
        await asyncio.gather(*answering)
        os.close(far)
        os.close(near)
