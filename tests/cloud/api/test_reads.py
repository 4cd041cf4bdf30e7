"""What readers get: tags, history, alarms, transitions, edges, health, metrics."""

from collections.abc import Callable

import httpx
import pytest
from davylamp_cloud.beside import Beside, Hole, Quarantined
from davylamp_cloud.log import NewRecord, RecordKind
from davylamp_wire.point import LimitKind, Text
from davylamp_wire.quality import Reason, bad
from support.served import NOW_MS, Clock, Plant, limit

Clients = Callable[[str], httpx.Client]

ACTION = Text(zh="启动碱液吸收", en="Start the caustic scrubber")


def chlorine(plant: Plant) -> int:
    limits = {LimitKind.L1: limit(1), LimitKind.L2: limit(3, action=ACTION)}
    return plant.tag("gas1", "1号库位氯气", "Chlorine, bay 1", plant_tag="AT-1101/A", limits=limits, range=(0, 10))


def test_a_tag_says_its_value_quality_age_and_limits_with_source(plant: Plant, local: httpx.Client) -> None:
    plant.read(chlorine(plant), 4.82, age_ms=400)
    tag = local.get("/api/v1/tags/park/edge1/plc1/gas1").json()
    assert (tag["value"], tag["quality"], tag["age_ms"]) == (4.82, 0, 400)
    assert tag["plant_tag"] == "AT-1101/A"
    assert tag["name"] == {"zh": "1号库位氯气", "en": "Chlorine, bay 1"}
    assert [(limit["kind"], limit["priority"]) for limit in tag["limits"]] == [("L2", "red"), ("L1", "yellow")]


def test_s30_an_unverified_limit_says_so(plant: Plant, local: httpx.Client) -> None:
    tag = chlorine(plant)
    plant.alarm(tag, "L2", "red", value=4.8, limit=3)
    assert local.get("/api/v1/tags/park/edge1/plc1/gas1").json()["limits"][0]["verified"] is False
    assert local.get("/api/v1/alarms/LC-01-1").json()["verified"] is False


def test_a_tag_that_never_spoke_has_no_value_and_no_age(plant: Plant, local: httpx.Client) -> None:
    chlorine(plant)
    tag = local.get("/api/v1/tags/park/edge1/plc1/gas1").json()
    assert (tag["value"], tag["time_ms"], tag["age_ms"]) == (None, None, None)
    assert tag["quality"] == bad(Reason.NO_VALUE)


@pytest.mark.parametrize("words", ["AT-1101", "氯气", "chlorine bay", "LC-01", "plc1/gas1"])
def test_tags_are_found_by_any_of_their_names(plant: Plant, local: httpx.Client, words: str) -> None:
    chlorine(plant)
    plant.tag("level", "液位", "Level", source="LPG-02", device="opc1", device_text=("球罐", "Sphere"))
    found = local.get("/api/v1/tags", params={"q": words}).json()
    assert [tag["index"] for tag in found["items"]] == [0]


def test_a_list_of_tags_claims_nothing_of_their_limits(plant: Plant, local: httpx.Client) -> None:
    chlorine(plant)
    (listed,) = local.get("/api/v1/tags").json()["items"]
    assert listed["limits"] is None
    assert local.get(f"/api/v1/tags/{listed['tag']}").json()["limits"]


def test_history_is_raw_or_by_minute_and_shows_holes(plant: Plant, local: httpx.Client) -> None:
    tag = chlorine(plant)
    start = NOW_MS // 60_000 * 60_000
    times = [start + 1000 * n for n in range(120)]
    plant.history(tag, times, [float(n) for n in range(120)], [0] * 119 + [bad(Reason.COMM)])
    plant.log.append([], Beside(holes=[Hole("park/edge1", "e", 5, 9, "live", "full", start, start + 50, 5, NOW_MS)]))
    path = "/api/v1/tags/park/edge1/plc1/gas1/history"
    raw = local.get(path, params={"from_ms": start, "to_ms": start + 120_000, "resolution": "raw", "limit": 100}).json()
    assert (len(raw["values"]), raw["truncated"], raw["values"][:2]) == (100, True, [0.0, 1.0])
    minute = local.get(path, params={"from_ms": start, "to_ms": start + 120_000, "resolution": "minute"}).json()
    assert (minute["lows"], minute["highs"], minute["counts"]) == ([0.0, 60.0], [59.0, 119.0], [60, 60])
    assert minute["doubtful"] == [0, 1]
    assert minute["holes"] == [{"first_ms": start, "last_ms": start + 50, "count": 5, "reason": "full"}]


