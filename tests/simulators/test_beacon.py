"""The simulated relay module, as its own process and as another maker's Modbus client sees it."""

import json
import signal
import subprocess
import sys

from pymodbus.client import AsyncModbusTcpClient
from support.relay_module import relay_module, shows


async def test_another_makers_client_writes_and_reads_it() -> None:
    async with relay_module(watchdog_s=None) as module:
        client = AsyncModbusTcpClient("127.0.0.1", port=module.port, retries=0, timeout=2)
        assert await client.connect()
        try:
            assert not (await client.write_coil(2, True, device_id=1)).isError()
            assert (await client.read_coils(0, count=3, device_id=1)).bits[:3] == [False, False, True]
            module.press(1)
            assert (await client.read_discrete_inputs(1, count=1, device_id=1)).bits[0]
            assert (await client.write_coil(8, True, device_id=1)).exception_code == 2
            assert (await client.write_registers(0, [1], device_id=1)).exception_code == 1
        finally:
            client.close()


async def test_its_own_watchdog_opens_the_contact_and_nothing_else() -> None:
    async with relay_module(watchdog_s=0.2) as module:
        client = AsyncModbusTcpClient("127.0.0.1", port=module.port, retries=0, timeout=2)
        assert await client.connect()
        try:
            for coil in (0, 2):
                await client.write_coil(coil, True, device_id=1)
            await shows(module, lamp=True, watchdog=False)
        finally:
            client.close()


def test_the_command_tells_what_its_relays_do_and_takes_typed_buttons() -> None:
    command = [sys.executable, "-m", "davylamp_simulators", "beacon", "--port", "0", "--watchdog-s", "0.1", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        written = [sys.executable, "-c", WRITE_THEN_PRESS, str(port)]
        with subprocess.Popen(written, stdout=subprocess.PIPE, text=True) as writer:
            assert json.loads(process.stdout.readline())["zh"] == "声光报警器：看门狗触点闭合"
            process.stdin.write("silence\n")
            process.stdin.flush()
            assert writer.stdout is not None
            assert writer.stdout.readline() == "pressed\n"
        fallen = json.loads(process.stdout.readline())
        assert (fallen["en"], fallen["by_watchdog"]) == (
            "beacon: watchdog contact open (the module's own watchdog)",
            True,
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


WRITE_THEN_PRESS = """
import socket, sys
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def ask(pdu):
    sock.sendall(b"\\0\\1\\0\\0\\0\\6\\1" + pdu)
    return sock.recv(64)
ask(b"\\5\\0\\2\\xff\\0")
while not ask(b"\\2\\0\\1\\0\\1")[-1]:
    pass
print("pressed")
"""
