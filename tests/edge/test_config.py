"""A config is checked whole, and every mistake in it is in one message."""

from pathlib import Path

import pytest
from davylamp_edge.check import load_edge
from davylamp_edge.config import JournalConfig
from davylamp_edge.install import install
from davylamp_edge.summary import summarise
from davylamp_wire.config import ConfigError, Mistake
from davylamp_wire.point import LimitKind

PROFILE = """
zh = "氯气储存间"
en = "chlorine store"

[points.gas]
zh = "氯气浓度"
en = "chlorine"
unit = "ppm"
kind = "gas"
range = [0, 10]
required = true
limits.L1.value = 1.0
limits.L1.action = { zh = "核实", en = "Verify" }
limits.L1.respond_s = 300
limits.L1.source = { standard = "GB/T 50493-2019", basis = "source-found" }
limits.L2.value = 3.0
limits.L2.action = { zh = "关阀", en = "Close" }
limits.L2.source = { standard = "GB/T 50493-2019", basis = "source-found" }

[points.level]
zh = "液位"
en = "level"
unit = "m"
address = { modbus = "holding:10" }

[points.spare]
zh = "备用"
en = "spare"
unit = ""
"""

HEAD = """
node = "edge1"
profiles = "profiles"
[broker]
host = "broker.plant"
[journal]
path = "data/journal.db"
"""

DEVICE = """
[[devices]]
name = "store1"
profile = "store"
driver = "modbus"
hazard_source = "cl2-1"
address = "10.0.0.5:502"
points.gas.address = "input:0"
"""


@pytest.fixture
def write(tmp_path: Path) -> Path:
    folder = tmp_path / "profiles" / "chlorine"
    folder.mkdir(parents=True)
    (folder / "store.toml").write_text(PROFILE, encoding="utf-8")
    return tmp_path / "edge.toml"


def mistakes(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_edge(path)
    return caught.value.mistakes


def test_a_sound_config_loads_and_its_paths_start_at_its_folder(write: Path) -> None:
    write.write_text(HEAD + DEVICE, encoding="utf-8")
    config, profiles = load_edge(write)
    assert config.journal.path == write.parent / "data/journal.db"
    assert config.devices[0].gap_registers == 16
    assert "store" in profiles


def test_five_mistakes_make_one_message_that_names_all_five(write: Path) -> None:
    text = HEAD.replace('host = "broker.plant"', 'host = "broker.plant"\nprot = 1883')
    text += DEVICE.replace("input:0", "register:0")
    text += DEVICE.replace("store1", "store2").replace('profile = "store"', 'profile = "stroe"')
    text += DEVICE.replace("store1", "store3").replace('driver = "modbus"', 'driver = "profibus"')
    text += DEVICE.replace("store1", "store4").replace("points.gas.address", 'points.gsa.tag = "x"\npoints.gas.address')
    found = mistakes(write, text)
    assert len(found) == 5, "\n".join(found)
    assert all(str(write) in line for line in found)
    assert all(isinstance(line, Mistake) and line.zh.startswith(f"{write}：") for line in found), "\n".join(found)
    for expected in (
        "broker.prot: is not a known key",
        "devices.store1.points.gas.address: 'register:0' is no Modbus address; write holding:100",
        "devices.store2.profile: there is no profile 'stroe'",
        "devices.store3.driver: there is no driver 'profibus'; known are modbus, opcua",
        "devices.store4.points.gsa: profile 'store' has no such point; it has gas, level, spare",
    ):
        assert any(expected in line for line in found), expected


def test_two_devices_of_one_name_are_a_mistake(write: Path) -> None:
    (found,) = mistakes(write, HEAD + DEVICE + DEVICE)
    assert "devices.store1: two devices have this name" in found


def test_two_devices_that_only_letter_case_tells_apart_are_a_mistake(write: Path) -> None:
    """Hosts may take them for one (Sparkplug 3.0, 5.2)."""
    (found,) = mistakes(write, HEAD + DEVICE + DEVICE.replace('name = "store1"', 'name = "Store1"'))
    assert "devices.Store1: only letter case tells it from 'store1'" in found


def test_one_line_spelled_in_two_ways_is_a_mistake(write: Path) -> None:
    other = DEVICE.replace("store1", "store2").replace("10.0.0.5:502", "tcp://10.0.0.5")
    (found,) = mistakes(write, HEAD + DEVICE + other)
    said = (
        "devices.store2.address: 'tcp://10.0.0.5' is the line of store1, which says '10.0.0.5:502'; write both the same"
    )
    assert said in found


def test_everybody_on_a_serial_line_is_no_device(write: Path) -> None:
    text = DEVICE.replace("10.0.0.5:502", "serial:///dev/ttyS0?baud=9600&parity=none") + "unit = 0\n"
    (found,) = mistakes(write, HEAD + text)
    assert "devices.store1.unit: 0 is every device of a serial line" in found


def test_a_mistake_of_shape_hides_no_mistake_of_sense_in_the_same_device(write: Path) -> None:
    found = mistakes(write, HEAD + DEVICE.replace('profile = "store"', 'profile = "none"\ncolour = "red"'))
    assert len(found) == 2, "\n".join(found)


def test_a_required_point_without_an_address_is_a_mistake_and_an_optional_one_is_not(write: Path) -> None:
    (found,) = mistakes(write, HEAD + DEVICE.replace('points.gas.address = "input:0"', ""))
    assert "points.gas.address: the profile requires this point" in found


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ('points.level.address = "coil:3"', "bits carry bool only"),
        ('points.level.address = "holding:3.4"', "only bool and whole numbers have parts"),
        ('points.level.address = "holding:65535"', "reaches beyond address 65535"),
        ("max_registers = 1", "float32 takes 2 registers and max_registers is 1"),
    ],
)
def test_an_address_must_fit_its_point(write: Path, override: str, said: str) -> None:
    assert any(said in line for line in mistakes(write, HEAD + DEVICE + override))


