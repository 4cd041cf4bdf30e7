"""From an integrator's point list (点表) to a device that can be polled: a profile, and its place in the config.

    list ─ sheet ─► headings ─► points ─► draft ─► profiles/imported/<device>.toml, and [[devices]] in the config

The plant's tag names are kept verbatim. Nothing is written before the whole of it was read by the same check that the
agent starts with; what stands in the config already is never touched.
"""

import contextlib
import functools
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from davylamp_wire.config import SLUG, ConfigError, Mistake, in_chinese, mistaken, read_toml

from davylamp_edge.check import load_edge
from davylamp_edge.point_list.addresses import first_of, modbus_address
from davylamp_edge.point_list.draft import profile_text, table_text
from davylamp_edge.point_list.headings import Line, Table, table_of
from davylamp_edge.point_list.points import Points, points_of
from davylamp_edge.point_list.sheet import other_sheets, read_sheet

FAMILY = "imported"
SHOWN = 5
"""Most tags named in one remark."""

NEW_CONFIG = """\
# Written by `davylamp-edge import`; every key is explained in edge/example.toml. 由点表导入生成。
node = "edge-1"
profiles = "profiles"

[broker]
host = "127.0.0.1"

[journal]
path = "journal/edge-1.db"

[status]
port = 8081
"""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks to be imported, and what the list does not say."""

    file: Path
    config: Path
    device: str
    hazard_source: str
    address: str
    driver: str = "modbus"
    sheet: str | None = None
    station: int | None = None
    type: str | None = None
    first: int | None = None
    leave: tuple[str, ...] = ()
    """Headings of columns that are left out, though they may hold limits."""


def import_list(asked: Request) -> Iterator[str]:
    """Write the profile and the device; yield what a person should know. Raises: ConfigError, and writes nothing."""
    _refuse_names(asked)
    profile = _profile_path(asked)
    config = asked.config.read_text(encoding="utf-8") if asked.config.exists() else NEW_CONFIG
    table = _table(asked)
    lines, station = _of_station(asked, table)
    points = points_of([_typed(line, asked.type) for line in lines], asked.driver, _locate(asked), asked.file)
    if not points.found:
        en = f"{asked.file}: has headings and no line below them; nothing to import"
        raise mistaken(en, f"{asked.file}：表头下面没有测点，无可导入")
    text = profile_text(
        (asked.device, asked.device), f"From {asked.file.name} by `davylamp-edge import`.", points.found
    )
    _write_both(asked.config, config + table_text("[[devices]]", _device(asked, station)), profile, text)
    yield from _remarks(asked, table, points, profile)


def _refuse_names(asked: Request) -> None:
    """Raise a ConfigError for a name that cannot be part of a tag's id."""
    said = {"--device": asked.device, "--hazard-source": asked.hazard_source}
    wrong = [
        Mistake(
            f"{option}: {name!r} cannot be in a tag's id; write letters, digits, - and _ only, at most 64",
            f"{option}：{name!r} 不能用在位号标识中；只写字母、数字、- 和 _，至多 64 个",
        )
        for option, name in said.items()
        if not _is_slug(name)
    ]
    if wrong:
        en = "the Chinese name of a device has its place in the profile: zh, its first line"
        raise ConfigError([*wrong, Mistake(en, "设备的中文名称写在模板里：第一行 zh")])


def _is_slug(name: str) -> bool:
    return re.fullmatch(SLUG, name) is not None


def _table(asked: Request) -> Table:
    rows = read_sheet(asked.file, asked.sheet)
    try:
        return table_of(rows, str(asked.file), asked.leave)
    except ConfigError as error:
        others = other_sheets(asked.file, asked.sheet)
        if not others:
            raise
        en = f"{asked.file}: has other sheets: {', '.join(others)}; name the one that has the points with --sheet"
        zh = f"{asked.file}：另有工作表 {'、'.join(others)}；请用 --sheet 指明测点所在的一张"
        raise ConfigError([*error.mistakes, Mistake(en, zh)]) from None


def _profile_path(asked: Request) -> Path:
    """Return where the profile goes: among the config's own profiles, replacing none."""
    folder: object = "profiles"
    if asked.config.exists():
        folder = read_toml(asked.config).get("profiles")
        if not isinstance(folder, str):
            en = f'{asked.config}: profiles: is missing; write profiles = "profiles" near its top'
            raise mistaken(en, f'{asked.config}：缺少 profiles；请在文件开头写 profiles = "profiles"')
    path = asked.config.parent / str(folder) / FAMILY / f"{asked.device}.toml"
    if path.exists():
        en = f"{path}: is there already; delete it with its [[devices]], or give another --device"
        raise mistaken(en, f"{path}：已存在；请连同配置里的 [[devices]] 一起删去，或换一个 --device")
    return path


