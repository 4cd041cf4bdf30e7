"""The command steps behind everything else on the machine; the tests' own process must not."""

import os

import pytest


@pytest.fixture(autouse=True)
def as_urgent_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "nice", lambda by: by)
