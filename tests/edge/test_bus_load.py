"""How busy a line is, reckoned by hand beside the program, and what `check` says of it."""

from pathlib import Path

import pytest
from davylamp_edge.__main__ import BAD_INPUT, OK, main
from davylamp_edge.bus_load import loads
from davylamp_edge.install import install
from support.field import device, edge_config, point, profile

PROFILE = 'zh = "台"\nen = "rig"\n'
POINT = '[points.p{n}]\nzh = "点"\nen = "point"\nunit = ""\n'
POINT += 'type = "uint16"\nscan_s = {scan_s}\naddress = {{modbus = "holding:{at}"}}\n'
SERIAL = "serial:///dev/ttyUSB0?baud=9600&parity=even&stop=1"


def busy(*devices: dict[str, object], points: dict[str, object]) -> list[float]:
    profiles = {"rig": profile({name: point(**said) for name, said in points.items()})}  # type: ignore[arg-type]  # tests say what
    return [load.busy for load in loads(install(edge_config(*devices), profiles))]


def words(count: int, scan_s: float = 1.0, apart: int = 1) -> dict[str, object]:
    said = {"type": "uint16", "scan_s": scan_s}
    return {f"p{n}": {**said, "address": {"modbus": f"holding:{n * apart}"}} for n in range(count)}


def test_a_network_line_is_busy_for_its_round_trips() -> None:
    assert busy(device("192.0.2.1:502"), points=words(10)) == [pytest.approx(0.020)]
    assert busy(device("192.0.2.1:502"), points=words(10, apart=100)) == [pytest.approx(0.200)]
    assert busy(device("192.0.2.1:502", round_trip_ms=5, pause_ms=15), points=words(10)) == [pytest.approx(0.020)]
    assert busy(device("192.0.2.1:502"), points=words(10, scan_s=0.1)) == [pytest.approx(0.200)]


def test_a_serial_line_is_busy_for_its_characters_and_silences_too() -> None:
    """8 characters out, 5 + 20 back, 3.5 of silence; 11 bits each at 9600 baud; and 20 ms of the device's own."""
    expected = (8 + 25 + 3.5) * 11 / 9600 + 0.020
    assert busy(device(SERIAL), points=words(10)) == [pytest.approx(expected)]


def test_devices_on_one_line_share_its_time() -> None:
    sharing = [device("192.0.2.1:502", name=f"d{n}", unit=n) for n in range(1, 6)]
    assert busy(*sharing, device("192.0.2.2:502", name="alone"), points=words(1)) == [
        pytest.approx(0.1),
        pytest.approx(0.02),
    ]


def config_with(folder: Path, requests: int, scan_s: float = 1.0) -> Path:
    """Write a config whose one line gets so many requests of 20 ms a period."""
    (folder / "profiles/test").mkdir(parents=True)
    body = "".join(POINT.format(n=n, scan_s=scan_s, at=200 * n) for n in range(requests))
    (folder / "profiles/test/rig.toml").write_text(PROFILE + body, encoding="utf-8")
    config = folder / "edge.toml"
    config.write_text(
        'node = "edge-1"\nprofiles = "profiles"\n[broker]\nhost = "127.0.0.1"\n[journal]\npath = "j.db"\n'
        '[[devices]]\nname = "rig"\nprofile = "rig"\ndriver = "modbus"\nhazard_source = "h"\n'
        'address = "192.0.2.1:502"\n'
    )
    return config


@pytest.mark.parametrize(
    ("requests", "code", "out", "err"),
    [
        (34, OK, "busy 68%", ""),
        (36, OK, "warning: a line above 70%", ""),
        (51, BAD_INPUT, "busy 102%", "round_trip_ms"),
    ],
)
def test_check_warns_from_70_percent_and_refuses_above_100(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], requests: int, code: int, out: str, err: str
) -> None:
    assert main(["check", str(config_with(tmp_path, requests))]) == code
    said = capsys.readouterr()
    assert out in said.out
    assert err in said.err
    assert ("warning: a line" in said.out) == (requests > 35)
