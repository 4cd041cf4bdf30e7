"""The demo as a user of the cloud's API: the operator on duty, and who counts afterwards."""

import asyncio
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from davylamp_simulators.ledger import Stored

AT_ONCE = 8
MOST_READINGS = 100_000
EDGE_OWN = "comm_ok"
"""The point the edge makes itself; no device serves it."""


class Visitor:
    """Talks to one cloud with one token. Use it as an async context manager."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._session = aiohttp.ClientSession(url, headers=headers, timeout=aiohttp.ClientTimeout(total=20))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def _get(self, path: str, **query: Any) -> dict[str, Any]:
        async with self._session.get(f"/api/v1/{path}", params=query) as answer:
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found

    async def transitions(self, after: int) -> tuple[list[dict[str, Any]], int]:
        """Return the steps after a place in the log, and the place to ask from next time."""
        page = await self._get("transitions", after=after, limit=500)
        return page["items"], page["next_after"]

    async def acknowledge(self, occurrence: str, comment: str) -> bool:
        """Say that the operator has seen an alarm as it is now; return whether the cloud took it."""
        try:
            alarm = await self._get(f"alarms/{quote(occurrence)}")
            body = {"version": alarm["version"], "comment": comment}
            async with self._session.post(f"/api/v1/alarms/{quote(occurrence)}/acknowledge", json=body) as answer:
                return answer.ok
        except aiohttp.ClientResponseError:
            return False

    async def values(self) -> dict[str, dict[str, Any]]:
        """Return every tag as it is now, by tag id."""
        found: dict[str, dict[str, Any]] = {}
        while True:
            page = await self._get("tags", limit=500, offset=len(found))
            found |= {one["tag"]: one for one in page["items"]}
            if not page["items"] or len(found) >= page["total"]:
                return found

    async def history(self, from_ms: int, to_ms: int) -> dict[tuple[str, str], list[Stored]]:
        """Return everything the devices' points said, by (device, point)."""
        gate = asyncio.Semaphore(AT_ONCE)
        tags = [tag for tag in await self.values() if not tag.endswith(f"/{EDGE_OWN}")]

        async def one(tag: str) -> list[Stored]:
            async with gate:
                span = {"from_ms": from_ms, "to_ms": to_ms, "resolution": "raw", "limit": MOST_READINGS}
                return _stored(await self._get(f"tags/{tag}/history", **span))

        found = await asyncio.gather(*(one(tag) for tag in tags))
        return {(tag.split("/")[2], tag.split("/")[3]): told for tag, told in zip(tags, found, strict=True)}


async def make_bucket(url: str, bucket: str, token: str) -> None:
    """Make the demo's bucket where InfluxDB 1.x needs it made; 2.x refuses this call and must have it, 3 makes it.

    Raises: aiohttp.ClientError where InfluxDB does not answer at all.
    """
    statement = f'CREATE DATABASE "{bucket}"'
    headers = {"Authorization": f"Token {token}"} if token else {}
    async with (
        aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=20)) as session,
        session.post(f"{url}/query", params={"q": statement}) as answer,
    ):
        await answer.read()


def _stored(page: dict[str, Any]) -> list[Stored]:
    columns = zip(page["times_ms"], page["values"], page["qualities"], strict=True)
    readings = [Stored(time_ms, value, quality) for time_ms, value, quality in columns]
    for at, text in page.get("texts", {}).items():
        readings[int(at)] = Stored(readings[int(at)].time_ms, text, readings[int(at)].quality)
    return sorted(readings, key=lambda reading: reading.time_ms)
