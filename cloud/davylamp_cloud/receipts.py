"""What the log says of notices that were sent: nothing is told twice, and what receivers were told is not forgotten.

Where state.db was put back from an older copy, or is gone, the log still has what came of each notice. Pure but for
the records.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from davylamp_cloud.log import Record
from davylamp_cloud.resumption import FIELDS

NORMAL = "A"
KNOWN = frozenset({*FIELDS, "letter", "seq", "time_ms"} - {"acknowledged_ms"})
"""What a notice says of each alarm."""

SETTLED = ("delivered", "failed")
Receipt = tuple[str, str]
"""Transition and receiver."""


def settled(records: Iterable[Record]) -> dict[Receipt, Mapping[str, Any]]:
    """Return what came of each notice that is not tried any more."""
    said = (json.loads(record.body) for record in records)
    return {(one["transition"], one["receiver"]): one for one in said if one["status"] in SETTLED}


def as_settled(row: dict[str, Any], receipts: Mapping[Receipt, Mapping[str, Any]]) -> dict[str, Any]:
    """Return an outbox row as it is once what came of its notice is known."""
    said = receipts.get((row["transition"], row["receiver"]))
    if said is None:
        return {**row, "delivered_ms": None}
    delivered_ms = said["at_ms"] if said["status"] == "delivered" else None
    return {**row, "state": said["status"], "attempts": said["attempts"], "delivered_ms": delivered_ms}


def told_of(body: bytes) -> dict[str, Any]:
    """Return what a notice says of its alarm that an occurrence is made of again; nothing where it does not say all.

    It does not say when somebody acknowledged: that was before it, and from then on counts when a red is heard again.
    """
    data = json.loads(body).get("data", {})
    if any(name not in data for name in KNOWN):
        return {}  # not in the form of this version
    said = {name: data.get(name) for name in (*FIELDS, "letter", "seq")}
    return {**said, "acknowledged_ms": data["time_ms"] if data["acknowledged"] else None}


def told_standing(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return the alarms that stand by what receivers were told last."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        told = json.loads(record.body).get("told")
        if told:
            key = (told["alarm_id"], told["lane"])
            known = newest.get(key)
            if known is None or known["occurrence"] != told["occurrence"] or known["version"] < told["version"]:
                newest[key] = told
    return [told for told in newest.values() if told["letter"] != NORMAL]


def newest_told(records: Iterable[Record]) -> int:
    """Return the newest record that is known to have been evaluated: a receiver was told of it; 0 where none was."""
    said = (json.loads(record.body).get("told") for record in records)
    return max((int(told["seq"]) for told in said if told), default=0)


def standing_by_both(stored: Iterable[Mapping[str, Any]], told: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return what stands by an older state.db and by what was told; of one alarm the later word counts."""
    rows = {(row["alarm_id"], row["lane"]): row for row in (*stored, *told)}
    return list(rows.values())
