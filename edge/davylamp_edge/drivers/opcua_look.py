"""Looks at single nodes of an OPC UA server: everything the server says of each, as it says it."""

from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError

from davylamp_edge.drivers import DeviceUnreachable
from davylamp_edge.drivers.opcua_browse import (
    PROPERTY,
    TYPES,
    node_id,
    references_of,
    span_of,
    text_of,
    type_of,
    unit_of,
    value_of,
)
from davylamp_edge.drivers.opcua_session import CURRENT_TIME, Session, said

ATTRIBUTES = (
    AttributeIds.Value,
    AttributeIds.DisplayName,
    AttributeIds.Description,
    AttributeIds.DataType,
    AttributeIds.ValueRank,
    AttributeIds.AccessLevel,
    AttributeIds.UserAccessLevel,
)


@dataclass(frozen=True, slots=True)
class Look:
    """One node. ``reply`` is its value with StatusCode and time stamps; what the server leaves out is None or empty."""

    asked: str
    reply: ua.DataValue
    name: str
    description: str
    kind: ua.NodeId | None
    type: str
    """Its type in a profile's words; empty for what no tag can have."""
    access: int | None
    user_access: int | None
    unit: str
    span: tuple[float, float] | None


async def looks(session: Session, asked: Sequence[str]) -> tuple[ua.DataValue, list[Look]]:
    """Return the server's clock, and each node that was asked for.

    Raises: DeviceUnreachable, ValueError for what is no node id.
    """
    nodes = [session.resolved(node_id(text)) for text in asked]
    try:
        clock, *replies = await session.attributes(
            [(CURRENT_TIME, AttributeIds.Value), *((node, each) for node in nodes for each in ATTRIBUTES)],
            ua.TimestampsToReturn.Both,
        )
        properties = [await _properties(session, node) for node in nodes]
    except (TimeoutError, OSError, UaError) as error:
        raise DeviceUnreachable(f"{session.server}: {said(error)}") from None
    size = len(ATTRIBUTES)
    own = [replies[size * at : size * (at + 1)] for at in range(len(nodes))]
    return clock, [_look(*each) for each in zip(asked, own, properties, strict=True)]


async def _properties(session: Session, node: ua.NodeId) -> dict[str, ua.DataValue]:
    """Return the values of a node's unit and range."""
    (references,) = await references_of(session, [node])
    found = {
        str(each.BrowseName.Name): ua.NodeId(each.NodeId.Identifier, each.NodeId.NamespaceIndex, each.NodeId.NodeIdType)
        for each in references
        if each.ReferenceTypeId == PROPERTY and each.BrowseName.Name in ("EngineeringUnits", "EURange")
    }
    values = await session.attributes([(each, AttributeIds.Value) for each in found.values()])
    return dict(zip(found, values, strict=True))


def _look(asked: str, replies: Sequence[ua.DataValue], properties: dict[str, ua.DataValue]) -> Look:
    name, description, kind, rank, access, user_access = map(value_of, replies[1:])
    return Look(
        asked=asked,
        reply=replies[0],
        name=text_of(name),
        description=text_of(description),
        kind=kind if isinstance(kind, ua.NodeId) else None,
        type=type_of(kind, rank) or _sent_type(replies[0].Value),
        access=access,
        user_access=user_access,
        unit=unit_of(value_of(properties.get("EngineeringUnits", ua.DataValue()))),
        span=span_of(value_of(properties.get("EURange", ua.DataValue()))),
    )


def _sent_type(sent: ua.Variant | None) -> str:
    """Return the type of what was sent: a server's own types, enumerations above all, are sent as plain ones."""
    return "" if sent is None or sent.is_array else TYPES.get(int(sent.VariantType.value), "")
