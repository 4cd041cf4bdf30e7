"""What a person's edit of a tag asks for: from the record that says it to the settings it wants. Pure.

| op | says | wants |
| --- | --- | --- |
| limits | the tag's limits, all of them | the settings in force with these limits |
| verify | a kind of limit or warning | the same settings, its source verified by this person (SAFETY S30) |
| accept | a proposal | the proposal's settings |

Whoever edits says which version they saw (`base`): an edit of an older one is refused, not merged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from davylamp_alarms.definition import Changes
from davylamp_alarms.migration import TABLE, Decision, Edit
from davylamp_alarms.transition import Refusal, Why
from davylamp_wire.point import Limit, LimitKind

from davylamp_cloud.registered import Proposal, Tag
from davylamp_cloud.settings import Settings, differences, keep_verified

DIRECT = frozenset({"limits", "verify"})
"""Edits that name their tag; the others name a proposal."""

SETTINGS = {
    "hazard_source": Edit.INSTRUMENT,
    "kind": Edit.INSTRUMENT,
    "silence_s": Edit.INSTRUMENT,
    "scan_s": Edit.INSTRUMENT,
    "unit": Edit.INSTRUMENT,
}
"""Settings that are no limit, by the row of the migration table: history and hash chain are laid out by them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an edit wants of a tag, and what the engine would have to change for it."""

    tag: Tag
    wanted: Settings
    changes: Changes

    @property
    def idle(self) -> bool:
        """Whether this is what is in force already."""
        return self.wanted == self.tag.settings


def wanted_of(seq: int, said: Mapping[str, Any], tag: Tag, proposal: Proposal | None, at_ms: int) -> Settings | Refusal:
    """Return the settings an edit wants; refused where it was made against others, or wants what nobody may change.

    Raises ValueError where the record does not hold an edit.
    """
    base = said.get("base")
    if base is not None and int(base) != tag.version:
        zh = f"位号 {tag.tag_id} 的设置已是第 {tag.version} 版，你看到的是第 {base} 版：请重新查看后再修改"
        en = f"{tag.tag_id} is at version {tag.version}, you saw version {base}: look again, then decide"
        return Refusal(seq, Why.STALE_VERSION, zh, en)
    wanted = _wanted(seq, said, tag, proposal, at_ms)
    return wanted if isinstance(wanted, Refusal) else _fixed(seq, tag, wanted) or wanted


def _wanted(seq: int, said: Mapping[str, Any], tag: Tag, proposal: Proposal | None, at_ms: int) -> Settings | Refusal:
    live = tag.settings
    if proposal is not None:
        return keep_verified(live, proposal.settings)
    if said["op"] == "verify":
        return _verified(seq, said, live, at_ms)
    if live.local:
        zh = f"{tag.tag_id} 的限值由边缘站 {tag.node} 判定：请在该边缘站的配置或设备模板中修改，然后重新加载（SIGHUP）"
        en = f"{tag.tag_id} is decided at its edge {tag.node}: change the limit in that edge's config, then reload it"
        return Refusal(seq, Why.BAD_EDIT, zh, en)
    limits = {LimitKind(kind): Limit.model_validate(limit) for kind, limit in said["limits"].items()}
    return keep_verified(live, live.model_copy(update={"limits": limits}))


def _verified(seq: int, said: Mapping[str, Any], live: Settings, at_ms: int) -> Settings | Refusal:
    kind, when = str(said["kind"]), datetime.fromtimestamp(at_ms / 1000, UTC).date()
    seen = {"verified_by": str(said["by"]), "verified_on": when}
    limit = live.limits.get(LimitKind(kind)) if kind in LimitKind.__members__ else None
    warning = live.warnings.get(kind.lower())
    if limit is not None:
        kept = limit.model_copy(update={"source": limit.source.model_copy(update=seen)})
        limits = {**live.limits, LimitKind(kind): kept}
        return live if limit.source.verified else live.model_copy(update={"limits": limits})
    if warning is not None:
        rule = warning.model_copy(update={"source": warning.source.model_copy(update=seen)})
        warnings = {**live.warnings, kind.lower(): rule}
        return live if warning.source.verified else live.model_copy(update={"warnings": warnings})
    return Refusal(seq, Why.UNKNOWN, f"该位号没有限值 {kind}", f"the tag has no limit {kind}")


def _fixed(seq: int, tag: Tag, wanted: Settings) -> Refusal | None:
    """Refuse what a tag keeps for life."""
    moved = [name for name, _, _ in differences(tag.settings, wanted) if name in SETTINGS]
    refused = [name for name in moved if max(TABLE[SETTINGS[name]].values()) is Decision.REFUSE]
    if not refused:
        return None
    names = ", ".join(refused)
    zh, en = f"位号的 {names} 不能更改，请按新设备接入", f"{names} of a tag cannot change; install a new device"
    return Refusal(seq, Why.BAD_EDIT, zh, en)
