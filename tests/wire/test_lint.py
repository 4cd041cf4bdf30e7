"""Limits that can be written and cannot work, and levels of gas above the standard's ceilings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from davylamp_wire.ceilings import above_ceiling, unjudged
from davylamp_wire.config import ConfigError
from davylamp_wire.finding import below
from davylamp_wire.lint import unworkable
from davylamp_wire.point import Point
from davylamp_wire.profile import load_profile, load_profiles, shipped_profiles


def point(limits: Mapping[str, float | tuple[float, float]], **said: Any) -> Point:
    """Return a point with these limits: a value, or a value and its deadband."""
    source = {"standard": "site", "basis": "proposal"}
    pairs = {kind: given if isinstance(given, tuple) else (given, 0.0) for kind, given in limits.items()}
    full = {kind: {"value": value, "deadband": band, "source": source} for kind, (value, band) in pairs.items()}
    return Point.model_validate({"zh": "点", "en": "point", "unit": "", **said, "limits": full})


GAS = {"kind": "gas", "unit": "%LEL", "range": (0, 100)}
LEVEL = {"unit": "%", "range": (0, 100)}
OXYGEN = {"kind": "gas", "gas": "O2", "unit": "%VOL", "range": (0, 25)}


@pytest.mark.parametrize(
    ("limits", "said", "reason"),
    [
        ({"LL": 5, "L": 5}, LEVEL, "p.limits.LL: is 5 as limits.L is; order them LL < L < H < HH"),
        ({"H": 90, "HH": 90}, LEVEL, "p.limits.H: is 90 as limits.HH is"),
        ({"L1": 20, "L2": 20}, GAS, "p.limits.L1: is 20 as limits.L2 is"),
        ({"H": 80, "HH": (90, 10)}, LEVEL, "p.limits.HH.deadband: 10 reaches limits.H, which is 10 away"),
        ({"LL": (5, 7), "L": 10}, LEVEL, "p.limits.LL.deadband: 7 reaches limits.L, which is 5 away"),
        ({"L": (10, 75), "H": 80}, LEVEL, "p.limits.L.deadband: 75 reaches limits.H, which is 70 away"),
        ({"L1": 25, "L2": (50, 25)}, GAS, "p.limits.L2.deadband: 25 reaches limits.L1"),
        (
            {"H": 80, "HH": 90},
            {**LEVEL, "deadband": 10},
            "p.deadband: 10 hides what lies between limits.H and limits.HH",
        ),
        ({"H": 100}, LEVEL, "p.limits.H: 100 is the upper end of the range: out of range comes first"),
        ({"L": 0}, LEVEL, "p.limits.L: 0 is the lower end of the range"),
        ({"H": 0}, LEVEL, "p.limits.H: 0 always stands: 0..100 meets it"),
        ({"L": 100}, LEVEL, "p.limits.L: 100 always stands"),
        ({"HH": 0}, {"type": "bool"}, "p.limits.HH: 0 always stands"),
        ({"H": (5, 6)}, LEVEL, "p.limits.H.deadband: 6 reaches beyond the lower end of the range: it never clears"),
        ({"L": (95, 6)}, LEVEL, "p.limits.L.deadband: 6 reaches beyond the upper end of the range"),
        ({"HH": (1, 2)}, {"type": "bool"}, "p.limits.HH.deadband: 2 reaches beyond the lower end"),
        ({"L": 10}, GAS, "p.limits.L: falls, and this gas is dangerous when it rises; write L1 and L2"),
        ({"LL": 1}, {"kind": "gas", "gas": "CO", "unit": "ppm"}, "p.limits.LL: falls"),
        ({"L1": 19.5}, OXYGEN, "p.limits.L1: rises, and lack of oxygen falls; write L and LL"),
        ({"L1": 1}, {"kind": "gas", "gas": "phlogiston", "unit": "ppm"}, "p.gas: 'phlogiston' is in no table"),
    ],
)
def test_a_limit_that_cannot_work_is_named(limits: dict[str, Any], said: dict[str, Any], reason: str) -> None:
    (line,) = below("p", unworkable(point(limits, **said)))
    assert line.startswith(reason)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"LL": (5, 4), "L": (10, 0.5), "H": (80, 0.5), "HH": (90, 9)}, LEVEL),
        ({"L1": (25, 1), "L2": (50, 1)}, GAS),
        ({"LL": 18, "L": 19.5, "H": 23.5}, OXYGEN),
        ({"HH": (1, 0.5)}, {"type": "bool"}),
        ({"LL": (0, 0.5)}, {"type": "bool"}),
        ({"H": 100}, {**LEVEL, "kind": "status", "type": "uint8"}),
    ],
)
def test_a_limit_that_works_is_left_alone(limits: dict[str, Any], said: dict[str, Any]) -> None:
    assert list(below("p", unworkable(point(limits, **said)))) == []


@pytest.mark.parametrize(
    ("limits", "said", "found"),
    [
        ({"L1": 25, "L2": 50}, GAS, []),
        ({"L1": 26, "L2": 50}, GAS, ["p.limits.L1: 26 is above 25 %LEL"]),
        ({"L1": 25, "L2": 51}, GAS, ["p.limits.L2: 51 is above 50 %LEL"]),
        ({"H": 30, "HH": 60}, GAS, ["p.limits.H: 30 is above 25 %LEL", "p.limits.HH: 60 is above 50 %LEL"]),
        ({"L1": 1, "L2": 2}, {"kind": "gas", "gas": "Cl2", "unit": "mg/m3"}, []),
        ({"L1": 1, "L2": 3}, {"kind": "gas", "gas": "Cl2", "unit": "mg/m³"}, ["p.limits.L2: 3 is above 2 mg/m³"]),
        ({"L1": 24}, {"kind": "gas", "gas": "CO", "unit": "ppm"}, ["p.limits.L1: 24 is above 17.2 ppm"]),
        ({"L1": 0.00172}, {"kind": "gas", "gas": "CO", "unit": "%VOL"}, []),
        ({"LL": 18, "L": 19.5, "H": 23.5}, OXYGEN, []),
        ({"L": 19, "H": 24}, OXYGEN, ["p.limits.L: 19 is below 19.5 %VOL", "p.limits.H: 24 is above 23.5 %VOL"]),
        ({"H": 80}, LEVEL, []),
    ],
)
def test_levels_above_the_standards_ceiling_are_told(
    limits: dict[str, Any], said: dict[str, Any], found: list[str]
) -> None:
    told = list(below("p", above_ceiling(point(limits, **said))))
    assert [line.split(" (")[0] for line in told] == found
    assert all("GB/T 50493-2019" in line for line in told)


def test_a_gas_without_its_name_or_in_a_strange_unit_is_held_against_no_ceiling() -> None:
    assert unjudged(point({"L1": 1}, kind="gas", unit="ppm"))
    assert unjudged(point({"L1": 1}, kind="gas", gas="CO", unit="g/kg"))
    assert not unjudged(point({"L1": 1}, **GAS))
    assert not unjudged(point({}, kind="gas", unit="ppm"))


def test_a_profile_whose_limits_cannot_work_is_refused(tmp_path: Path) -> None:
    text = (shipped_profiles() / "chlorine/cl2-store.toml").read_text(encoding="utf-8")
    path = tmp_path / "chlorine/cl2-store.toml"
    path.parent.mkdir()
    path.write_text(text.replace("value = 75.0", "value = 80.0"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cl2-store\.toml: points\.level\.limits\.H: is 80 as limits\.HH is"):
        load_profile(path)


def test_shipped_profiles_keep_the_ceilings_but_for_carbon_monoxide_by_gb_6222() -> None:
    told = {
        f"{profile.name}/{name}": sum(1 for _ in above_ceiling(each))
        for profile in load_profiles(shipped_profiles()).values()
        for name, each in profile.points.items()
        if each.kind == "gas"
    }
    assert {name: count for name, count in told.items() if count} == {"nist-rooms/GASA_1": 2, "nist-rooms/GASC_1": 2}
    assert not any(unjudged(each) for one in load_profiles(shipped_profiles()).values() for each in one.points.values())
