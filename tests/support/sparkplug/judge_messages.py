"""Judges of what every message is: topic, QoS, retained or not, seq, time."""

from collections.abc import Iterable
from functools import partial
from itertools import pairwise

from support.sparkplug.judging import every, judges
from support.sparkplug.recording import BIRTHS, DATA, NAMESPACE, Recording, Said

SOON_MS = 5_000
"""How far a time said by the edge may be from the tap's: the edge's own clock is this machine's."""

IDS = ["intro-group-id", "intro-edge-node-id", "intro-device-id"]
OF_DEVICES = ("DBIRTH", "DDATA", "DDEATH")


@judges(
    *(f"{name}-{what}" for name in IDS for what in ("string", "chars")),
    *(f"topic-structure-namespace-valid-{name}-id" for name in ("group", "edge-node", "device")),
)
def ids_hold_only_what_a_topic_may(recording: Recording) -> int:
    return every(_ids(recording), lambda one: one and not set(one) & set("+#/\0"))


def _ids(recording: Recording) -> Iterable[str]:
    return (level for said in recording.said for level in [said.levels[1], *said.levels[3:]])


@judges("topic-structure", "topic-structure-namespace-a")
def topics_are_built_as_they_must_be(recording: Recording) -> int:
    return every(recording.said, lambda said: said.mqtt.topic == _topic(recording, said))


def _topic(recording: Recording, said: Said) -> str:
    head = f"{NAMESPACE}/{recording.group}/{said.type}/{recording.node}"
    return f"{head}/{said.device}" if said.type in OF_DEVICES else head


@judges("topic-structure-namespace-device-id-associated-message-types")
def a_devices_messages_name_it(recording: Recording) -> int:
    assert {said.type for said in recording.of(*OF_DEVICES)} == set(OF_DEVICES)
    return every(recording.of(*OF_DEVICES), lambda said: said.device)


@judges("topic-structure-namespace-device-id-non-associated-message-types")
def the_nodes_messages_name_no_device(recording: Recording) -> int:
    types = ("NBIRTH", "NDATA", "NDEATH")
    assert {said.type for said in recording.of(*types)} == set(types)
    return every(recording.of(*types), lambda said: len(said.levels) == 4)


@judges("topic-structure-namespace-unique-device-id", "case-sensitivity-sparkplug-ids")
def no_two_devices_have_one_id(recording: Recording) -> int:
    births = [[said.device for said in birth if said.device] for birth in births_of(recording)]
    return every(births, lambda ids: len({name.lower() for name in ids}) == len(ids))


def births_of(recording: Recording) -> list[list[Said]]:
    """Return each NBIRTH with the DBIRTHs behind it."""
    found: list[list[Said]] = []
    for said in recording.of(*BIRTHS):
        if said.type == "NBIRTH":
            found.append([])
        found[-1].append(said)
    return found


def _at_most_once(kind: str, recording: Recording) -> int:
    return every(recording.of(kind), lambda said: said.mqtt.qos == 0)


def _unretained(kind: str, recording: Recording) -> int:
    return every(recording.of(kind), lambda said: not said.mqtt.retain)


def _plain(kind: str, recording: Recording) -> int:
    return min(_at_most_once(kind, recording), _unretained(kind, recording))


def _timed(kind: str, recording: Recording) -> int:
    return every(recording.of(kind), lambda said: abs(said.payload.timestamp - said.at_ms) < SOON_MS)


def _in_sequence(kind: str, recording: Recording) -> int:
    """The message before it is the one before it on its connection, whatever its type; an NDEATH has no part in it."""
    before = {}
    for life in recording.lives:
        numbered = [said for said in life.said if said.type != "NDEATH"]
        before.update({later.at: earlier for earlier, later in pairwise(numbered)})
    return every(recording.of(kind), lambda said: said.payload.seq == (before[said.at].payload.seq + 1) % 256)


def _right_topic(kind: str, recording: Recording) -> int:
    return every(recording.of(kind), lambda said: said.mqtt.topic == _topic(recording, said))


