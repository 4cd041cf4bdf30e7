"""Persons at a duty room's page: their tokens, and how they sign in."""

from collections.abc import Mapping
from pathlib import Path

from davylamp_cloud.config import Role, TokenConfig
from playwright.sync_api import Browser, Page


def tokens_of(folder: Path, roles: Mapping[str, Role]) -> tuple[TokenConfig, ...]:
    """Return a token for each name; it is "secret-of-" and the name."""
    for name in roles:
        (folder / name).write_text(f"secret-of-{name}")
    return tuple(TokenConfig(name=name, role=role, token_file=folder / name) for name, role in roles.items())


def signed_in(
    url: str, chromium: Browser, name: str, locale: str = "zh-CN", width: int = 1920, height: int = 1080
) -> Page:
    """Return the page as a person sees it who has signed in, with its tags."""
    page = chromium.new_context(viewport={"width": width, "height": height}, locale=locale).new_page()
    page.goto(url)
    page.locator("[name=token]").fill(f"secret-of-{name}")
    page.get_by_role("button", name="登录" if locale.startswith("zh") else "Sign in").click()
    page.wait_for_selector("#tags .tags")
    return page
