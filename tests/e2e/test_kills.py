"""SIGKILL of each part in the middle of a run: nothing lost against the ledger, nothing twice, alarms as they stood."""

import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from davylamp_simulators.stage import Historian
from support.services import Influx
from support.site import WholeSite, until, whole_site

AFTERWARDS_MS = 6_000
"""How long the plant goes on after the killed part is back."""


def leak_acknowledged(site: WholeSite) -> dict[str, Any]:
    """Wait for the leak's L2, acknowledge it, and return it as it stands then."""
    until(lambda: site.standing("L2"))
    alarm = site.standing("L2")
    assert alarm is not None
    site.acknowledge(alarm)
    return {each["alarm_id"]: each for each in site.alarms()}[alarm["alarm_id"]]


def goes_on(site: WholeSite) -> None:
    """Wait until new readings have come through the whole path for a while."""
    tag = "demo/edge-1/cl2-store/cl2_1"

    def newest_ms() -> int:
        rows = site.client.get("/api/v1/tags", params={"limit": 500}).raise_for_status().json()["items"]
        return next(int(row["time_ms"]) for row in rows if row["tag"] == tag)

    began_ms = newest_ms()
    until(lambda: newest_ms() > began_ms + AFTERWARDS_MS)


def holds_together(site: WholeSite, before: dict[str, Any]) -> None:
    """Stop the plant and hold everything against the ledger, the chain and what the regulator got."""
    after = {each["alarm_id"]: each for each in site.alarms()}[before["alarm_id"]]
    assert (after["occurrence"], after["acknowledged"]) == (before["occurrence"], True)
    site.end("plant")
    found = site.settled()
    assert found.lost == []
    assert found.extra == [], "stored without having been served, or stored twice"
    assert found.matched > 200
    until(lambda: {row["id"] for row in site.transitions()} <= {one.id for one in site.received()})
    told = {row["id"] for row in site.transitions()}
    heard = [one.id for one in site.received()]
    assert set(heard) == told
    names = [(one.data["occurrence"], one.data["version"]) for one in site.received() if not one.again]
    assert len(names) == len(set(names)), "a transition came under two webhook-ids"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("victim", ["edge-1", "broker", "cloud"])
def test_s26_a_killed_part_loses_nothing_and_repeats_nothing(victim: str, tmp_path: Path) -> None:
    with whole_site(tmp_path / "site", "chlorine-leak") as site:
        before = leak_acknowledged(site)
        site.kill(victim)
        site.revive(victim)
        goes_on(site)
        holds_together(site, before)


def drawn(influx: Influx, bucket: str, measurement: str, tag: str) -> set[str]:
    """Return what Grafana would find of a measurement, by a tag."""
    query = {"db": bucket, "q": f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{tag}"'}
    result = httpx.get(f"{influx.url}/query", params=query).raise_for_status().json()["results"][0]
    return {row[1] for series in result.get("series", []) for row in series["values"]}


@pytest.mark.timeout(240)
def test_s26_a_killed_influxdb_loses_nothing_and_delays_no_alarm(influx: Influx, tmp_path: Path) -> None:
    bucket = f"kill_{uuid.uuid4().hex[:8]}"
    httpx.post(f"{influx.url}/query", params={"q": f"CREATE DATABASE {bucket}"}).raise_for_status()
    with whole_site(tmp_path / "site", "chlorine-leak", Historian("influxdb", influx.url, bucket)) as site:
        until(lambda: site.standing("L1"))
        influx.kill_database()
        before = leak_acknowledged(site)
        influx.start_database()
        goes_on(site)
        holds_together(site, before)
        until(lambda: before["alarm_id"] in drawn(influx, bucket, "davylamp_alarm", "alarm"))
        until(lambda: "cl2_1" in drawn(influx, bucket, "davylamp_limit", "point"))