def test_an_override_of_limits_is_checked_against_range_and_the_other_limits(write: Path) -> None:
    limit = '{ value = 11.0, source = { standard = "site", basis = "proposal" } }'
    (found,) = mistakes(write, f"{HEAD}{DEVICE}points.gas.limits.L1 = {limit}")
    assert "points.gas" in found
    assert "11 lies outside the range 0..10" in found
    assert "limits.L1: 11 lies above limits.L2 (3)" in found


def test_a_limit_without_a_source_cannot_be_written(write: Path) -> None:
    found = mistakes(write, HEAD + DEVICE + "points.gas.limits.L1 = { value = 0.5 }")
    assert any("limits.L1.source: is missing" in line for line in found)


@pytest.mark.parametrize("address", ["", "host:port", "http://10.0.0.5", "10.0.0.5:99999"])
def test_a_device_needs_an_address_its_driver_understands(write: Path, address: str) -> None:
    found = mistakes(write, HEAD + DEVICE.replace("10.0.0.5:502", address))
    assert any("address" in line for line in found)


def test_opc_ua_addresses_are_checked_too(write: Path) -> None:
    opcua = DEVICE.replace('"modbus"', '"opcua"').replace('"input:0"', '"Tank1.Level"')
    found = mistakes(write, HEAD + opcua)
    assert any("opc.tcp://host:port/path" in line for line in found)
    assert any("'Tank1.Level' is no node id" in line for line in found)


def test_a_profiles_folder_that_is_none_is_a_mistake(write: Path) -> None:
    found = mistakes(write, HEAD.replace('"profiles"', '"nowhere"') + DEVICE)
    assert any("is not a folder" in line for line in found)


def test_secrets_do_not_print(write: Path) -> None:
    (write.parent / "password").write_text("kept", encoding="utf-8")
    text = HEAD.replace('host = "broker.plant"', 'host = "b"\nusername = "edge1"\npassword_file = "password"')
    write.write_text(text + DEVICE, encoding="utf-8")
    config, _ = load_edge(write)
    password = config.broker.password()
    assert password is not None
    assert password.get_secret_value() == "kept"
    assert "kept" not in repr(password)


SITES_OWN = 'value = 0.5, source = { standard = "site rule", basis = "proposal" }'


def test_s27_what_is_confirmed_stays_for_72_hours_where_nothing_else_is_said() -> None:
    assert JournalConfig(path=Path("journal.db")).confirmed_hours == 72


def test_s24_a_site_that_changes_a_figure_keeps_the_profiles_texts(write: Path) -> None:
    write.write_text(f"{HEAD}{DEVICE}points.gas.limits.L1 = {{ {SITES_OWN} }}", encoding="utf-8")
    (store,) = install(*load_edge(write))
    limit = dict(zip(store.names, store.points, strict=True))["gas"].limits[LimitKind.L1]
    assert (limit.value, limit.source.standard, limit.respond_s) == (0.5, "site rule", 300.0)
    assert limit.action is not None
    assert limit.action.en == "Verify"


def test_s24_a_limit_the_site_adds_must_name_its_first_action(write: Path) -> None:
    (line,) = mistakes(write, f"{HEAD}{DEVICE}points.level.limits.H = {{ {SITES_OWN} }}")
    assert "edge.toml: devices.store1.points.level.limits.H.action: is missing; write the first thing to do" in line


GROUP = """
[points.gas2]
zh = "二号"
en = "gas 2"
unit = "ppm"
limits.L2.value = 3.0
limits.L2.action = { zh = "关阀", en = "Close" }
limits.L2.source = { standard = "GB/T 50493-2019", basis = "source-found" }

[groups.leak]
zh = "探测器组"
en = "detectors"
members = ["gas", "gas2"]
limit = "L2"
need = 2
source = { standard = "GB/T 50493-2019", basis = "proposal" }
"""


def test_s18_check_warns_of_a_vote_that_too_few_detectors_are_installed_for(write: Path) -> None:
    (write.parent / "profiles" / "chlorine" / "store.toml").write_text(PROFILE + GROUP, encoding="utf-8")
    words = "devices.store1.groups.leak: 1 of its 2 detectors have an address here, its vote needs 2"
    for more, warned in (("", True), ('points.gas2.address = "input:1"\n', False)):
        write.write_text(HEAD + DEVICE + more, encoding="utf-8")
        assert any(words in line for line in summarise(*load_edge(write))) is warned


def test_s24_check_asks_by_key_for_what_a_limit_does_not_say(write: Path) -> None:
    write.write_text(HEAD + DEVICE, encoding="utf-8")
    warnings = [line.strip() for line in summarise(*load_edge(write)) if "warning" in line]
    words = "; general words stand in until it says so"
    assert warnings == [
        f"warning: devices.store1.points.gas.limits.L1 has no cause, consequence{words}",
        f"warning: devices.store1.points.gas.limits.L2 has no cause, consequence, respond_s{words}",
    ]


def test_a_broken_profile_is_not_said_again_by_every_device(write: Path) -> None:
    (write.parent / "profiles" / "chlorine" / "store.toml").write_text("zh = 1", encoding="utf-8")
    found = mistakes(write, HEAD + DEVICE)
    assert any("store.toml" in line for line in found)
    assert not any("there is no profile" in line for line in found)
