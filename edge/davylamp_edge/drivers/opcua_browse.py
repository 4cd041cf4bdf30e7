"""Walks through what an OPC UA server has: its variables, each with its path, type, unit, range and value."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaError

from davylamp_edge.drivers import DeviceUnreachable
from davylamp_edge.drivers.opcua_session import Session, said

MOST = 20_000
"""Variables after which a walk ends: some servers have a million."""
AT_ONCE = 100
"""Nodes in one Browse, and in one Read of attributes."""
STANDARD = 0
"""The standard's own namespace: the server's diagnostics, no plant."""

OBJECTS = ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder))
HIERARCHICAL = ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences))
PROPERTY = ua.NodeId(ua.Int32(ObjectIds.HasProperty))
MAX_NODES_PER_BROWSE = ua.NodeId(ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse))

TYPES = {
    1: "bool", 2: "int8", 3: "uint8", 4: "int16", 5: "uint16", 6: "int32", 7: "uint32", 8: "int64", 9: "uint64",
    10: "float32", 11: "float64", 12: "string", 29: "int32",
}  # fmt: skip
"""A profile's types by the numbers of OPC UA's (OPC 10000-6, 5.1.2); an enumeration is an int32."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a server."""

    path: tuple[str, ...]
    node: str
    """Its node id, with the URI of its namespace."""
    type: str
    """Its type in a profile's words; empty for what no tag can have: arrays, structures, times."""
    unit: str = ""
    span: tuple[float, float] | None = None
    description: str = ""
    value: str = ""


@dataclass(slots=True)
class _Found:
    path: tuple[str, ...]
    node: ua.NodeId
    is_variable: bool
    properties: dict[str, ua.NodeId] = field(default_factory=dict)


async def variables(session: Session, under: str, depth: int) -> list[Variable]:
    """Return the variables below a node, nearest first. Raises: DeviceUnreachable, ValueError for no node id."""
    start = node_id(under) if under else OBJECTS
    try:
        found = await _walk(session, session.resolved(start), depth)
        return [each for chunk in _chunks(found) for each in await _described(session, chunk)]
    except (TimeoutError, OSError, UaError) as error:
        raise DeviceUnreachable(f"{session.server}: {said(error)}") from None


def node_id(text: str) -> ua.NodeId:
    """Return a node id as a person writes it. Raises: ValueError for what is none."""
    try:
        return ua.NodeId.from_string(text)
    except (UaError, ValueError):
        en = f"{text!r} is no node id; write nsu=urn:plant:plc;s=Tank1 or ns=2;i=1001"
        raise ValueError(f"{en}\n{text!r} 不是节点标识，写法例：nsu=urn:plant:plc;s=Tank1") from None


async def _walk(session: Session, start: ua.NodeId, depth: int) -> list[_Found]:
    """Walk through a server breadth first, each node once, because servers link in circles; one level more for the
    properties of what was found last."""
    (limit,) = await session.attributes([(MAX_NODES_PER_BROWSE, AttributeIds.Value)])
    at_once = min(AT_ONCE, value_of(limit) or AT_ONCE)
    seen, found, level = {start}, list[_Found](), [_Found((), start, False)]
    while level and depth >= 0:
        below: list[_Found] = []
        for chunk in _chunks(level, at_once):
            answers = await references_of(session, [each.node for each in chunk])
            for parent, references in zip(chunk, answers, strict=True):
                below += _children(parent, references, seen)
        depth -= 1
        level = below if depth >= 0 and len(found) < MOST else []
        found += [each for each in level if each.is_variable]
    return found[:MOST]


def _children(parent: _Found, references: Sequence[ua.ReferenceDescription], seen: set[ua.NodeId]) -> Iterator[_Found]:
    """Yield what is below a node for the first time; its properties stay with it."""
    for reference in references:
        node = ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex, reference.NodeId.NodeIdType)
        name = str(reference.BrowseName.Name)
        if reference.ReferenceTypeId == PROPERTY:
            parent.properties[name] = node
        elif node not in seen and node.NamespaceIndex != STANDARD:
            seen.add(node)
            yield _Found((*parent.path, name), node, reference.NodeClass == ua.NodeClass.Variable)


async def references_of(session: Session, nodes: Sequence[ua.NodeId]) -> list[list[ua.ReferenceDescription]]:
    """Return what each node refers to, whole."""
    client = session.client.uaclient
    parameters = ua.BrowseParameters()
    parameters.NodesToBrowse = [
        ua.BrowseDescription(
            NodeId=node,
            BrowseDirection=ua.BrowseDirection.Forward,
            ReferenceTypeId=HIERARCHICAL,
            IncludeSubtypes=True,
            NodeClassMask=ua.UInt32(ua.NodeClass.Object | ua.NodeClass.Variable),
            ResultMask=ua.UInt32(ua.BrowseResultMask.All),
        )
        for node in nodes
    ]
    found = []
    for result in await client.browse(parameters):
        references, more = list(result.References or ()), result.ContinuationPoint
        while more:
            (result,) = await client.browse_next(ua.BrowseNextParameters(False, [more]))
            references += result.References or ()
            more = result.ContinuationPoint
        found.append(references)
    return found


async def _described(session: Session, found: Sequence[_Found]) -> list[Variable]:
    """Return variables with everything their attributes and properties say."""
    kinds = (AttributeIds.DataType, AttributeIds.ValueRank, AttributeIds.Description, AttributeIds.Value)
    own = await session.attributes([(each.node, kind) for each in found for kind in kinds])
    extra = await session.attributes(
        [
            (each.properties[name], AttributeIds.Value)
            for each in found
            for name in ("EngineeringUnits", "EURange")
            if name in each.properties
        ]
    )
    rest = iter(extra)
    variables = []
    for at, each in enumerate(found):
        kind, rank, description, value = map(value_of, own[len(kinds) * at : len(kinds) * (at + 1)])
        unit = value_of(next(rest)) if "EngineeringUnits" in each.properties else None
        span = value_of(next(rest)) if "EURange" in each.properties else None
        variables.append(
            Variable(
                each.path,
                session.named(each.node),
                type_of(kind, rank),
                unit_of(unit),
                span_of(span),
                text_of(description),
                "" if value is None else str(value)[:40],
            )
        )
    return variables


def value_of(reply: ua.DataValue) -> Any:
    """Return the value in a reply; None where there is none."""
    return reply.Value.Value if reply.Value is not None else None


def type_of(kind: Any, rank: Any) -> str:
    """Return a data type's name in a profile; empty for what no tag can have."""
    is_plain = isinstance(kind, ua.NodeId) and kind.NamespaceIndex == STANDARD and rank in (None, -1, -2, -3)
    return TYPES.get(int(kind.Identifier), "") if is_plain and isinstance(kind.Identifier, int) else ""


def text_of(text: Any) -> str:
    """Return a localized text; empty where there is none."""
    return (getattr(text, "Text", None) or "").strip()


def unit_of(unit: Any) -> str:
    """Return the unit an EngineeringUnits property shows."""
    return text_of(getattr(unit, "DisplayName", None))


def span_of(span: Any) -> tuple[float, float] | None:
    """Return the ends of an EURange; None where it has none."""
    return (span.Low, span.High) if isinstance(span, ua.Range) and span.Low < span.High else None


def _chunks(items: Sequence[_Found], size: int = AT_ONCE) -> Iterator[list[_Found]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
