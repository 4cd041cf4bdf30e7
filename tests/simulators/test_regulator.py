"""The regulator believes only what verifies, counts by webhook-id, and misbehaves when told to."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from davylamp_simulators.clock import now_ms
from davylamp_simulators.regulator import Counts, Regulator, read_received
from davylamp_simulators.signature import TOLERANCE_S, Keys, Verdict
from davylamp_wire.config import ConfigError
from standardwebhooks import Webhook

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = "whpk_" + base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
NOW_S = 1_760_000_000


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "public").write_text(PUBLIC)
    return Keys.of([tmp_path / "secret"], [tmp_path / "public"])


def signed(body: bytes, name: str = "n-1", at_s: int = NOW_S) -> dict[str, str]:
    signature = Webhook(SECRET).sign(name, datetime.fromtimestamp(at_s, UTC), body.decode())
    return {"webhook-id": name, "webhook-timestamp": str(at_s), "webhook-signature": signature}


def notice(occurrence: str = "o-1", version: int = 1, kind: str = "alarm.raised") -> bytes:
    return json.dumps({"type": kind, "data": {"occurrence": occurrence, "version": version}}).encode()


def test_a_notice_signed_with_the_shared_secret_is_believed(keys: Keys) -> None:
    assert keys.verify(signed(b"{}"), b"{}", NOW_S) is Verdict.VALID


def test_a_notice_signed_with_the_private_key_is_believed_among_other_signatures(keys: Keys) -> None:
    signature = base64.b64encode(PRIVATE.sign(f"n-1.{NOW_S}.{{}}".encode())).decode()
    headers = {"webhook-id": "n-1", "webhook-timestamp": str(NOW_S), "webhook-signature": f"v1,AAAA v1a,{signature}"}
    assert keys.verify(headers, b"{}", NOW_S) is Verdict.VALID


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"webhook-id": "n-2"}, Verdict.NOT_SIGNED),
        ({"webhook-timestamp": str(NOW_S + 1)}, Verdict.NOT_SIGNED),
        ({"webhook-timestamp": "noon"}, Verdict.BAD_TIMESTAMP),
        ({"webhook-timestamp": str(NOW_S - TOLERANCE_S - 1)}, Verdict.TOO_OLD),
        ({"webhook-signature": "v1,not-base64"}, Verdict.NOT_SIGNED),
        ({"webhook-signature": "v1a,AAAA v2,AAAA nonsense"}, Verdict.NOT_SIGNED),
    ],
)
def test_whatever_is_changed_is_not_believed(keys: Keys, change: dict[str, str], verdict: Verdict) -> None:
    assert keys.verify(signed(b"{}") | change, b"{}", NOW_S) is verdict


def test_a_changed_body_and_a_missing_header_are_not_believed(keys: Keys) -> None:
    assert keys.verify(signed(b"{}"), b"{ }", NOW_S) is Verdict.NOT_SIGNED
    assert keys.verify({"webhook-id": "n-1"}, b"{}", NOW_S) is Verdict.NO_HEADERS


def test_bad_key_files_are_named_all_at_once_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("hunter2")
    (tmp_path / "b").write_text("whpk_" + base64.b64encode(b"short").decode())
    with pytest.raises(ConfigError) as refusal:
        Keys.of([tmp_path / "a", tmp_path / "missing"], [tmp_path / "b"])
    assert len(refusal.value.mistakes) == 3
    assert "hunter2" not in str(refusal.value)


def test_one_transition_under_two_ids_is_a_duplicate_and_one_id_twice_is_not() -> None:
    counts, body = Counts(), json.loads(notice())
    assert [counts.believe(name, body) for name in ("n-1", "n-1", "n-2")] == [0, 1, 0]
    counts.believe("n-3", json.loads(notice(version=2)))
    assert counts.told() | {"types": None} == {
        "requests": 0,
        "notices": 3,
        "repeated": 1,
        "duplicates": 1,
        "heartbeats": 0,
        "types": None,
        "refused": {},
    }


class Sender:
    """Posts notices, signed now."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def post(self, body: bytes, name: str = "n-1", **headers: str) -> int:
        all_headers = signed(body, name, now_ms() // 1000) | headers
        async with self._session.post(self._url + "/notices", data=body, headers=all_headers) as answer:
            return answer.status

    async def control(self, **wish: Any) -> tuple[int, dict[str, Any]]:
        async with self._session.post(self._url + "/control", json=wish) as answer:
            return answer.status, await answer.json() if answer.ok else {}

    async def counts(self) -> dict[str, Any]:
        async with self._session.get(self._url + "/control") as answer:
            found: dict[str, Any] = await answer.json()
            return found


@asynccontextmanager
async def receiving(keys: Keys, log: Path | None = None) -> AsyncIterator[Sender]:
    async with Regulator(keys, log) as regulator, aiohttp.ClientSession() as session:
        yield Sender(session, f"http://127.0.0.1:{regulator.port}")


async def test_what_is_believed_is_written_down_with_its_time_and_the_rest_is_refused(
    keys: Keys, tmp_path: Path
) -> None:
    before_ms = now_ms()
    async with receiving(keys, tmp_path / "log") as sender:
        assert await sender.post(notice()) == 204
        assert await sender.post(notice()) == 204
        assert await sender.post(notice(), "n-2", **{"webhook-signature": "v1,AAAA"}) == 401
        assert await sender.post(b"no json") == 400
        assert await sender.post(notice(kind="system.heartbeat"), "beat") == 204
        counts = await sender.counts()
    received = read_received(tmp_path / "log")
    assert [(one.id, one.again) for one in received] == [("n-1", 0), ("n-1", 1)]
    assert before_ms <= received[0].at_ms <= now_ms()
    assert received[0].data == {"occurrence": "o-1", "version": 1}
    assert (counts["notices"], counts["repeated"], counts["heartbeats"], sum(counts["refused"].values())) == (
        1,
        1,
        1,
        2,
    )


async def test_a_failing_regulator_remembers_nothing_and_comes_back(keys: Keys) -> None:
    async with receiving(keys) as sender:
        assert (await sender.control(mode="failing"))[1]["mode"] == "failing"
        assert await sender.post(notice()) == 503
        await sender.control(mode="ok")
        assert await sender.post(notice()) == 204
        assert (await sender.counts())["repeated"] == 0


async def test_a_slow_regulator_answers_late(keys: Keys) -> None:
    async with receiving(keys) as sender:
        await sender.control(mode="slow", delay_s=0.2)
        began_s = asyncio.get_running_loop().time()
        assert await sender.post(notice()) == 204
        assert asyncio.get_running_loop().time() - began_s >= 0.19


async def test_a_dead_regulator_never_answers_and_still_ends(keys: Keys) -> None:
    async with receiving(keys) as sender:
        await sender.control(mode="dead")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sender.post(notice()), 0.3)
        assert (await sender.counts())["notices"] == 0


async def test_a_wish_it_does_not_know_is_refused(keys: Keys) -> None:
    async with receiving(keys) as sender:
        assert (await sender.control(mode="asleep"))[0] == 400
        assert (await sender.control(delay_s="long"))[0] == 400


def test_no_log_is_no_notice(tmp_path: Path) -> None:
    assert read_received(tmp_path / "none") == []
