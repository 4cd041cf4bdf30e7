"""From the form of a tag's limits to what an edit says: what the form does not show stays as it is in force."""

from typing import Any

from davylamp_wire.point import LimitKind

from davylamp_cloud.api.catalogue import Entry
from davylamp_cloud.api.edits import limits_view
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.console.answers import Form

NUMBERS = ("value", "deadband", "on_delay_s", "off_delay_s")
SOURCE = ("standard", "clause", "edition", "basis")
SHOWN = ("value", "deadband", "on_delay_s", "off_delay_s", "latch", "priority", "source", "action")
HANDLING = ("cause", "consequence", "respond_s")


def limits_of_form(parts: Parts, entry: Entry, form: Form) -> dict[str, Any]:
    """Return version and limits as a form has them; a limit whose value is emptied is to go."""
    live = {kind: one.model_dump(mode="json") for kind, one in limits_view(parts, entry).limits.items()}
    kept = {str(kind): _limit(form, str(kind), live[kind]) for kind in live if form.get(f"{kind}.value")}
    new = form.get("new.kind", "")
    if new in LimitKind.__members__ and form.get("new.value"):
        kept[new] = _limit(form, "new", {})
    return {"version": form.get("version"), "limits": kept}


def _limit(form: Form, name: str, live: dict[str, Any]) -> dict[str, Any]:
    """Return one limit: the form's fields, and of what is in force whatever the form does not ask for."""
    said = {field: form[f"{name}.{field}"] for field in NUMBERS if form.get(f"{name}.{field}")}
    source = {field: form.get(f"{name}.{field}", "") for field in SOURCE}
    action = {tongue: form.get(f"{name}.action_{tongue}", "") for tongue in ("zh", "en")}
    return {
        **{field: live.get(field) for field in HANDLING},
        **said,
        "latch": f"{name}.latch" in form,
        "priority": form.get(f"{name}.priority") or None,
        "source": source,
        "action": action if any(action.values()) else None,
    }