@pytest.mark.parametrize(("first", "last"), [(5, 5), (9, 5), (0, 400 * 86_400_000)])
def test_an_impossible_span_is_refused_with_a_way_out(plant: Plant, local: httpx.Client, first: int, last: int) -> None:
    chlorine(plant)
    answer = local.get(f"/api/v1/tags/park/edge1/plc1/gas1/history?from_ms={first}&to_ms={last}")
    assert answer.status_code == 422
    assert answer.json()["do"]["zh"]


def test_s24_an_alarm_says_level_unit_tag_value_limit_since_and_first_thing(plant: Plant, local: httpx.Client) -> None:
    plant.alarm(chlorine(plant), "L2", "red", value=4.82, limit=3)
    alarm = local.get("/api/v1/alarms").json()["items"][0]
    assert alarm["priority"] == {"scheme": "monitoring", "level": "red"}
    assert alarm["action"] == {"zh": ACTION.zh, "en": ACTION.en}
    assert (alarm["value"], alarm["limit"], alarm["unit"]) == (4.82, 3, "ppm")
    assert alarm["since_ms"] == NOW_MS - 65_000
    assert alarm["tag_name"]["zh"]
    assert alarm["text"]["en"]
    assert alarm["letter"] == "B"


def test_s24_an_alarm_says_cause_consequence_action_and_by_when(plant: Plant, local: httpx.Client) -> None:
    cause, consequence = Text(zh="阀门泄漏", en="A valve leaks"), Text(zh="人员中毒", en="People are poisoned")
    own = limit(3, action=ACTION, cause=cause, consequence=consequence, respond_s=45)
    tag = plant.tag("gas1", "氯气", "Chlorine", limits={LimitKind.L2: own})
    plant.alarm(tag, "L2", "red", value=4.8, limit=3, age_ms=10_000)
    alarm = local.get("/api/v1/alarms/LC-01-1").json()
    assert (alarm["cause"], alarm["consequence"]) == (cause.model_dump(), consequence.model_dump())
    assert (alarm["action"], alarm["handling"]) == (ACTION.model_dump(), "profile")
    assert (alarm["respond_s"], alarm["respond_by_ms"]) == (45, NOW_MS - 10_000 + 45_000)


def test_s24_an_alarm_without_a_limit_says_built_in_words(plant: Plant, local: httpx.Client) -> None:
    plant.alarm(None, "LINK", "red", alarm_id="park/edge1#LINK@LC-01")
    alarm = local.get("/api/v1/alarms/LC-01-1").json()
    assert alarm["handling"] == "built-in"
    assert alarm["action"]["zh"] == "派人巡检，检查网关供电与网络"
    assert alarm["cause"]["en"]


def test_s05_what_was_late_has_no_time_that_still_runs(plant: Plant, local: httpx.Client) -> None:
    plant.alarm(chlorine(plant), "L2", "red", value=4.8, limit=3, late=True)
    alarm = local.get("/api/v1/alarms/LC-01-1").json()
    assert (alarm["respond_by_ms"], alarm["respond_s"]) == (None, 60)


def test_s30_a_limit_nobody_wrote_words_for_says_so(plant: Plant, local: httpx.Client) -> None:
    plant.alarm(chlorine(plant), "L1", "yellow", value=1.2, limit=1)
    alarm = local.get("/api/v1/alarms/LC-01-1").json()
    assert alarm["handling"] == "missing"
    assert alarm["action"]["zh"] == "携便携式检测仪两人核实，检查通风"


def test_s30_an_alarm_names_the_source_of_its_limit(plant: Plant, local: httpx.Client) -> None:
    tag = chlorine(plant)
    plant.alarm(tag, "L2", "red", value=4.8, limit=3)
    plant.alarm(tag, "FAULT", "red")
    said = {alarm["kind"]: alarm["limit_source"] for alarm in local.get("/api/v1/alarms").json()["items"]}
    assert said == {"L2": "GB/T 50493 2019 5.5.2", "FAULT": ""}


def test_s21_no_colour_goes_without_its_scheme(plant: Plant, local: httpx.Client) -> None:
    plant.alarm(chlorine(plant), "L2", "red")
    assert local.get("/api/v1/alarms/LC-01-1").json()["priority"]["scheme"] == "monitoring"


def test_who_calls_comes_first_then_the_priority_then_the_first_cause(plant: Plant, local: httpx.Client) -> None:
    tag = chlorine(plant)
    plant.alarm(tag, "HH", "orange", "C", age_ms=9000)
    plant.alarm(tag, "L1", "yellow", "B", age_ms=1000)
    plant.alarm(tag, "FAULT", "red", "B", age_ms=8000)
    plant.alarm(tag, "OVER_RANGE", "red", "B", age_ms=100)
    plant.alarm(tag, "L2", "red", "B", age_ms=300)
    order = [alarm["kind"] for alarm in local.get("/api/v1/alarms").json()["items"]]
    assert order == ["L2", "OVER_RANGE", "FAULT", "L1", "HH"]


