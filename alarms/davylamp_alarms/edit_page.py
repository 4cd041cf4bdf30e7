"""Draws docs/edits.md from the migration table: ``python -m davylamp_alarms.edit_page``."""

from pathlib import Path

from davylamp_alarms.migration import TABLE, Decision, Edit, Place

EDITS = {
    Edit.LIMIT: ("限值", "limit value"),
    Edit.DEADBAND: ("回差", "deadband"),
    Edit.ON_DELAY: ("报警延时", "on-delay"),
    Edit.OFF_DELAY: ("恢复延时", "off-delay"),
    Edit.LATCH: ("锁存", "latch"),
    Edit.PRIORITY: ("级别", "priority"),
    Edit.POSITION: ("岗位", "operating position"),
    Edit.ADDED: ("新增报警", "alarm added"),
    Edit.REMOVED: ("删除报警", "alarm removed"),
    Edit.TEXT: ("仅文字、依据", "texts and source only"),
    Edit.RULE: ("统计规则的设置", "settings of a statistical rule"),
    Edit.INSTRUMENT: ("危险源、类型、扫描周期、静默时间", "hazard source, kind, scan, silence"),
}

PLACES = {
    Place.NORMAL: ("正常", "normal"),
    Place.PENDING: ("报警延时中", "on-delay running"),
    Place.ACTIVE: ("报警中", "active"),
    Place.CLEARING: ("恢复延时中", "off-delay running"),
    Place.RETURNED: ("已恢复未确认", "returned, unacknowledged"),
    Place.ACKNOWLEDGED: ("已确认", "acknowledged"),
    Place.LATCHED: ("锁存", "latched"),
    Place.HIDDEN: ("搁置、抑制、停用", "shelved, masked, out of service"),
    Place.LATE: ("补报", "late lane"),
}

HEAD = """# Edits and standing alarms 限值修改与正在持续的报警

Drawn from the table in `alarms/davylamp_alarms/migration.py` by `python -m davylamp_alarms.edit_page`;
a test keeps it so. Do not edit by hand.

An alarm keeps its state by its id, `<tag>#<KIND>`. Nobody loses an occurrence, an acknowledgement, a latch, a shelf or
a running delay because something else about the alarm was saved. An alarm that stands in several columns, or an edit
that differs in several rows, goes by the strictest cell.
"""

TAIL = """- **keep**: occurrence, acknowledgement, latch and every running delay stay as they are. Where it stands,
  one `updated` transition says who changed what. A delay that runs keeps its start and ends by its new length.
- **re_evaluate**: the present value is held against the new limit now. A raise that follows counts from the edit; a
  running on-delay keeps its start while the value is beyond the new limit, and only a good value gives it up.
- **judge**: kept where the present value still holds the alarm by the new limit; closed where the edit alone would end
  it. Where the value is bad, a laxer limit counts as ending it; a doubtful value beyond the new limit holds it.
- **close**: needs two persons; journaled as "closed by limit change" (SAFETY S20). By one person it is refused whole.
- **refuse**: install a new device instead. History, chain and columns are laid out by it.

Saving what is in force already, a new profile version, a rebirth under other aliases, limits in another order: nothing
differs, so nothing happens. A latch switched on holds from the next raise; one switched off leaves what is latched.

Alarms of `local` points are decided by their edge, and their limits are changed there (decision 0024): its birth puts
them in force, and what stands is left by the figures it was entered by. Who decides an alarm changes nothing else.

A changed setting of a statistical rule begins that rule's memory anew, and that of no other; a changed limit of it does
not. What stands goes on standing until the rule finds it gone.

Another range (a replaced instrument, SAFETY S19) moves the over-range limit like any other limit.

A tag keeps its unit for life (SAFETY S10). What a birth says in another one is not compared with limits in the old one:
its readings are bad ("its device says another unit than its limits"), the tag's FAULT alarm is raised, nothing clears.
The way out is the old unit in the profile, or another point (or device) name for what is measured now. Another spelling
(`m³` and `m3`, `℃` and `°C`) is the same unit. History keeps the values as they came.

`POST /api/v1/tags/{index}/limits/preview` and the console show all this per alarm before anything is saved.
"""


def page() -> str:
    """Return the page."""
    columns = [f"{zh} {en}" for zh, en in PLACES.values()]
    lines = [f"| | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
    for edit, (zh, en) in EDITS.items():
        lines.append(f"| {zh} {en} | {' | '.join(_cell(TABLE[edit][place]) for place in PLACES)} |")
    return "\n".join([HEAD, *lines, "", TAIL])


def _cell(decision: Decision) -> str:
    return decision.word


if __name__ == "__main__":
    Path("docs/edits.md").write_text(page(), encoding="utf-8")
