"""Recordings of edges that break one rule each: what a judge must notice."""

from collections.abc import Callable
from dataclasses import replace

from davylamp_wire.sparkplug_pb2 import Payload

from support.sparkplug.packets import Connect, Disconnect, Packet, Publish, Subscribe
from support.sparkplug.recording import Recording, Said

Mutant = Callable[[Recording], Recording]
HOURS_MS = 3_600_000


def _replaced(recording: Recording, at: int, packet: Packet | None) -> Recording:
    """Return a recording with another packet in a place, or without the one there."""
    events = list(recording.events)
    events[at : at + 1] = [] if packet is None else [replace(events[at], packet=packet)]
    return replace(recording, events=events)


def _one(recording: Recording, kind: str) -> Said:
    """Return a message from the middle of its kind's."""
    found = recording.of(kind)
    return found[len(found) // 2]


def _sent(kind: str, **changes: object) -> Mutant:
    """A message sent with other flags."""

    def mutate(recording: Recording) -> Recording:
        said = _one(recording, kind)
        return _replaced(recording, said.at, replace(said.mqtt, **changes))  # type: ignore[arg-type]  # names of fields

    return mutate


def _said(kind: str, change: Callable[[Payload], None]) -> Mutant:
    """A message that says something else."""

    def mutate(recording: Recording) -> Recording:
        said = _one(recording, kind)
        payload = Payload.FromString(said.mqtt.payload)
        change(payload)
        return _replaced(recording, said.at, replace(said.mqtt, payload=payload.SerializeToString()))

    return mutate


def _connect(change: Callable[[Connect], Connect]) -> Mutant:
    """A CONNECT that is another."""

    def mutate(recording: Recording) -> Recording:
        at, packet = _places(recording, Connect)[1]
        assert isinstance(packet, Connect)
        return _replaced(recording, at, change(packet))

    return mutate


def _places(recording: Recording, kind: type[Packet]) -> list[tuple[int, Packet]]:
    return [(at, event.packet) for at, event in enumerate(recording.events) if isinstance(event.packet, kind)]


def _with_will(change: Callable[[Publish], Publish]) -> Callable[[Connect], Connect]:
    def changed(connect: Connect) -> Connect:
        assert connect.will is not None
        return replace(connect, will=change(connect.will))

    return changed


def _other_bd_seq(will: Publish) -> Publish:
    payload = Payload.FromString(will.payload)
    payload.metrics[0].long_value = 77
    return replace(will, payload=payload.SerializeToString())


def _without_subscription(recording: Recording) -> Recording:
    return _replaced(recording, _places(recording, Subscribe)[0][0], None)


def _without_message(recording: Recording) -> Recording:
    return _replaced(recording, _one(recording, "DDATA").at, None)


def _without_goodbye(recording: Recording) -> Recording:
    return _replaced(recording, recording.of("NDEATH")[0].at, None)


def _without_disconnect(recording: Recording) -> Recording:
    return _replaced(recording, _places(recording, Disconnect)[0][0], None)


def _born_before_the_host_came(recording: Recording) -> Recording:
    first = next(state for state in recording.host if state.online and state.counts)
    return _replaced(recording, first.at, None)


def _data_before_all_births(recording: Recording) -> Recording:
    """The last DBIRTH of the first session and the data behind it change places."""
    birth, data = recording.of("DBIRTH")[1], recording.of("DDATA")[0]
    events = list(recording.events)
    events[birth.at], events[data.at] = events[data.at], events[birth.at]
    return replace(recording, events=events)


def _name(payload: Payload) -> None:
    payload.metrics[1].name = "level"


def _datatype(payload: Payload) -> None:
    payload.metrics[1].datatype = 10


def _no_time(payload: Payload) -> None:
    payload.metrics[1].ClearField("timestamp")


def _local_time(payload: Payload) -> None:
    payload.timestamp += 8 * HOURS_MS


def _no_seq(payload: Payload) -> None:
    payload.ClearField("seq")


def _seq(payload: Payload) -> None:
    payload.seq = 7


def _unknown_alias(payload: Payload) -> None:
    payload.metrics[1].alias = 99


def _same_alias(payload: Payload) -> None:
    payload.metrics[3].alias = payload.metrics[2].alias


def _odd_quality(payload: Payload) -> None:
    metric = next(metric for metric in payload.metrics if "Quality" in metric.properties.keys)
    metric.properties.values[list(metric.properties.keys).index("Quality")].int_value = 7


def _rebirth_true(payload: Payload) -> None:
    next(metric for metric in payload.metrics if metric.name == "Node Control/Rebirth").boolean_value = True


MUTANTS: dict[str, tuple[Mutant, tuple[str, ...]]] = {
    "an NBIRTH is retained": (_sent("NBIRTH", retain=True), ("topics-nbirth-mqtt", "payloads-nbirth-retain")),
    "a DDATA has QoS 1": (_sent("DDATA", qos=1), ("topics-ddata-mqtt", "payloads-ddata-qos")),
    "a DDATA goes elsewhere": (
        _sent("DDATA", topic="spBv1.0/davylamp/DDATA/edge-2/rig"),
        ("topics-ddata-topic", "topic-structure"),
    ),
    "a message is missing": (_without_message, ("payloads-sequence-num-incrementing",)),
    "a DDATA has no seq": (_said("DDATA", _no_seq), ("payloads-sequence-num-always-included",)),
    "an NBIRTH has seq 7": (_said("NBIRTH", _seq), ("topics-nbirth-seq-num", "payloads-dbirth-seq-inc")),
    "an NDEATH has a seq": (_said("NDEATH", _seq), ("topics-ndeath-seq", "payloads-ndeath-seq")),
    "data name a metric": (_said("DDATA", _name), ("payloads-alias-data-cmd-requirement",)),
    "data say a datatype": (_said("DDATA", _datatype), ("payloads-metric-datatype-not-req",)),
    "a metric has no time": (_said("DDATA", _no_time), ("payloads-name-birth-data-requirement",)),
    "a message has local time": (_said("DDATA", _local_time), ("payloads-timestamp-in-UTC", "topics-ddata-timestamp")),
    "data use an alias nobody was told": (
        _said("DDATA", _unknown_alias),
        ("topics-dbirth-metric-reqs", "payloads-alias-birth-requirement"),
    ),
    "two metrics have one alias": (_said("DBIRTH", _same_alias), ("payloads-alias-uniqueness",)),
    "a quality is 7": (_said("DBIRTH", _odd_quality), ("payloads-propertyset-quality-value-value",)),
    "Rebirth is true": (_said("NBIRTH", _rebirth_true), ("topics-nbirth-rebirth-metric",)),
    "a session is not clean": (
        _connect(lambda connect: replace(connect, clean=False)),
        ("principles-persistence-clean-session-311",),
    ),
    "a CONNECT has no will": (
        _connect(lambda connect: replace(connect, will=None)),
        ("payloads-ndeath-will-message", "message-flow-edge-node-birth-publish-will-message"),
    ),
    "a will has QoS 0": (
        _connect(_with_will(lambda will: replace(will, qos=0))),
        ("payloads-ndeath-will-message-qos",),
    ),
    "a will has another bdSeq": (
        _connect(_with_will(_other_bd_seq)),
        ("topics-nbirth-bdseq-matching", "topics-nbirth-bdseq-increment", "payloads-ndeath-bdseq"),
    ),
    "commands are not subscribed to": (_without_subscription, ("message-flow-edge-node-ncmd-subscribe",)),
    "an edge leaves without a word": (
        _without_goodbye,
        (
            "operational-behavior-edge-node-intentional-disconnect-ndeath",
            "message-flow-edge-node-birth-publish-phid-offline",
        ),
    ),
    "an edge stays when its host goes": (
        _without_disconnect,
        ("operational-behavior-edge-node-termination-host-offline",),
    ),
    "an edge is born before its host comes": (
        _born_before_the_host_came,
        ("message-flow-edge-node-birth-publish-phid-wait",),
    ),
    "data come before all births": (_data_before_all_births, ("payloads-dbirth-order", "payloads-ddata-order")),
}
"""What is broken, and the assertions (without ``tck-id-``) whose judges must fail for it."""