def _of_station(asked: Request, table: Table) -> tuple[list[Line], int | None]:
    """Return the lines of one station: a device is one unit of one line."""
    said = sorted({line.cells["station"] for line in table.lines if "station" in line.cells})
    has, file = ", ".join(said), asked.file
    if asked.station is None and len(said) > 1:
        en = f"{file}: has stations {has}; import each by itself with --station"
        raise mistaken(en, f"{file}：有站号 {has}；请用 --station 逐个导入")
    wanted = str(asked.station) if asked.station is not None else (said or [""])[0]
    if asked.station is not None and said and wanted not in said:
        raise mistaken(f"{file}: has no station {wanted}; it has {has}", f"{file}：没有站号 {wanted}；现有 {has}")
    if wanted and not wanted.isdigit():
        raise mistaken(
            f"{file}: station {wanted!r} is no number; write 0 to 255",
            f"{file}：站号 {wanted!r} 不是数字；请写 0 至 255",
        )
    lines = [line for line in table.lines if line.cells.get("station", wanted) == wanted]
    return lines, int(wanted) if wanted else None


def _typed(line: Line, default: str | None) -> Line:
    return line if default is None or "type" in line.cells else Line(line.number, {**line.cells, "type": default})


def _locate(asked: Request) -> Any:
    return functools.partial(_modbus, asked.first) if asked.driver == "modbus" else _verbatim


def _modbus(first: int | None, cells: Mapping[str, str]) -> str:
    place, _ = first_of(cells["address"])
    return modbus_address(place, cells.get("function", ""), first)


def _verbatim(cells: Mapping[str, str]) -> str:
    return cells["address"]


def _device(asked: Request, station: int | None) -> dict[str, Any]:
    device: dict[str, Any] = {
        "name": asked.device,
        "profile": asked.device,
        "driver": asked.driver,
        "hazard_source": asked.hazard_source,
        "address": asked.address,
    }
    return device if station is None else {**device, "unit": station}


def _write_both(config: Path, config_text: str, profile: Path, text: str) -> None:
    """Write both, checked together beforehand beside where they go; either both are there afterwards or neither."""
    draft = config.with_name(f".{config.name}.import")
    try:
        profile.parent.mkdir(parents=True, exist_ok=True)
        profile.write_text(text, encoding="utf-8")
        draft.write_text(config_text, encoding="utf-8")
        load_edge(draft)
        if config.exists():
            shutil.copymode(config, draft)
        os.replace(draft, config)
    except BaseException as error:
        with contextlib.suppress(OSError):
            profile.unlink(missing_ok=True)
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            en = f"{error.filename} cannot be written ({error.strerror}); name another --config, or mend its profiles"
            zh = f"无法写入 {error.filename}（{error.strerror}）；请换一个 --config，或改正其中的 profiles"
            raise mistaken(en, zh) from None
        if isinstance(error, ConfigError):
            raise ConfigError(_renamed(line, str(draft), str(config)) for line in error.mistakes) from None
        raise


def _renamed(line: str, draft: str, config: str) -> str:
    en = line.replace(draft, config)
    return Mistake(en, in_chinese(line).replace(draft, config)) if isinstance(line, Mistake) else en


def _remarks(asked: Request, table: Table, points: Points, profile: Path) -> Iterator[str]:
    yield f"{len(points.found)} points (测点): {profile}"
    yield f"device {asked.device!r} added to {asked.config} (已写入设备)"
    if table.unknown:
        yield f"  columns left out, their headings are not known (略去的列): {', '.join(table.unknown)}"
    if others := other_sheets(asked.file, asked.sheet):
        yield f"  sheets not read; where they hold points, import each with --sheet (未读的工作表): {', '.join(others)}"
    for en, zh, tags in (
        (
            "taken for gas detectors by their unit; column 类别/kind says otherwise",
            "按单位当作气体探测器",
            points.guessed_gas,
        ),
        ("gas detectors without any limit", "气体探测器没有限值", points.unguarded_gas),
        ("measured values without any limit: watched, never alarmed", "没有限值，永不报警", points.unlimited),
        ("tags that only case or width tells apart", "仅大小写或全半角不同的位号", points.alike),
        (
            "whole numbers without a scale (系数): shown as they come, even if they are counts or mA",
            "整数而无系数",
            points.unscaled,
        ),
        (
            "named in one language only, shown in both; write the other (zh, en) in the profile",
            "只有一种语言的名称",
            points.one_language,
        ),
        (
            "with limits and no first action: general words stand in, write the site's own",
            "有限值而无处置措施",
            points.no_action,
        ),
    ):
        if tags:
            more = f" and {len(tags) - SHOWN} more" if len(tags) > SHOWN else ""
            yield f"  {len(tags)} {en} ({zh}): {', '.join(tags[:SHOWN])}{more}"
    yield f"  alarms call the device {asked.device!r}; write its names (设备名) into the profile's first lines (zh, en)"
    yield f"next (下一步): davylamp-edge check {asked.config}"
