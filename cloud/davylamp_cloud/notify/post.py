"""One POST over kept-alive connections. Imported with the first notice: a start need not wait for aiohttp.

Nothing here reads an answer's body further than it must to keep the connection, and no message repeats the address,
for it may carry a key.
"""

import asyncio
import os
import ssl
from collections.abc import Mapping

import aiohttp

from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.notify import ReceiverRefused, ReceiverUnavailable

CONNECT_S = 3.0
BODY_S = 1.0
BODY_BYTES = 64 * 1024


class Poster:
    """Posts to one receiver; made on the loop that sends. The outbox bounds how many posts run at once."""

    def __init__(self, receiver: ReceiverConfig, tls: ssl.SSLContext | bool) -> None:
        self._receiver = receiver
        connector = aiohttp.TCPConnector(limit=0, ssl=tls, keepalive_timeout=75)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
        )

    async def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None]:
        """Return the answer's status and its Retry-After; raise where there was no answer."""
        name, timeout_s = self._receiver.name, self._receiver.timeout_s
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S)
        try:
            async with self._session.post(
                self._receiver.url, data=body, headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                await _drain(response)
                return response.status, response.headers.get("Retry-After")
        except TimeoutError:
            raise ReceiverUnavailable(f"{name}: no answer within {timeout_s:g} s") from None
        except aiohttp.ClientConnectorCertificateError:
            raise ReceiverRefused(f"{name}: its certificate is not trusted") from None
        except aiohttp.InvalidURL:
            raise ReceiverRefused(f"{name}: its address is not a URL") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ReceiverUnavailable(f"{name}: cannot be reached ({_cause(error)})") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read a short answer so that the connection can be kept; close it on a long or slow one.

    The status alone decides, and it is already here.
    """
    left = BODY_BYTES
    try:
        async with asyncio.timeout(BODY_S):
            while left > 0:
                chunk = await response.content.read(left)
                if not chunk:
                    return
                left -= len(chunk)
    except (TimeoutError, aiohttp.ClientError):
        pass
    response.close()


def _cause(error: Exception) -> str:
    """Return why, without the address: aiohttp's own text may repeat it."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    reason = os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno and cause.errno > 0 else ""
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