def test_paging_by_log_number_gives_every_transition_once(plant: Plant, local: httpx.Client) -> None:
    tag = chlorine(plant)
    for n, kind in enumerate(["L1", "L2", "H", "HH", "FAULT", "STALE", "OVER_RANGE"]):
        if n in (3, 4):
            plant._seq -= 1  # several transitions of one record of the log
        plant.alarm(tag, kind, "red")
    seen, after, more = [], 0, True
    while more:
        page = local.get("/api/v1/transitions", params={"after": after, "limit": 2}).json()
        seen += [step["id"] for step in page["items"]]
        after, more = page["next_after"], page["more"]
    assert sorted(seen) == [f"LC-01-{n}" for n in range(1, 8)]


def test_edges_say_link_devices_and_what_is_not_known(plant: Plant, local: httpx.Client) -> None:
    plant.read(chlorine(plant), 0.1)
    comm = plant.tag("comm_ok", "通信", "comm", kind="status", unit="")
    plant.read(comm, 1.0)
    plant.tag("gas1", "氨", "Ammonia", node="park/edge2", device="plc9", source="NH3-1", confirmed=False)
    plant.link("park/edge1", True)
    plant.link("park/edge2", False, "will")
    first, second = local.get("/api/v1/edges").json()
    assert (first["node"], first["online"], first["confirmed"]) == ("park/edge1", True, True)
    assert (first["devices"][0]["answers"], first["devices"][0]["good"], first["devices"][0]["tags"]) == (True, 1, 1)
    assert (second["online"], second["reason"], second["confirmed"]) == (False, "will", False)
    assert (second["devices"][0]["answers"], second["devices"][0]["good"]) == (None, 0)


def test_the_quarantine_lists_reasons_and_not_whole_payloads(guarded: Plant, client_of: Clients) -> None:
    unread = Quarantined(NOW_MS, "park/edge1", "spBv1.0/x", "no birth", b"\xff" * 900)
    guarded.log.append([], Beside(quarantined=[unread]))
    found = client_of("engineer").get("/api/v1/quarantine").json()
    assert [(row["reason"], row["bytes"], row["head"]) for row in found] == [("no birth", 900, "ff" * 64)]


def test_s13_a_silent_engine_is_not_ready(plant: Plant, local: httpx.Client) -> None:
    assert local.get("/healthz").json() == {"status": "alive"}
    assert local.get("/readyz").status_code == 200
    clock = plant.now_ms
    assert isinstance(clock, Clock)
    clock.ms += 11_000
    assert local.get("/readyz").status_code == 503
    assert local.get("/api/v1/health").json()["behind"] == ["engine"]


def test_s13_a_clock_set_back_covers_no_silent_engine_up(plant: Plant, local: httpx.Client) -> None:
    plant.set_clock_back(3600)
    assert local.get("/readyz").status_code == 200
    plant.now_ms.ms += 11_000
    assert local.get("/readyz").status_code == 503
    assert local.get("/api/v1/health").json()["engine_age_ms"] == 11_000


def test_s14_a_record_the_engine_has_not_seen_makes_it_old(plant: Plant, local: httpx.Client) -> None:
    plant.log.append([NewRecord(RecordKind.TICK, b"{}", NOW_MS - 30_000)])
    health = local.get("/api/v1/health").json()
    assert health["engine_age_ms"] == 30_000
    assert health["status"] == "behind"


def test_metrics_are_few_and_name_no_tag(plant: Plant, local: httpx.Client) -> None:
    for n in range(40):
        plant.alarm(plant.tag(f"t{n}", "测点", "tag"), "H", "yellow")
    text = local.get("/metrics").text
    assert 'davylamp_alarms_standing{level="yellow"} 40.0' in text
    assert 'davylamp_ingest_total{what="quarantined"} 1.0' in text
    assert "davylamp_monitor_lag_records 0.0" in text
    assert "t39" not in text
    assert len([line for line in text.splitlines() if not line.startswith("#")]) < 60


def test_every_answer_forbids_framing_and_foreign_scripts(local: httpx.Client) -> None:
    headers = local.get("/").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"


def test_what_does_not_exist_is_said_in_both_languages(local: httpx.Client) -> None:
    body = local.get("/api/v1/alarms/NOPE-1").json()
    assert body["error"] == "not_found"
    assert "NOPE-1" in body["what"]["zh"]
    assert "NOPE-1" in body["what"]["en"]
    assert body["where"] == "NOPE-1"
