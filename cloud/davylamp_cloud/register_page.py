"""What ``davylamp-cloud check`` says of the tags a cloud has registered: the linter's findings, and what is owed."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from davylamp_wire.finding import Finding
from davylamp_wire.owed import owed
from davylamp_wire.point import Point
from sqlalchemy import select

from davylamp_cloud.judged import as_set, described_points, judged
from davylamp_cloud.log import Log
from davylamp_cloud.store import schema
from davylamp_cloud.store.settings import all_settings
from davylamp_cloud.store.state import State

SEVERITIES = {"error": "错误", "warning": "警告"}


def register_lines(data_dir: Path, language: str) -> Iterator[str]:
    """Yield a line per finding of every registered tag, then the lists of what is owed; nothing where no cloud ran.

    Only reading connections are used: the cloud may run meanwhile.
    """
    if not all((data_dir / name).is_file() for name in ("state.db", "log.db")):
        return
    state, log = State(data_dir / "state.db", looking=True), Log(data_dir / "log.db", looking=True)
    try:
        points = list(registered(log, state))
    finally:
        log.close()
        state.close()
    yield f"{'已登记位号' if language == 'zh' else 'registered tags'}: {len(points)}"
    yield from findings(points, language)
    yield from owed(points)


def registered(log: Log, state: State) -> Iterator[tuple[str, Point]]:
    """Yield every tag with its point as it is in force; equal ones are one object."""
    tags, limits = schema.TAGS, schema.LIMITS
    query = select(tags.c.tag_id, tags.c.node, tags.c.device, tags.c.point, limits.c.settings)
    query = query.select_from(tags.join(limits, tags.c.idx == limits.c.tag)).where(limits.c.to_seq.is_(None))
    with state.reading() as connection:
        settings, rows = all_settings(connection), connection.execute(query.order_by(tags.c.idx)).all()
    said = described_points(log)
    made: dict[tuple[int, str], Point] = {}
    for tag_id, node, device, name, key in rows:
        point = said.get((node, device), {}).get(name)
        whose = (id(point), key)
        if whose not in made:
            made[whose] = as_set(point, settings[key])
        yield tag_id, made[whose]


def findings(points: Iterable[tuple[str, Point]], language: str) -> Iterator[str]:
    """Yield one line per finding; what many tags share is judged once."""
    known = {id(point): judged(point) for _, point in points}
    for tag_id, point in points:
        found = known[id(point)]
        for severity, those in (("error", found.errors), ("warning", found.warnings)):
            yield from (f"  {_told(severity, tag_id, one, language)}" for one in those if one.key != "limits")


def _told(severity: str, tag_id: str, one: Finding, language: str) -> str:
    if language == "zh":
        return f"{SEVERITIES[severity]} {tag_id} {one.key}：{one.zh}"
    return f"{severity}: {tag_id} {one}"
