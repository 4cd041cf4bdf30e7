"""Every shipped profile is served by a simulator, and the real driver reads back what the ledger says."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from davylamp_edge.config import DeviceConfig
from davylamp_edge.drivers import Wanted, driver_class
from davylamp_edge.install import address_of
from davylamp_simulators.clock import now_ms
from davylamp_simulators.ledger import Stored, compare, read_ledger
from davylamp_simulators.recording import load_config, recording_names
from davylamp_simulators.site import Site
from davylamp_wire.point import Point
from davylamp_wire.profile import Profile, load_profile, load_profiles, shipped_profiles
from support.sites import CHLORINE, SPHERE, small_site

PROFILES = load_profiles(shipped_profiles())
SERVED = PROFILES.keys() - {"edge"}
"""The edge measures itself (tests/edge/test_self_monitoring.py)."""
INSIDE: dict[str, dict[str, Any]] = {
    "cl2-store": CHLORINE,
    "lpg-sphere": SPHERE,
    **{
        str(config.profile): {
            "name": config.name,
            "profile": config.profile,
            "protocol": config.protocol,
            "recording": name,
            "port": 0,
        }
        for name in recording_names()
        if (config := load_config(name))
    },
}


async def read_all(site: Site, device: dict[str, Any], profile: Profile) -> dict[str, tuple[Any, int]]:
    """Read every point once with the edge's own driver; return value and quality by point."""
    protocol, port = device["protocol"], site.ports[device["name"]]
    address = f"opc.tcp://127.0.0.1:{port}" if protocol == "opcua" else f"127.0.0.1:{port}"
    config = DeviceConfig(
        name="d", profile="p", driver=protocol, hazard_source="h", address=address, timeout_s=20, gap_registers=0
    )
    names = list(profile.points)
    wanted = [Wanted(i, n, address_of(profile.points[n], protocol), profile.points[n]) for i, n in enumerate(names)]
    kind = driver_class(protocol)
    driver = kind.of(config, 20.0)
    found = {}
    try:
        await driver.connect()
        for request in kind.plan(config, wanted):
            reply = request.decode(await driver.read(request), now_ms())
            for at, index in enumerate(request.points):
                found[names[index]] = (reply.values[at], reply.doubts.get(at, 0))
    finally:
        await driver.close()
    return found


def test_every_shipped_profile_has_something_to_serve_it() -> None:
    assert INSIDE.keys() == SERVED


@pytest.mark.parametrize("name", sorted(SERVED))
async def test_the_real_driver_reads_what_the_ledger_says_was_served(tmp_path: Path, name: str) -> None:
    device, profile = INSIDE[name], PROFILES[name]
    async with asyncio.timeout(60), small_site(tmp_path, device) as site:
        found = await read_all(site, device, profile)
    served = read_ledger(tmp_path / "ledger.jsonl")
    assert found.keys() == profile.points.keys()
    for point, (value, quality) in found.items():
        replies = served[device["name"], point]
        result = compare(replies, [Stored(replies[0].served_ms + 1, value, quality)])
        assert (result.matched, result.extra, result.lost) == (1, [], []), (point, value, quality, replies)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_shipped_limit_has_a_source_and_a_first_thing_to_do(name: str) -> None:
    for point, kind, limit in limits_of(PROFILES[name]):
        assert limit.action is not None, (point, kind)
        assert limit.source.basis in ("source-found", "memory", "proposal")


def limits_of(profile: Profile) -> list[tuple[str, str, Any]]:
    return [(name, str(kind), limit) for name, point in profile.points.items() for kind, limit in point.limits.items()]


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_s30_nothing_shipped_claims_to_be_verified(name: str) -> None:
    assert [limit for _, _, limit in limits_of(PROFILES[name]) if limit.source.verified] == []


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_s24_every_shipped_limit_says_cause_consequence_first_action_and_time_to_respond(name: str) -> None:
    assert {(point, kind): limit.unsaid for point, kind, limit in limits_of(PROFILES[name]) if limit.unsaid} == {}


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_s24_the_shipped_words_are_chinese_in_zh_and_short(name: str) -> None:
    for point, kind, limit in limits_of(PROFILES[name]):
        for text in (limit.action, limit.cause, limit.consequence):
            assert re.search("[一-鿿]", text.zh), (point, kind, text)
            assert not re.search("[一-鿿]", text.en), (point, kind, text)
            assert max(len(text.zh) * 2, len(text.en)) <= 120, (point, kind, text)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_s21_no_shipped_word_orders_an_evacuation_or_names_a_government_warning(name: str) -> None:
    for point, kind, limit in limits_of(PROFILES[name]):
        said = " ".join(f"{text.zh} {text.en}" for text in (limit.action, limit.cause, limit.consequence))
        assert not re.search("疏散|撤离|撤到|预警|evacuat|shelter", said, re.IGNORECASE), (point, kind, said)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_s24_the_higher_limit_leaves_no_more_time_than_the_lower(name: str) -> None:
    for point in PROFILES[name].points.values():
        times = {str(kind): limit.respond_s or 0.0 for kind, limit in point.limits.items()}
        for urgent, earlier in (("HH", "H"), ("LL", "L"), ("L2", "L1")):
            assert times.get(urgent, 0.0) <= times.get(earlier, float("inf")), (point.en, urgent)


@pytest.mark.parametrize(("name", "first"), [("cl2-store", "cl2_"), ("lpg-sphere", "gas_")])
def test_gas_points_are_seen_often_latch_and_alarm_at_two_levels(name: str, first: str) -> None:
    gases: list[Point] = [point for key, point in PROFILES[name].points.items() if key.startswith(first)]
    assert len(gases) >= 4
    for point in gases:
        assert (point.kind, point.scan_s, point.silence_s) == ("gas", 1.0, 10.0)
        assert set(point.limits) == {"L1", "L2"}
        assert all(limit.latch for limit in point.limits.values())


def test_the_profile_of_the_how_to_is_a_profile(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "profile.md").read_text(encoding="utf-8")
    (tmp_path / "gas").mkdir()
    path = tmp_path / "gas" / "nh3.toml"
    path.write_text(page.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    assert load_profile(path).points["nh3_1"].loop is not None
