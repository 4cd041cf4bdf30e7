"""Readings of a cloud that runs: only it opens its history, and others ask its API."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from davylamp_wire.config import ConfigError

from davylamp_cloud.historian import Series

PAGE = 100_000
SPAN_MS = 31 * 24 * 3600 * 1000
"""What the API gives at once (api/tags.py)."""

TIMEOUT_S = 120.0


class Running:
    """The API of a running cloud, found by what it wrote into its folder."""

    def __init__(self, folder: Path, token: str | None) -> None:
        """Raises ConfigError where the cloud has not said where it answers."""
        try:
            self.url = str(json.loads((folder / "http.json").read_text(encoding="utf-8"))["url"])
        except (OSError, ValueError, KeyError):
            raise ConfigError([f"{folder}: a cloud is starting there; try again when it answers"]) from None
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    def read(self, tag_id: str, from_ms: int, to_ms: int) -> Series:
        """Return a tag's readings with ``from_ms <= source time < to_ms``, oldest first."""
        pages = list(self._pages(tag_id, from_ms, to_ms))
        times = np.concatenate([page.times_ms for page in pages]) if pages else np.empty(0, np.int64)
        values = np.concatenate([page.values for page in pages]) if pages else np.empty(0)
        qualities = np.concatenate([page.qualities for page in pages]) if pages else np.empty(0, np.uint16)
        return Series(times, values, qualities, {})

    def _pages(self, tag_id: str, from_ms: int, to_ms: int) -> Iterator[Series]:
        while from_ms < to_ms:
            until_ms = min(from_ms + SPAN_MS, to_ms)
            page, truncated = self._page(tag_id, from_ms, until_ms)
            last_ms = int(page.times_ms[-1]) if truncated else until_ms
            if truncated and last_ms > int(page.times_ms[0]):
                # More readings of the last millisecond may be on the next page: take all of it from there.
                page = _before(page, last_ms)
            from_ms = max(last_ms, from_ms + 1)
            yield page

    def _page(self, tag_id: str, from_ms: int, to_ms: int) -> tuple[Series, bool]:
        asked = urllib.parse.urlencode({"from_ms": from_ms, "to_ms": to_ms, "resolution": "raw", "limit": PAGE})
        found = self._get(f"/api/v1/tags/{urllib.parse.quote(tag_id)}/history?{asked}")
        values = np.array([np.nan if value is None else value for value in found["values"]], np.float64)
        times, qualities = np.array(found["times_ms"], np.int64), np.array(found["qualities"], np.uint16)
        return Series(times, values, qualities, {}), bool(found["truncated"])

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(self.url + path, headers=self._headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ConfigError([f"{self.url}: {_said(error)}"]) from None
        except OSError as error:
            raise ConfigError([f"{self.url}: the cloud does not answer ({error}); try again"]) from None


def _before(page: Series, time_ms: int) -> Series:
    count = int(np.searchsorted(page.times_ms, time_ms))
    return Series(page.times_ms[:count], page.values[:count], page.qualities[:count], {})


def _said(error: urllib.error.HTTPError) -> str:
    """Return what the API refused, and the way out."""
    if error.code in (401, 403):
        return "the cloud runs and wants a token that may read; give one with --token-file"
    try:
        said = json.load(error)
        return f"{said['what']['en']} {said['do']['en']}"
    except (ValueError, LookupError, TypeError):
        return f"refused with {error.code}"
