"""What `check` lists at its end, and what it warns of or refuses where a site overrides limits."""

from pathlib import Path

import pytest
from davylamp_edge.check import load_edge
from davylamp_edge.install import with_override
from davylamp_edge.summary import summarise
from davylamp_wire.config import ConfigError
from davylamp_wire.point import Point
from support.field import device, edge_config, point, profile

SOURCE = {"standard": "site", "basis": "proposal"}
ACTION = {"zh": "核实", "en": "Verify"}
CONFIG = """
node = "edge-1"
[journal]
path = "edge.db"
[broker]
host = "127.0.0.1"
[[devices]]
name = "store"
profile = "lpg-sphere"
driver = "opcua"
hazard_source = "tank-area"
address = "opc.tcp://127.0.0.1:4840"
"""


def said(points: dict[str, Point]) -> list[str]:
    return list(summarise(edge_config(device("127.0.0.1:502")), {"rig": profile(points)}))


def gas(at: str, **more: object) -> Point:
    limit = {"value": 30.0, "source": SOURCE, **more}
    return point(kind="gas", unit="%LEL", range=(0, 100), address={"modbus": at}, limits={"L1": limit})


def test_tags_without_limits_are_counted_and_listed_at_the_end() -> None:
    bare = {f"t{at}": point(address={"modbus": f"holding:{10 + 2 * at}"}) for at in range(40)}
    door = point(kind="status", type="bool", address={"modbus": "coil:1"})
    lines = said({**bare, "door": door, "gas": gas("holding:0", action=ACTION)})
    start = lines.index("note: tags without limits (无限值的位号): 40")
    end = lines.index("note: alarms without a first action (无首要处置措施的报警): 0")
    listed = "".join(lines[start + 1 : end]).replace(",", " ").split()
    assert listed == [f"rig1/t{at}" for at in range(40)]
    assert end == len(lines) - 1


def test_alarms_without_a_first_action_are_counted_and_listed() -> None:
    lines = said({"gas": gas("holding:0"), "other": gas("holding:2", action=ACTION)})
    at = lines.index("note: alarms without a first action (无首要处置措施的报警): 1")
    assert lines[at + 1 :] == ["    rig1/gas/L1"]


def test_addresses_by_a_namespaces_number_are_warned_of() -> None:
    server = device("opc.tcp://127.0.0.1:4840", driver="opcua")
    points = {"level": point(address={"opcua": "ns=2;s=level"}), "flow": point(address={"opcua": "nsu=urn:a;s=flow"})}
    lines = list(summarise(edge_config(server), {"rig": profile(points)}))
    (at,) = [at for at, line in enumerate(lines) if "addresses with ns= (level)" in line]
    assert "请改用 nsu=" in lines[at + 1]


def test_a_level_above_the_ceiling_is_warned_of_under_its_device() -> None:
    (line,) = [line for line in said({"gas": gas("holding:0", action=ACTION)}) if "limits.L1: 30" in line]
    assert "devices.rig1.points.gas.limits.L1: 30 is above 25 %LEL (GB/T 50493-2019" in line
    assert "高于标准上限" in line


def test_a_gas_that_no_ceiling_is_known_for_is_listed() -> None:
    limit = {"value": 1.0, "source": SOURCE, "action": ACTION}
    unknown = point(kind="gas", unit="ppm", address={"modbus": "holding:0"}, limits={"L1": limit})
    lines = said({"gas": unknown})
    assert lines[-2].startswith("note: gas tags held against no ceiling")
    assert lines[-2].endswith(": 1")
    assert lines[-1] == "    rig1/gas"


def test_a_sites_override_that_cannot_work_is_refused_with_file_device_and_key(tmp_path: Path) -> None:
    limit = '{ value = 50.0, source = { standard = "site", basis = "proposal" } }'
    file = tmp_path / "edge.toml"
    file.write_text(f"{CONFIG}points.gas_1.limits.L1 = {limit}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_edge(file)
    (line,) = raised.value.mistakes
    assert line.startswith(f"{file}: devices.store.points.gas_1.limits.L1: is 50 as limits.L2 is")


def test_a_sites_rule_takes_the_profiles_place_and_keeps_its_texts(tmp_path: Path) -> None:
    source = '{ standard = "site", basis = "memory" }'
    rule = f'{{ towards = ["HH"], settings = {{ samples = 12, horizon_s = 60.0 }}, source = {source} }}'
    file = tmp_path / "edge.toml"
    file.write_text(f"{CONFIG}points.level_a.warnings.trend = {rule}\n", encoding="utf-8")
    config, profiles = load_edge(file)
    found = with_override(
        profiles["lpg-sphere"].points["level_a"], config.devices[0].points["level_a"], "opcua"
    ).warnings["trend"]
    assert (found.towards, found.settings["samples"]) == (("HH",), 12)
    assert found.unsaid == ()