def _register() -> None:
    """The specification says the same of each type of message under an id of its own, much of it in two chapters."""
    for kind in ("nbirth", "dbirth", "ndata", "ddata", "ddeath"):
        upper = kind.upper()
        mqtt = [f"topics-{kind}-mqtt"]
        chapter_six = kind != "ddeath"
        qos = [*mqtt, *([f"payloads-{kind}-qos", f"payloads-{kind}-retain"] if chapter_six else [])]
        judges(*qos)(partial(_plain, upper))
        timed = [f"payloads-{kind}-timestamp", *([f"topics-{kind}-timestamp"] if chapter_six else [])]
        judges(*timed)(partial(_timed, upper))
        judges(f"topics-{kind}-topic")(partial(_right_topic, upper))
        if kind == "nbirth":
            continue
        seq = f"topics-{kind}-seq" if kind == "dbirth" else f"topics-{kind}-seq-num"
        judges(seq, f"payloads-{kind}-seq", f"payloads-{kind}-seq-inc")(partial(_in_sequence, upper))
    judges("payloads-ddeath-seq-number")(partial(_in_sequence, "DDEATH"))
    judges("message-flow-device-birth-publish-dbirth-payload-seq")(partial(_in_sequence, "DBIRTH"))
    for kind, flow in (("NBIRTH", "edge-node-birth-publish-nbirth"), ("DBIRTH", "device-birth-publish-dbirth")):
        flow = f"message-flow-{flow}"
        judges(f"{flow}-topic")(partial(_right_topic, kind))
        judges(f"{flow}-qos")(partial(_at_most_once, kind))
        judges(f"{flow}-retained")(partial(_unretained, kind))


_register()


@judges(
    "topics-nbirth-seq-num",
    "payloads-nbirth-seq",
    "payloads-sequence-num-req-nbirth",
    "message-flow-edge-node-birth-publish-nbirth-payload-seq",
)
def an_nbirth_has_seq_0(recording: Recording) -> int:
    """Chapter 4 asks for 0, chapters 5 and 6 for a number from 0 to 255: 0 is both."""
    return every(recording.of("NBIRTH"), lambda said: said.payload.HasField("seq") and said.payload.seq == 0)


@judges("payloads-sequence-num-always-included")
def every_message_but_a_death_of_the_node_has_a_seq(recording: Recording) -> int:
    return every(recording.said, lambda said: said.payload.HasField("seq") == (said.type != "NDEATH"))


@judges("payloads-sequence-num-incrementing")
def seq_rises_by_one_and_begins_anew_after_255(recording: Recording) -> int:
    assert any(said.payload.seq == 255 for said in recording.said), "no session was long enough"
    return sum(_in_sequence(kind, recording) for kind in ("DBIRTH", "NDATA", "DDATA", "DDEATH"))


@judges("payloads-timestamp-in-UTC")
def messages_are_stamped_in_utc(recording: Recording) -> int:
    """The tap's clock is UTC; a local time would be hours away."""
    return every(recording.said, lambda said: abs(said.payload.timestamp - said.at_ms) < SOON_MS)


@judges("payloads-metric-timestamp-in-UTC")
def metrics_are_stamped_in_utc(recording: Recording) -> int:
    stamps = (
        (said.at_ms, metric.timestamp) for said in recording.of(*BIRTHS, *DATA) for metric in said.payload.metrics
    )
    return every(stamps, lambda pair: recording.began_ms <= pair[1] <= pair[0] + SOON_MS)


@judges(
    "payloads-dbirth-order",
    "payloads-ndata-order",
    "payloads-ddata-order",
    "message-flow-device-birth-publish-nbirth-wait",
    "message-flow-device-birth-publish-dbirth-match-edge-node-topic",
)
def births_come_first_and_all_together(recording: Recording) -> int:
    """Behind an NBIRTH come all DBIRTHs, under its group and node, and then, not before, data and deaths of devices."""
    count = 0
    for life in recording.lives:
        born, began = None, False
        for said in life.said:
            if said.type == "NBIRTH":
                born, began = said, False
            elif said.type == "DBIRTH":
                assert born is not None, f"a DBIRTH without an NBIRTH: {said}"
                assert not began, f"a DBIRTH behind data: {said}"
                assert (said.levels[1], said.levels[3]) == (born.levels[1], born.levels[3])
            elif said.type in (*DATA, "DDEATH"):
                assert born is not None, f"data without a birth: {said}"
                began = True
            count += 1
    devices = [{said.device for said in birth} for birth in births_of(recording)]
    assert all(devices), "an NBIRTH without a DBIRTH"
    return count


@judges("principles-birth-certificates-order")
def the_first_word_is_a_birth(recording: Recording) -> int:
    return every((life.said[0] for life in recording.lives if life.said), lambda said: said.type == "NBIRTH")
