"""Starts InfluxDB before the first test looks at what is running, so that it counts as nobody's leftover."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def influx_is_running(request: pytest.FixtureRequest) -> None:
    """Start the session's InfluxDB where it is installed; a test that needs it is skipped where it is not."""
    try:
        request.getfixturevalue("influx_server")
    except pytest.skip.Exception:
        return
