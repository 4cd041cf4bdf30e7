"""What a node says of itself: everything that data will name, and for a while what it named before."""

from pathlib import Path
from typing import Any

from davylamp_edge.birth import Births
from davylamp_edge.install import install
from davylamp_edge.journal import Journal
from davylamp_edge.records import Entry, JournalClass
from davylamp_wire.describe import DeviceDescription
from davylamp_wire.intervals import Intervals
from davylamp_wire.payload import (
    CLOCK,
    DESCRIPTION,
    EPOCH,
    HOLE,
    KEEPALIVE,
    REBIRTH,
    RECORD,
    SENT,
    BirthMetric,
    birth_payload,
    decode,
)
from davylamp_wire.point import Point
from davylamp_wire.profile import DetectorGroup
from support.field import device, edge_config, point, profile

LEVEL = point(type="float32", unit="m", range=[0, 5], address={"modbus": "holding:0"})
FLOW = point(type="float32", address={"modbus": "holding:2"})


def births(journal: Journal, points: dict[str, Point], *devices: dict[str, Any]) -> Births:
    config = edge_config(*(devices or (device("127.0.0.1:502"),)))
    return Births(journal, install(config, {"rig": profile(points)}))


def said(births: Births) -> dict[str, dict[str, BirthMetric]]:
    return {name: {metric.name: metric for metric in metrics} for name, metrics in births.devices()}


def opened(folder: Path) -> Journal:
    return Journal.open(folder / "j.db", 1 << 24)


def test_the_node_says_all_that_its_data_will_name(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        metrics = {metric.name: metric for metric in births(journal, {"level": LEVEL}).node(7, 15, None)}
        assert metrics.keys() == {"bdSeq", REBIRTH, EPOCH, RECORD, SENT, HOLE, CLOCK, KEEPALIVE}
        assert (metrics["bdSeq"].value, metrics[EPOCH].value, metrics[KEEPALIVE].value) == (7, journal.epoch, 15)
        assert metrics[REBIRTH].alias is None


def test_a_device_says_its_description_its_points_and_their_last_values(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        made = births(journal, {"level": LEVEL, "flow": FLOW})
        made.tags["rig1"].remember([0], [2.5], [0], [1_700_000_000_000])
        metrics = said(made)["rig1"]
        assert DeviceDescription.decode(str(metrics[DESCRIPTION].value)).hazard_source == "store"
        assert (metrics["level"].value, metrics["level"].time_ms) == (2.5, 1_700_000_000_000)
        assert metrics["level"].properties["engUnit"] == "m"
        assert metrics["flow"].value is None
        assert metrics["flow"].quality != 0
        assert {"level", "flow", "comm_ok", RECORD, DESCRIPTION} == metrics.keys()
        assert decode(birth_payload(list(metrics.values()), seq=1, sent_ms=1)).value("level") == 2.5


def test_s18_a_device_says_its_groups_with_the_members_this_site_has(tmp_path: Path) -> None:
    limits = {"H": {"value": 4, "source": {"standard": "s", "basis": "proposal"}}}
    points = {name: Point.model_validate({**dict(LEVEL), "limits": limits}) for name in ("east", "west", "attic")}
    points["attic"] = points["attic"].model_copy(update={"address": {}})
    high = {"zh": "组", "en": "levels", "members": list(points), "limit": "H", "need": 2}
    grouped = profile(points).model_copy(
        update={"groups": {"high": DetectorGroup.model_validate({**high, "source": limits["H"]["source"]})}}
    )
    with opened(tmp_path) as journal:
        made = Births(journal, install(edge_config(device("127.0.0.1:502")), {"rig": grouped}))
        described = DeviceDescription.decode(str(said(made)["rig1"][DESCRIPTION].value))
    assert described.groups["high"].members == ("east", "west")


def test_a_whole_scan_and_a_part_of_one_are_remembered_alike(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        tags = births(journal, {"level": LEVEL, "flow": FLOW}).tags["rig1"]
        tags.remember([0, 1], [1.0, 2.0], [0, 0], [10, 10])
        tags.remember([1, 0, 0], [3.0, 4.0, 5.0], [0, 0, 1], [20, 20, 21])
        assert tags.values[:2] == [5.0, 3.0]
        assert tags.times_ms[:2] == [21, 20]
        assert tags.qualities[0] == 1


def test_aliases_are_the_same_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        first = said(births(journal, {"level": LEVEL, "flow": FLOW}))["rig1"]
    with opened(tmp_path) as journal:
        again = said(births(journal, {"flow": FLOW, "level": LEVEL}))["rig1"]
    assert {name: metric.alias for name, metric in first.items()} == {n: m.alias for n, m in again.items()}


def test_s26_a_point_taken_out_is_born_until_its_last_records_are_confirmed(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        alias = said(births(journal, {"level": LEVEL, "flow": FLOW}))["rig1"]["flow"].alias
        journal.append([Entry("rig1", JournalClass.LIVE, b"", 1)])
    with opened(tmp_path) as journal:
        made = births(journal, {"level": LEVEL})
        former = said(made)["rig1"]["flow"]
        assert (former.alias, former.value) == (alias, None)
        journal.confirm(Intervals([(1, journal.last_record)]))
        assert made.settled() == []
        assert "flow" not in said(made)["rig1"]


def test_s26_a_device_taken_out_is_born_until_its_last_records_are_confirmed_and_then_dies(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        births(journal, {"level": LEVEL}, device("127.0.0.1:502"), device("127.0.0.1:503", name="rig2"))
        journal.append([Entry("rig2", JournalClass.LIVE, b"", 1)])
    with opened(tmp_path) as journal:
        made = births(journal, {"level": LEVEL})
        assert "level" in said(made)["rig2"]
        assert DeviceDescription.decode(str(said(made)["rig2"][DESCRIPTION].value)).name == "rig2"
        journal.confirm(Intervals([(1, journal.last_record)]))
        assert made.settled() == ["rig2"]
        assert made.settled() == []
        assert said(made).keys() == {"rig1"}


def test_a_point_whose_type_changed_keeps_its_name_and_gets_another_alias(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        before = said(births(journal, {"level": LEVEL}))["rig1"]["level"].alias
        journal.append([Entry("rig1", JournalClass.LIVE, b"", 1)])
    with opened(tmp_path) as journal:
        changed = point(type="uint16", address={"modbus": "holding:0"})
        metrics = list(dict(births(journal, {"level": changed}).devices())["rig1"])
        assert [metric.name for metric in metrics].count("level") == 1
        assert next(metric.alias for metric in metrics if metric.name == "level") != before


def test_what_a_scan_said_is_remembered_wherever_its_points_lie(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        (tags,) = births(journal, {"level": LEVEL, "flow": FLOW}).tags.values()
        tags.remember([0, 1], [1.0, 2.0], [0, 0], [10, 10])
        tags.remember([2, 1], [True, 3.0], [0, 0], [20, 20])
        tags.remember([0, 0], [4.0, 5.0], [0, 0], [20, 30])
        assert (tags.values, tags.times_ms) == ([5.0, 3.0, True], [30, 20, 20])
        assert list(tags.together([0, 1]).aliases) == list(tags.aliases[:2])
        assert list(tags.together([2, 0]).aliases) == [tags.aliases[2], tags.aliases[0]]
