"""Statistical rules that can be written and cannot work, or must not be: refused where a person writes them."""

from pathlib import Path
from typing import Any

import pytest
from davylamp_wire.config import ConfigError
from davylamp_wire.lint_warnings import unwarning
from davylamp_wire.point import Point
from davylamp_wire.profile import load_profile, shipped_profiles

SOURCE = {"standard": "site", "basis": "proposal"}
ACTION = {"zh": "核实", "en": "verify"}
RULE = {"source": SOURCE, "action": ACTION}
HIGH = {"H": {"value": 85.0, "source": SOURCE}}


def point(rules: dict[str, Any], **more: Any) -> Point:
    told = {name: {**RULE, **rule} for name, rule in rules.items()}
    return Point.model_validate(
        {"zh": "液位", "en": "level", "unit": "%", "range": (0, 100), "warnings": told, "limits": HIGH, **more}
    )


@pytest.mark.parametrize(
    ("rules", "more", "line", "zh"),
    [
        ({"trand": {}}, {}, "warnings.trand: there is no such rule; write one of cusum", "没有这种规则"),
        ({"trend": {}}, {}, "warnings.trend.towards: name the limits", "请写明趋势对照的限值"),
        ({"trend": {"towards": ["HH"]}}, {}, "warnings.trend.towards: the point has no limit HH", "该点没有限值 HH"),
        ({"rate": {"towards": ["H"]}}, {}, "warnings.rate.towards: only a trend is held", "只有趋势规则对照限值"),
        ({"deviation": {}}, {}, "warnings.deviation.inputs: name the points", "请写明该规则同看的各测点"),
        ({"frozen": {"inputs": ["a"]}}, {}, "warnings.frozen.inputs: this rule looks at its own", "该规则只看本点"),
        ({"frozen": {"action": None}}, {}, "warnings.frozen.action: is missing", "缺少首要处置措施"),
        ({"frozen": {}}, {"type": "string", "limits": {}}, "warnings: statistics need a number", "统计规则需要数值"),
    ],
)
def test_a_rule_that_cannot_work_is_named(rules: dict[str, Any], more: dict[str, Any], line: str, zh: str) -> None:
    (found,) = unwarning(point(rules, **more))
    assert str(found).startswith(line)
    assert found.zh.startswith(zh)


def test_a_sound_rule_is_let_alone() -> None:
    rules = {"trend": {"towards": ["H"]}, "deviation": {"inputs": ["a", "b"]}, "frozen": {}}
    assert list(unwarning(point(rules))) == []


def test_s08_a_transport_deadband_is_refused_beside_a_statistical_rule(tmp_path: Path) -> None:
    (found,) = unwarning(point({"frozen": {}}, deadband=0.5))
    assert str(found).startswith("deadband: is refused on a point with statistical rules")
    assert list(unwarning(point({}, deadband=0.5))) == []
    path = tmp_path / "lpg/lpg-sphere.toml"
    path.parent.mkdir()
    text = (shipped_profiles() / "lpg/lpg-sphere.toml").read_text(encoding="utf-8")
    path.write_text(text.replace('plant_tag = "LT-2101A"', 'plant_tag = "LT-2101A"\ndeadband = 0.5'), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"points\.level_a\.deadband: is refused on a point with statistical rules"):
        load_profile(path)
