"""Asks the beacon of a running agent, on this machine alone: a Unix socket beside the journal, for its user and root.

There is no other way to silence it but its own button: no message from afar does (SAFETY S28).
"""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import structlog

from davylamp_edge.beacon.beacon import IDLE_S, Beacon
from davylamp_edge.beacon.states import Event
from davylamp_edge.beacon.words import REFUSED, said

log = structlog.get_logger(__name__)

ANSWER_S = 5.0
LONGEST_LINE = 64
LONGEST_PATH = 107
"""Bytes of a Unix socket's path. Source: unix(7), sun_path."""
QUESTIONS = ("state", Event.TEST.value, Event.SILENCE.value)


class NobodyAnswers(Exception):
    """No agent runs with this journal, or it has no beacon."""


def socket_of(journal: Path) -> Path:
    """Return where the agent with this journal is asked: no two agents share a journal."""
    return journal.with_name(f"{journal.name}.beacon")


def answer(beacon: Beacon, question: str) -> dict[str, Any]:
    """Return what the beacon says, having done as it was told where it could."""
    if question not in QUESTIONS:
        return {"done": False, "zh": "不明指令", "en": "unknown question"}
    if question != "state":
        event = Event(question)
        if not beacon.press(event):
            zh, en = REFUSED[event]
            return {"done": False, "zh": zh, "en": en}
    status = beacon.status()
    if status is None:
        return {"done": False, "zh": "未配置声光报警器", "en": "no beacon is configured any more"}
    zh, en = said(status.state, status.shown, status.silent, status.reason)
    return {"done": True, "state": status.state.value, **status.shown, "zh": zh, "en": en}


async def serve(beacon: Beacon, path: Path, stop: asyncio.Event) -> None:
    """Answer from the first config with a beacon on, until `stop` is set.

    A socket that cannot be had is said, and costs the command, not the beacon.
    """

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                line = await reader.readuntil(b"\n")
                writer.write(json.dumps(answer(beacon, line.decode().strip()), ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, OSError, EOFError, UnicodeDecodeError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone
        finally:
            writer.close()

    while not beacon.is_configured:
        if await _stopped(stop, IDLE_S):
            return
    try:
        sock = _bound(path)
    except OSError as error:
        log.error("the beacon cannot be asked", path=str(path), error=str(error))
        return
    async with await asyncio.start_unix_server(take, sock=sock, limit=LONGEST_LINE):
        await stop.wait()
    _remove(path)


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _bound(path: Path) -> socket.socket:
    """Return a socket that nobody can reach before it is closed to strangers."""
    _remove(path)  # of an agent that was killed; the journal beside it is ours alone
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.bind(str(path))
        path.chmod(0o600)
    except OSError:
        sock.close()
        raise
    return sock


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def ask(path: Path, question: str) -> dict[str, Any]:
    """Return what the agent behind a socket answers. Raises: NobodyAnswers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(ANSWER_S)
        try:
            sock.connect(str(path))
            sock.sendall(question.encode() + b"\n")
            with sock.makefile() as answers:
                found: dict[str, Any] = json.loads(answers.readline())
                return found
        except PermissionError:
            en = f"{path}: not allowed; ask as the agent's user or as root"
            raise NobodyAnswers(f"{en}\n无权限：请以采集程序的用户或 root 身份执行") from None
        except (OSError, ValueError) as error:
            raise NobodyAnswers(
                f"{path}: no agent with a beacon answers here ({error}); is it running, with a [beacon]?\n"
                "没有配有声光报警器的采集程序应答：它在运行吗，配置里有 [beacon] 吗"
            ) from None
