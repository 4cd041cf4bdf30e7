"""What the cloud itself said at the time: stored transitions as the engine made them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from davylamp_alarms.backtest.run import Said
from davylamp_alarms.definition import Kind, Priority
from davylamp_alarms.transition import Condition, Event, Lane, Letter, Suppression, Transition
from sqlalchemy import select

from davylamp_cloud.store import schema
from davylamp_cloud.store.state import State

FIELDS = Transition.__dataclass_fields__


def said_between(state: State, after: int, upto: int) -> Iterator[Said]:
    """Yield what was said of the records after one number up to another, in the order of the log."""
    table = schema.TRANSITIONS
    query = select(table.c.body, table.c.at_ms).where(table.c.seq > after, table.c.seq <= upto)
    with state.reading() as connection:
        for body, at_ms in connection.execute(query.order_by(table.c.seq, table.c.hazard_source, table.c.source_no)):
            yield Said(transition_of(json.loads(body)), at_ms)


def transition_of(said: Mapping[str, Any]) -> Transition:
    """Return a transition from its fields as JSON has them."""
    fields = {name: said.get(name, field.default) for name, field in FIELDS.items()}
    return Transition(
        **{
            **fields,
            "lane": Lane(said["lane"]),
            "kind": Kind(said["kind"]),
            "priority": Priority.of(said["priority"]),
            "event": Event(said["event"]),
            "condition": Condition(said["condition"]),
            "suppressions": tuple(map(Suppression, said["suppressions"])),
            "letter": Letter(said["letter"]),
        }
    )
