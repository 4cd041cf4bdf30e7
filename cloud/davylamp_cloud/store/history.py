"""A position's transitions as columns for its KPIs, read from one index alone (``transitions_by_alarm``).

A month of storms is a million rows, and a million rows are seconds in Python: SQLite hands over each alarm's as one
text of numbers, and NumPy reads that.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from davylamp_alarms.batch import Ints
from davylamp_alarms.performance.kpis import Columns
from sqlalchemy import Connection, Row, text

from davylamp_cloud.store.what import (
    ACTED_BIT,
    ANNUNCIATED_BIT,
    END_BIT,
    ENDED_BIT,
    HIDDEN_BIT,
    PRIORITY_BIT,
    RAISED_BIT,
    WHAT,
)

OWN = "FROM transitions WHERE alarm_id = alarm AND at_ms >="

QUERY = text(f"""
WITH RECURSIVE names(alarm) AS (
    SELECT :position
    UNION ALL
    SELECT (SELECT min(alarm_id) FROM transitions WHERE alarm_id > max(alarm, :low) AND alarm_id < :high)
    FROM names WHERE alarm IS NOT NULL
)
SELECT
    alarm,
    (SELECT json_array(at_ms, seq, source_no) {OWN} :since_ms AND at_ms < :to_ms
     ORDER BY at_ms, seq, source_no LIMIT 1) AS first,
    (SELECT at_ms * {END_BIT} + {WHAT} {OWN} :since_ms AND at_ms < :from_ms AND {WHAT} & {RAISED_BIT + ENDED_BIT}
     ORDER BY at_ms DESC, seq DESC, source_no DESC LIMIT 1) AS before,
    (SELECT group_concat(code) FROM (
        SELECT at_ms * {END_BIT} + {WHAT} AS code {OWN} :from_ms AND at_ms < :to_ms ORDER BY at_ms, seq, source_no
    )) AS codes
FROM names WHERE first IS NOT NULL
""")
"""Alarms are found by leaping through the index. SQLite keeps a subquery's order for an aggregate that depends on it;
to ask for that order by name needs SQLite 3.44, and Debian 12 has 3.40."""


@dataclass(frozen=True, slots=True)
class History:
    """Transitions of one position as columns; `alarms` are the ids behind their numbers, in the order they came."""

    columns: Columns
    alarms: tuple[str, ...]


def history(connection: Connection, position: str, from_ms: int, to_ms: int, since_ms: int) -> History:
    """Return a position's transitions of ``from_ms <= at < to_ms``, alarm by alarm in the order of the log.

    Before them comes of each alarm its last raise or end since `since_ms`: it tells whether the alarm stood.
    """
    asked = {"position": position, "low": f"{position}/", "high": f"{position}0"}  # "0" is what follows "/"
    rows = connection.execute(QUERY, {**asked, "from_ms": from_ms, "to_ms": to_ms, "since_ms": since_ms}).all()
    return _columns(sorted(rows, key=lambda row: (json.loads(row.first), row.alarm)))


def _columns(rows: Sequence[Row[Any]]) -> History:
    said = [_joined(row.before, row.codes) for row in rows]
    codes = np.fromstring(",".join(filter(None, said)), np.int64, sep=",")
    lengths = [one.count(",") + 1 if one else 0 for one in said]
    return History(_taken_apart(codes, np.repeat(np.arange(len(rows)), lengths)), tuple(row.alarm for row in rows))


def _joined(before: int | None, codes: str | None) -> str:
    return ",".join(str(part) for part in (before, codes) if part is not None)


def _taken_apart(codes: Ints, alarm: Ints) -> Columns:
    bits = (ANNUNCIATED_BIT, RAISED_BIT, ENDED_BIT, HIDDEN_BIT, ACTED_BIT)
    flags = [(codes & bit) != 0 for bit in bits]
    return Columns(codes // END_BIT, alarm, codes % END_BIT // PRIORITY_BIT, *flags)
