"""What a statistical rule shows of a tag, for whoever reads its warning."""

import numpy as np

from davylamp_alarms.definition import Kind
from davylamp_alarms.evidence import evidence_text
from davylamp_alarms.memory import Memory
from davylamp_alarms.sight import ahead_of, device_of, full_name, wanted
from davylamp_alarms.warner import Warner
from davylamp_alarms.warning import Bank


def evidence_now(memory: Memory, tag: int, kind: Kind) -> str:
    """Return what a rule shows of a tag now, as JSON text; one that fails at it is left out, and nothing is shown."""
    warner = memory.early.holder(tag, kind)
    if warner is None or warner.bank is None:
        return ""
    try:
        return _evidence(memory, warner, warner.bank, tag)
    except Exception as error:  # the warning itself is told all the same
        warner.fail(error)
        return ""


def shown(memory: Memory, tag: int, kind: Kind) -> tuple[str, str]:
    """Return what a rule shows of a tag now, and what it failed by; nothing changes."""
    warner = memory.early.holder(tag, kind)
    if warner is None or warner.bank is None:
        return "", "" if warner is None else warner.failure
    try:
        return _evidence(memory, warner, warner.bank, tag), ""
    except Exception as error:  # asked once more where it would raise, it says so by its alarm
        return "", str(error)


def _evidence(memory: Memory, warner: Warner, bank: Bank, tag: int) -> str:
    names, at = memory.layout.names.values, np.array([tag], np.int32)
    inputs = [full_name(name, device_of(names[tag])) for name in warner.inputs]
    row, ahead_ms = int(warner.members.find(at)[0]), int(ahead_of(memory, warner, at)[0])
    limits = _limits(memory, tag, warner.kind)
    return evidence_text(warner.rule, bank, row, names[tag], inputs, limits, ahead_ms)


def _limits(memory: Memory, tag: int, kind: Kind) -> dict[str, float]:
    """Return the limits that a tag's trend is held against, by kind."""
    towards = wanted(memory, tag, kind).towards
    rows = {str(name): row for name in towards if (row := memory.layout.row(tag, name)) is not None}
    return {name: float(memory.layout.rows.limit[row]) for name, row in rows.items()}
