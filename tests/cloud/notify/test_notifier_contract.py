"""What every notifier must do with one attempt, against a real receiver that verifies what it gets."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from davylamp_cloud.notify import NOTIFIERS, Notice, Notifier, ReceiverRefused, ReceiverUnavailable, open_notifier
from davylamp_cloud.notify.route import body_of
from support.receiver import Seen, config_of, receiver, self_signed, status

NOW_MS = 1_700_006_400_000


@pytest.fixture(params=sorted(NOTIFIERS), autouse=True)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def notice(**more: Any) -> Notice:
    data = {"event": "raised", "priority": "red", "time_ms": NOW_MS, "value": 7.5, "zh": "氯气", **more}
    return Notice("cl2-17", body_of(data).encode(), time.time_ns() // 1_000_000)


@asynccontextmanager
async def notifier(kind: str, url: str, folder: Path, **more: Any) -> AsyncIterator[Notifier]:
    opened = open_notifier(config_of("regulator", url, folder, kind=kind, **more))
    try:
        yield opened
    finally:
        await opened.close()


async def test_an_accepted_notice_arrives_signed_with_its_id_and_body(kind: str, tmp_path: Path) -> None:
    async with receiver() as regulator, notifier(kind, regulator.url, tmp_path) as sender:
        await sender.send(notice())
        await sender.send(notice())
    assert regulator.ids() == ["cl2-17", "cl2-17"]
    assert regulator.seen[0].content["data"]["zh"] == "氯气"
    assert regulator.seen[0].kind == "alarm.raised"


async def test_no_proxy_of_the_environment_sees_a_notice(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    async with receiver() as regulator, notifier(kind, regulator.url, tmp_path) as sender:
        await sender.send(notice())
    assert regulator.ids() == ["cl2-17"]


async def test_connections_are_kept(kind: str, tmp_path: Path) -> None:
    async with receiver() as regulator, notifier(kind, regulator.url, tmp_path) as sender:
        for _ in range(5):
            await sender.send(notice())
    assert len({seen.peer for seen in regulator.seen}) == 1


@pytest.mark.parametrize("code", [500, 502, 503, 504, 429, 408])
async def test_a_receiver_in_trouble_is_unavailable(kind: str, tmp_path: Path, code: int) -> None:
    async with receiver(status(code)) as regulator, notifier(kind, regulator.url, tmp_path) as sender:
        with pytest.raises(ReceiverUnavailable, match=f"regulator: answered {code}"):
            await sender.send(notice())


async def test_retry_after_is_handed_on(kind: str, tmp_path: Path) -> None:
    async with receiver(status(503, Retry_After="7")) as regulator, notifier(kind, regulator.url, tmp_path) as sender:
        with pytest.raises(ReceiverUnavailable) as caught:
            await sender.send(notice())
    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize("code", [400, 401, 404, 410, 422])
async def test_a_refusal_says_its_status(kind: str, tmp_path: Path, code: int) -> None:
    async with receiver(status(code)) as regulator, notifier(kind, regulator.url, tmp_path) as sender:
        with pytest.raises(ReceiverRefused, match=str(code)):
            await sender.send(notice())


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_never_followed(kind: str, tmp_path: Path, code: int) -> None:
    async with receiver() as elsewhere, receiver(status(code, Location=elsewhere.url)) as regulator:
        async with notifier(kind, regulator.url, tmp_path) as sender:
            with pytest.raises(ReceiverRefused, match="never followed"):
                await sender.send(notice())
        assert not elsewhere.seen


async def test_a_dead_port_is_unavailable(kind: str, tmp_path: Path, free_port: Callable[[], int]) -> None:
    async with notifier(kind, f"http://127.0.0.1:{free_port()}/x?key=geheim", tmp_path) as sender:
        with pytest.raises(ReceiverUnavailable) as caught:
            await sender.send(notice())
    assert "geheim" not in str(caught.value)
    assert "refused" in str(caught.value).lower()


async def test_a_name_nobody_knows_is_unavailable(kind: str, tmp_path: Path) -> None:
    async with notifier(kind, "http://no-such-host.invalid/notices", tmp_path) as sender:
        with pytest.raises(ReceiverUnavailable):
            await sender.send(notice())


async def test_a_receiver_that_hangs_up_is_unavailable(kind: str, tmp_path: Path) -> None:
    async def hang_up(seen: Seen) -> web.StreamResponse:
        assert seen.request.transport is not None
        seen.request.transport.close()
        return web.Response(status=204)

    async with receiver(hang_up) as regulator, notifier(kind, regulator.url, tmp_path) as sender:
        with pytest.raises(ReceiverUnavailable):
            await sender.send(notice())


async def test_a_slow_receiver_is_given_up_after_the_timeout(kind: str, tmp_path: Path) -> None:
    async with receiver() as regulator:

        async def wait(seen: Seen) -> web.StreamResponse:
            await regulator.gate.wait()
            return web.Response(status=204)

        regulator.answer = wait
        async with notifier(kind, regulator.url, tmp_path, timeout_s=0.2) as sender:
            with pytest.raises(ReceiverUnavailable, match="no answer within"):
                await sender.send(notice())
        regulator.gate.set()


def endless(sent: list[int], gate: asyncio.Event) -> Callable[[Seen], Any]:
    """Answer 200 with a body that goes on until the client hangs up, or until the gate opens."""

    async def answer(seen: Seen) -> web.StreamResponse:
        response = web.StreamResponse(status=200)
        await response.prepare(seen.request)
        while not gate.is_set():
            try:
                await response.write(b"x" * 65536)
            except ConnectionError:
                break
            sent[0] += 65536
        return response

    return answer


async def test_an_endless_answer_is_not_read_to_its_end(kind: str, tmp_path: Path) -> None:
    sent = [0]
    async with receiver() as regulator, notifier(kind, regulator.url, tmp_path) as sender:
        regulator.answer = endless(sent, regulator.gate)
        await sender.send(notice())
        regulator.gate.set()
    assert sent[0] < 64 << 20


async def test_a_body_that_trickles_does_not_hold_an_accepted_notice_up(kind: str, tmp_path: Path) -> None:
    async with receiver() as regulator:

        async def trickle(seen: Seen) -> web.StreamResponse:
            response = web.StreamResponse(status=200)
            await response.prepare(seen.request)
            await response.write(b"x")
            await regulator.gate.wait()
            return response

        regulator.answer = trickle
        async with notifier(kind, regulator.url, tmp_path, timeout_s=30.0) as sender:
            async with asyncio.timeout(5):
                await sender.send(notice())
        regulator.gate.set()


async def test_a_certificate_is_trusted_only_where_the_config_says_so(kind: str, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with receiver(tls=tls) as regulator:
        async with notifier(kind, regulator.url, tmp_path) as sender:
            with pytest.raises(ReceiverRefused, match="certificate is not trusted"):
                await sender.send(notice())
        async with notifier(kind, regulator.url, tmp_path, ca_file=certificate) as sender:
            await sender.send(notice())
    assert regulator.ids() == ["cl2-17"]


def test_what_is_sent_never_contains_a_secret(kind: str, tmp_path: Path) -> None:
    sender = open_notifier(config_of("regulator", "http://127.0.0.1:1/x", tmp_path, kind=kind))
    shown = repr(sender) + repr(vars(sender).get("_signers"))
    assert "whsec_" not in shown
    assert "AAECAw" not in shown
