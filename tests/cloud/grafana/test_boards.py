"""Every query of every dashboard answers on the real InfluxDB, and what is checked in is what the code builds."""

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from davylamp_cloud.grafana.boards import LANGUAGES, WORDS, encoded, overview
from davylamp_cloud.grafana.influxql import DEVICES, POINTS, PROFILES
from davylamp_cloud.historian.announce import alarm_line, limit_line
from support.services import Influx

DASHBOARDS = Path(__file__).parents[3] / "dashboards"
NOW_MS = 1_700_000_000_000
VALUES = {"point": "level", "profile": "cl2-store", "device": "store-1"}


@pytest.fixture(scope="module")
def filled(influx_server: Influx) -> Iterator[httpx.Client]:
    """A database with a minute of one tag, its limits, one standing alarm and one that came and went."""
    name = f"boards_{uuid.uuid4().hex[:8]}"
    with httpx.Client(base_url=influx_server.url, params={"db": name}) as client:
        client.post("/query", params={"q": f"CREATE DATABASE {name}"}).raise_for_status()
        client.post("/write", content="\n".join(lines()).encode()).raise_for_status()
        yield client


def lines() -> list[str]:
    head = "cl2-store,device=store-1,group=g,hazard_source=cl2,node=n"
    values = [f"{head} level={60 + second}.5 {(NOW_MS + second * 1000) * 10**6}" for second in range(60)]
    limits = limit_line("g/n/store-1/level", "cl2", {"H": 75.0, "HH": 80.0}, NOW_MS)
    steps = [("level#H", "B", "raised", 1), ("level#HH", "B", "raised", 2), ("level#HH", "A", "cleared", 3)]
    alarms = [
        alarm_line(alarm(name, letter), NOW_MS + order * 1000, order, event) for name, letter, event, order in steps
    ]
    return [*values, limits, *alarms]


def alarm(name: str, letter: str) -> dict[str, Any]:
    return {
        "alarm_id": f"g/n/store-1/{name}", "hazard_source": "cl2", "letter": letter, "priority": "orange",
        "tag_id": "g/n/store-1/level", "plant_tag": "1#LT-1101/A", "value": 80.5, "limit": 80.0,
        "text_zh": '液位 "高高" 80.5 %', "text_en": "level high high",
    }  # fmt: skip


def asked(query: str) -> str:
    """Return a query as Grafana sends it, its macros and variables filled in."""
    filled_in = query.replace("$timeFilter", f"time >= {NOW_MS}ms AND time <= {NOW_MS + 60_000}ms")
    filled_in = filled_in.replace("$__interval", "10s")
    return re.sub(r"\$\{(\w+)(?::regex)?\}", lambda match: VALUES[match.group(1)], filled_in)


def answer(client: httpx.Client, query: str) -> list[dict[str, Any]]:
    result = client.get("/query", params={"q": asked(query)}).raise_for_status().json()["results"][0]
    assert "error" not in result, result
    return list(result.get("series", []))


def queries(language: str) -> list[tuple[str, str]]:
    board = json.loads(encoded(overview(language)))
    return [(panel["title"], target["query"]) for panel in board["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_panel_has_rows_on_the_real_store(filled: httpx.Client, language: str) -> None:
    empty = {WORDS[word][language] for word in ("red", "yellow", "blue")}
    for title, query in queries(language):
        series = answer(filled, query)
        assert bool(series) == (title not in empty), f"{title}: {asked(query)}"


def test_standing_shows_what_stands_and_not_what_has_gone(filled: httpx.Client) -> None:
    query = dict(queries("zh"))["当前报警"]
    rows = [dict(zip(each["columns"], row, strict=True)) for each in answer(filled, query) for row in each["values"]]
    assert [row["text_zh"] for row in rows] == ['液位 "高高" 80.5 %']
    assert [row["plant_tag"] for row in rows] == ["1#LT-1101/A"]


def test_the_variables_list_profiles_devices_and_points(filled: httpx.Client) -> None:
    def listed(query: str) -> set[str]:
        return {
            str(row[-1 if "TAG VALUES" in query else 0]) for each in answer(filled, query) for row in each["values"]
        }

    assert {"cl2-store", "davylamp_alarm", "davylamp_limit"} == listed(PROFILES)
    assert listed(DEVICES) == {"store-1"}
    assert listed(POINTS) == {"level"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_checked_in_dashboard_is_what_the_code_builds(language: str) -> None:
    path = DASHBOARDS / "json" / f"overview-{language}.json"
    assert path.read_text(encoding="utf-8") == encoded(overview(language)), (
        "run: davylamp-cloud grafana write dashboards/json"
    )


def test_every_text_exists_in_both_languages() -> None:
    assert all(set(word) == set(LANGUAGES) and all(word.values()) for word in WORDS.values())


def test_provisioning_names_what_the_dashboards_use() -> None:
    import yaml

    (source,) = yaml.safe_load((DASHBOARDS / "provisioning/datasources/influxdb.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((DASHBOARDS / "provisioning/dashboards/davylamp.yaml").read_text())["providers"]
    compose = yaml.safe_load((DASHBOARDS.parent / "docker-compose.yml").read_text())["services"]["grafana"]
    assert source["uid"] == "davylamp-influxdb"
    for variable in re.findall(r"\$(DAVYLAMP_\w+)", json.dumps(source)):
        assert variable in compose["environment"]
    mounts = {mount.split(":")[1] for mount in compose["volumes"]}
    assert provider["options"]["path"] in mounts
    (token,) = re.findall(r"\$__file\{/run/secrets/(\w+)\}", json.dumps(source))
    assert token in compose["secrets"]
