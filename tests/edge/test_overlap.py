"""Points that read the same place: `check` asks whether an address or a unit is a slip."""

from pathlib import Path

from davylamp_edge.check import load_edge
from davylamp_edge.summary import summarise

CONFIG = """
node = "edge-1"
profiles = "profiles"
[broker]
host = "127.0.0.1"
[journal]
path = "journal.db"
"""
DEVICE = """
[[devices]]
name = "{name}"
profile = "tank"
driver = "modbus"
hazard_source = "store-1"
address = "127.0.0.1:502"
unit = {unit}
"""


def warned(folder: Path, points: dict[str, tuple[str, str]], *devices: tuple[str, int]) -> list[str]:
    profile = folder / "profiles" / "x" / "tank.toml"
    profile.parent.mkdir(parents=True, exist_ok=True)
    texts = ['zh = "罐"', 'en = "tank"']
    for name, (kind, address) in points.items():
        texts += [f"[points.{name}]", f'zh = "{name}"', f'en = "{name}"', 'unit = ""', f'type = "{kind}"']
        texts += [f'address = {{modbus = "{address}"}}']
    profile.write_text("\n".join(texts), encoding="utf-8")
    config = folder / "edge.toml"
    config.write_text(CONFIG + "".join(DEVICE.format(name=name, unit=unit) for name, unit in devices), encoding="utf-8")
    return [line.strip() for line in summarise(*load_edge(config)) if "both read" in line or "more likewise" in line]


def test_a_float_that_reaches_into_the_next_one_is_said(tmp_path: Path) -> None:
    points = {"a": ("float32", "holding:0"), "b": ("float32", "holding:1"), "c": ("float32", "holding:3")}
    (line,) = warned(tmp_path, points, ("tank-1", 1))
    assert "tank-1/a (holding:0) and tank-1/b (holding:1) both read holding of unit 1" in line


def test_a_copied_device_whose_unit_was_forgotten_is_said(tmp_path: Path) -> None:
    points = {"level": ("float32", "holding:0"), "run": ("bool", "coil:0")}
    lines = warned(tmp_path, points, ("tank-1", 1), ("tank-2", 1))
    assert len(lines) == 2
    assert all("tank-1" in line and "tank-2" in line for line in lines)
    assert not warned(tmp_path, points, ("tank-1", 1), ("tank-2", 2))


def test_parts_of_a_register_may_be_shared(tmp_path: Path) -> None:
    points = {
        "a": ("bool", "holding:0.3"),
        "b": ("bool", "holding:0.3"),
        "word": ("uint16", "holding:0"),
        "any": ("bool", "holding:0"),
    }
    assert not warned(tmp_path, points, ("tank-1", 1))


def test_of_many_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    points = {f"p{n}": ("uint16", f"holding:{n}") for n in range(8)}
    assert warned(tmp_path, points, ("tank-1", 1), ("tank-2", 1))[-1].startswith("warning: and 3 more likewise")
