"""Checking the hash chains of a state.db, also one somebody hands in as evidence (SAFETY S29)."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Select, select

from davylamp_cloud.chain import Break, first_break
from davylamp_cloud.store import schema
from davylamp_cloud.store.migrate import later_defaults
from davylamp_cloud.store.state import State
from davylamp_cloud.store.writes import AUDIT_CHAIN, load_heads


def verify_chain(state: State) -> Break | None:
    """Return the first row that was edited, deleted or inserted, over all chains; None where all hold."""
    transitions, audit = schema.TRANSITIONS, schema.AUDIT
    later = {table.name: later_defaults(table) for table in (transitions, audit)}
    with state.reading() as connection:
        heads = load_heads(connection)
        used = set(connection.execute(select(transitions.c.hazard_source).distinct()).scalars())
        for source in sorted((used | heads.keys()) - {AUDIT_CHAIN}):
            query = select(transitions).where(transitions.c.hazard_source == source)
            rows = _rows(connection, query.order_by(transitions.c.source_no))
            found = first_break(source, rows, "source_no", heads.get(source), later["transitions"])
            if found:
                return found
        rows = _rows(connection, select(audit).order_by(audit.c.number))
        return first_break(AUDIT_CHAIN, rows, "number", heads.get(AUDIT_CHAIN), later["audit"])


def _rows(connection: Connection, query: Select[Any]) -> Iterator[Mapping[str, Any]]:
    return (dict(row) for row in connection.execute(query).mappings())
