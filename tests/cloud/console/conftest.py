"""A duty room: the real server and the real Chromium."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from davylamp_cloud.cloud import utc_ms
from davylamp_cloud.config import CloudConfig
from playwright.sync_api import Browser, Page, sync_playwright
from support.served import Plant
from support.services import binary

ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

EXPECTED = re.compile("409|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED")
"""A refused act and a server that is gone: the browser logs them, the page handles them."""

Opens = Callable[..., Page]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """A cloud on loopback without tokens, on the real clock: the page has its own."""
    found = Plant(tmp_path, CloudConfig(data_dir=tmp_path), utc_ms)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, for one test: a sync Playwright that outlived it would break async tests."""
    program = binary("chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=ARGS)
        yield launched
        launched.close()


@pytest.fixture
def open_page(plant: Plant, chromium: Browser) -> Iterator[Opens]:
    """Open the console and wait until it is live; whatever the page logs as an error fails the test."""
    url = plant.serve()
    complaints: list[str] = []

    def open_(locale: str = "zh-CN", width: int = 1920, height: int = 1080) -> Page:
        page = chromium.new_context(viewport={"width": width, "height": height}, locale=locale).new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(url)
        page.wait_for_selector("#tags .tags")
        plant.publish()
        page.wait_for_selector("#pulse:not(.waiting)")
        return page

    yield open_
    assert not [line for line in complaints if not EXPECTED.search(line)], complaints
