"""SIGKILL of each part in the middle of a run: nothing lost against the ledger, nothing twice, alarms as they stood."""

import uuid
from pathlib import Path

import httpx
import pytest
from davylamp_simulators.stage import Historian
from support.aftermath import goes_on, holds_together, leak_acknowledged
from support.services import Influx
from support.site import until, whole_site


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
