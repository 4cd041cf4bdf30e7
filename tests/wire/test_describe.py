"""What a birth says of a device: ours word for word, a foreign one's as far as it goes."""

import json
import re

import pytest
from davylamp_wire.config import SLUG
from davylamp_wire.describe import DeviceDescription, datatype_of, description_of, foreign_properties, slug
from davylamp_wire.payload import (
    DESCRIPTION,
    BirthMetric,
    Message,
    SparkplugType,
    bd_seq_metric,
    birth_payload,
    decode,
)
from davylamp_wire.point import HANDLING, DataType, Limit, LimitKind, Loop, Point, Source, Text
from davylamp_wire.profile import DetectorGroup
from hypothesis import given
from hypothesis import strategies as st
from support.readings import NOW

T = SparkplugType
LIMIT = Limit(value=3.0, latch=True, source=Source(standard="GB/T 50493", clause="5.5", basis="memory"))
GAS = Point(
    zh="氯气",
    en="chlorine",
    unit="ppm",
    kind="gas",
    range=(0, 10),
    limits={LimitKind.L2: LIMIT},
    plant_tag="1#GT-1101/A",
)
STORE = DeviceDescription(
    name="store",
    profile="cl2-store",
    hazard_source="cl2-1",
    driver="modbus",
    zh="液氯库",
    en="store",
    points={"cl2": GAS},
)


def born(*metrics: BirthMetric) -> Message:
    return decode(birth_payload([bd_seq_metric(1), *metrics], seq=0, sent_ms=NOW))


def test_a_description_survives_the_birth_with_limits_sources_and_the_plants_own_name() -> None:
    birth = born(BirthMetric(DESCRIPTION, T.STRING, None, STORE.encode()))
    assert description_of("store", birth, hazard_source="other") == STORE


def test_s24_what_a_limit_says_of_its_handling_survives_the_birth() -> None:
    text = Text(zh="关阀", en="close the valve")
    limit = LIMIT.model_copy(update={"action": text, "cause": text, "consequence": text, "respond_s": 60.0})
    said = STORE.model_copy(update={"points": {"cl2": GAS.model_copy(update={"limits": {LimitKind.L2: limit}})}})
    birth = born(BirthMetric(DESCRIPTION, T.STRING, None, said.encode()))
    assert description_of("store", birth, hazard_source="other").points["cl2"].limits[LimitKind.L2].unsaid == ()


def test_s30_a_birth_whose_limit_says_nothing_of_its_handling_is_taken() -> None:
    assert DeviceDescription.decode(STORE.encode()).points["cl2"].limits[LimitKind.L2].unsaid == HANDLING


def test_s18_groups_of_detectors_survive_the_birth() -> None:
    leak = {"zh": "组", "en": 'of "points":', "members": ["cl2"], "limit": "L2", "blind_at": 1, "source": LIMIT.source}
    said = STORE.model_copy(update={"groups": {"leak": DetectorGroup.model_validate(leak)}})
    birth = born(BirthMetric(DESCRIPTION, T.STRING, None, said.encode()))
    assert description_of("store", birth, hazard_source="other") == said


def test_what_equals_its_default_is_not_sent() -> None:
    assert json.loads(STORE.encode())["points"]["cl2"].keys() == {
        *("zh", "en", "unit", "kind", "range", "limits", "plant_tag")
    }


def test_keys_of_a_newer_edge_are_passed_over() -> None:
    said = json.loads(STORE.encode())
    said["colour"] = "green"
    said["points"]["cl2"]["smell"] = "pungent"
    said["points"]["cl2"]["limits"]["L2"]["source"]["isbn"] = "0"
    assert DeviceDescription.decode(json.dumps(said)) == STORE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no JSON", "Invalid JSON"),
        ("{}", "name: Field required"),
        (STORE.encode().replace("cl2-1", "cl2/1"), "hazard_source"),
        (STORE.encode().replace('"zh"', '"zz"', 1), "zh: Field required"),
    ],
)
def test_a_description_that_does_not_fit_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"{DESCRIPTION} metric does not fit: .*{reason}"):
        DeviceDescription.decode(text)


def test_a_foreign_birth_yields_what_there_is() -> None:
    birth = born(
        BirthMetric("Tank/Level", T.FLOAT, 5, 1.5, {"engUnit": "m", "engLow": 0.0, "engHigh": 12.0}),
        BirthMetric("Running", T.BOOLEAN, 6, True),
        BirthMetric("Note", T.STRING, None, "x", {"engLow": 5.0, "engHigh": 1.0}),
        BirthMetric("Odd", T.DOUBLE, None, 1.0, {"engLow": float("-inf"), "engHigh": float("inf")}),
        BirthMetric("Node Control/Rebirth", T.BOOLEAN, None, False),
    )
    found = description_of("plc", birth, hazard_source="plant")
    level, running, note, odd = found.points.values()
    assert (level.en, level.plant_tag, level.unit, level.range) == ("Tank/Level", "Tank/Level", "m", (0.0, 12.0))
    assert (level.type, running.type, note.type) == (DataType.FLOAT64, DataType.BOOL, DataType.STRING)
    assert note.range is odd.range is None
    assert (found.name, found.hazard_source, found.profile) == ("plc", "plant", "foreign")


@given(st.text(max_size=100), st.text(max_size=100))
def test_every_name_has_a_slug_and_no_two_share_one(one: str, other: str) -> None:
    assert re.fullmatch(SLUG, slug(one))
    assert (slug(one) == slug(other)) is (one == other)


@pytest.mark.parametrize("names", [("a/b", "a b"), ("温度", "压力"), ("x" * 70 + "1", "x" * 70 + "2")])
def test_names_that_look_alike_as_slugs_stay_apart(names: tuple[str, str]) -> None:
    assert slug(names[0]) != slug(names[1])


def test_a_name_that_is_a_slug_stays_as_it_is() -> None:
    assert slug("LT-1101_A") == "LT-1101_A"


@pytest.mark.parametrize(
    ("point", "datatype"),
    [
        (Point(zh="a", en="a", unit=""), T.FLOAT),
        (Point(zh="a", en="a", unit="", type=DataType.INT16), T.INT16),
        (Point(zh="a", en="a", unit="", type=DataType.INT16, scale=0.1), T.DOUBLE),
        (Point(zh="a", en="a", unit="", type=DataType.UINT16, range=(0, 10), loop=Loop()), T.DOUBLE),
        (Point(zh="a", en="a", unit="", type=DataType.BOOL, scale=2.0), T.BOOLEAN),
        (Point(zh="a", en="a", unit="", type=DataType.STRING), T.STRING),
    ],
)
def test_a_point_travels_as_its_type_or_as_a_double_once_it_is_scaled(point: Point, datatype: SparkplugType) -> None:
    assert datatype_of(point) == datatype


def test_a_stranger_is_told_unit_and_range() -> None:
    assert foreign_properties(GAS) == {"engUnit": "ppm", "engLow": 0.0, "engHigh": 10.0}
    assert foreign_properties(Point(zh="a", en="a", unit="")) == {}
