"""What is wrong with a beacon in a config; above all, that its relay module is a device of the plant (SAFETY S28)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from davylamp_wire.config import Mistake, placed
from davylamp_wire.point import Point
from davylamp_wire.profile import Profile

from davylamp_edge.beacon.asking import LONGEST_PATH, socket_of
from davylamp_edge.drivers.modbus import ModbusDriver
from davylamp_edge.drivers.modbus_address import line_of, numbers_answers, parse_address


def beacon_mistakes(
    table: Mapping[str, Any], devices: Sequence[Mapping[str, Any]], profiles: Mapping[str, Profile]
) -> Iterator[str]:
    """Yield one line per mistake of sense, each with its key; mistakes of shape are the model's."""
    beacon = table.get("beacon")
    if not isinstance(beacon, dict):
        return
    address = beacon.get("address")
    if isinstance(address, str):
        yield from _address_mistakes(address, beacon.get("unit", 1), devices)
    if table.get("one_way") is True and beacon.get("engine", "both") != "local":
        en = 'beacon.engine: with one_way the engine of the cloud is never heard; write engine = "local"'
        yield Mistake(en, 'beacon.engine：one_way 下听不到云端的报警引擎；请写 engine = "local"')
    if beacon.get("engine") == "local" and not any(_decides(device, profiles) for device in devices):
        en = 'beacon.engine: no point has local = true, nothing is decided here; mark some, or write engine = "cloud"'
        yield Mistake(en, 'beacon.engine：没有测点设 local = true，本地不作判断；请设若干，或写 engine = "cloud"')
    journal = table.get("journal")
    yield from _path_mistakes(journal.get("path") if isinstance(journal, dict) else None)


def _address_mistakes(address: str, unit: object, devices: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if wrong := ModbusDriver.wrong_address(address):
        yield placed("beacon.address", wrong)
        return
    if unit == 0 and not numbers_answers(parse_address(address)):
        en = "beacon.unit: 0 is every device of a serial line, and nobody answers; give the module's own, 1 to 247"
        yield Mistake(en, "beacon.unit：0 表示串行线上的所有设备，无人应答；请写继电器模块自己的站号，1 至 247")
    for device in devices:
        if device.get("driver") == "modbus" and line_of(str(device.get("address"))) == line_of(address):
            name = repr(device.get("name", "?"))
            yield Mistake(
                f"beacon.address: {address!r} is polled as device {name}, and Davylamp writes to"
                " no plant; give the beacon a relay module on a connection of its own",
                f"beacon.address：{address!r} 是被采集的设备 {name}，Davylamp 不向现场写入；"
                "请给声光报警器一个单独连接的继电器模块",
            )


def _decides(device: Mapping[str, Any], profiles: Mapping[str, Profile]) -> bool:
    """Return whether alarms of a device are decided at this edge, the site's overrides included."""
    profile, said = profiles.get(str(device.get("profile"))), device.get("points")
    points = {} if profile is None else profile.points
    overrides = said if isinstance(said, dict) else {}
    return any(_local(point, overrides.get(name)) for name, point in points.items())


def _local(point: Point, override: object) -> bool:
    return bool(override.get("local", point.local)) if isinstance(override, dict) else point.local


def _path_mistakes(journal: object) -> Iterator[str]:
    if isinstance(journal, str):
        path = socket_of(Path(journal).absolute())
        if len(bytes(path)) > LONGEST_PATH:
            en = f"journal.path: the beacon is asked at {path}, longer than {LONGEST_PATH} bytes; choose a shorter one"
            yield Mistake(en, f"journal.path：声光报警器的询问路径 {path} 超过 {LONGEST_PATH} 字节；请用短些的路径")
