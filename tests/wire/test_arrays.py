"""Arrays in a profile: one entry, many tags."""

from typing import Any

import pytest
from davylamp_wire.arrays import expanded
from davylamp_wire.profile import Profile

ARRAY = {
    "count": 3,
    "zh": "氯瓶{1}温度",
    "en": "cylinder temperature",
    "unit": "degC",
    "address": {"modbus": "holding:{100+2}", "opcua": "nsu=urn:plant;s=T[{0}]"},
    "plant_tag": "TT-{1101}",
}


def profile(**points: Any) -> Profile:
    return Profile.model_validate({"name": "a", "family": "b", "zh": "台", "en": "rig", "points": points})


def test_an_array_is_a_row_of_tags_that_count_up() -> None:
    points = profile(t=ARRAY).points
    assert list(points) == ["t_1", "t_2", "t_3"]
    assert [point.address["modbus"] for point in points.values()] == ["holding:100", "holding:102", "holding:104"]
    assert [point.address["opcua"][-5:] for point in points.values()] == ["=T[0]", "=T[1]", "=T[2]"]
    assert [point.plant_tag for point in points.values()] == ["TT-1101", "TT-1102", "TT-1103"]
    assert [point.zh for point in points.values()] == ["氯瓶1温度", "氯瓶2温度", "氯瓶3温度"]
    assert points["t_3"].en == "cylinder temperature 3"


def test_texts_that_count_nothing_keep_their_braces() -> None:
    assert expanded({"t": {**ARRAY, "zh": "{x} {1}", "en": "{a+b} {1}"}})["t_2"]["en"] == "{a+b} 2"


def test_what_is_no_array_is_left_alone() -> None:
    plain = {"zh": "{1}", "en": "x", "unit": ""}
    assert expanded({"level": plain}) == {"level": plain}


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ({"t": ARRAY | {"count": 0}}, "t.count: 0 is none; give a whole number from 1 to 1000"),
        ({"t": ARRAY | {"count": "many"}}, "t.count: 'many' is none"),
        ({"t": ARRAY | {"address": {"modbus": "holding:100"}}}, "'holding:100' is the same for every element"),
        ({"t_2": {"zh": "a", "en": "a", "unit": ""}, "t": ARRAY}, "t_2: is an element of an array too; rename one"),
    ],
)
def test_a_mistaken_array_says_what_is_wrong(points: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match="t") as raised:
        profile(**points)
    assert says in str(raised.value)
