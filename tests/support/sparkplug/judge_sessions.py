"""Judges of sessions: connecting, wills, deaths, and the primary host."""

from collections.abc import Iterator
from itertools import pairwise

from davylamp_wire.sparkplug_pb2 import Payload

from support.sparkplug.judge_messages import births_of
from support.sparkplug.judging import every, judges
from support.sparkplug.packets import Connack, Publish, Subscribe
from support.sparkplug.recording import DATA, HOST, NAMESPACE, HostSaid, Life, Recording, Said

INT64 = 4
REACTION_MS = 1_000
"""How long the edge may take to hear: what it has handed to the line before is on its way."""
DEBOUNCE_MS = 1_000

# Connecting


@judges("principles-persistence-clean-session-311")
def every_connect_is_clean(recording: Recording) -> int:
    return every(recording.lives, lambda life: life.connect.level == 4 and life.connect.clean)


@judges("message-flow-edge-node-ncmd-subscribe")
def commands_are_subscribed_to_before_the_birth(recording: Recording) -> int:
    topic = (f"{NAMESPACE}/{recording.group}/NCMD/{recording.node}", 1)
    return every(recording.lives, lambda life: topic in _subscribed(life))


def _subscribed(life: Life) -> list[tuple[str, int]]:
    """Return what a life subscribed to before its first word."""
    before = life.said[0].at if life.said else len(life.events) + life.events[0][0]
    packets = [event.packet for at, event in life.events if at < before and event.from_edge]
    return [topic for packet in packets if isinstance(packet, Subscribe) for topic in packet.topics]


@judges("message-flow-edge-node-birth-publish-connect")
def births_follow_an_accepted_connect(recording: Recording) -> int:
    born = [life for life in recording.lives if life.born]
    return every(born, lambda life: _welcomed_at(life) < life.said[0].at)


def _welcomed_at(life: Life) -> int:
    return next(at for at, event in life.events if isinstance(event.packet, Connack) and event.packet.code == 0)


@judges("operational-behavior-primary-application-state-with-multiple-servers-single-server")
def there_is_one_connection_at_a_time(recording: Recording) -> int:
    ends = [(life.events[0][0], life.events[-1][0]) for life in recording.lives]
    return every(pairwise(ends), lambda pair: pair[0][1] < pair[1][0])


# Wills and bdSeq


@judges(
    "message-flow-edge-node-birth-publish-will-message",
    "message-flow-edge-node-birth-publish-will-message-payload",
    "payloads-ndeath-will-message",
)
def every_connect_has_a_will(recording: Recording) -> int:
    return every(recording.lives, lambda life: Payload.FromString(_will(life).payload).metrics[0].name == "bdSeq")


@judges("message-flow-edge-node-birth-publish-will-message-topic")
def the_will_is_an_ndeath(recording: Recording) -> int:
    topic = f"{NAMESPACE}/{recording.group}/NDEATH/{recording.node}"
    return every(recording.lives, lambda life: _will(life).topic == topic)


@judges("message-flow-edge-node-birth-publish-will-message-qos", "payloads-ndeath-will-message-qos")
def the_will_has_qos_1(recording: Recording) -> int:
    return every(recording.lives, lambda life: _will(life).qos == 1)


@judges("message-flow-edge-node-birth-publish-will-message-will-retained", "payloads-ndeath-will-message-retain")
def the_will_is_not_retained(recording: Recording) -> int:
    return every(recording.lives, lambda life: not _will(life).retain)


def _will(life: Life) -> Publish:
    assert life.connect.will is not None, f"a CONNECT without a will: {life.connect}"
    return life.connect.will


def _bd_seq(payload: Payload) -> int:
    found = next(metric for metric in payload.metrics if metric.name == "bdSeq")
    assert found.datatype == INT64, f"bdSeq has datatype {found.datatype}"
    return found.long_value


def _bd_seq_of(life: Life) -> int:
    return _bd_seq(Payload.FromString(_will(life).payload))


@judges(
    "topics-nbirth-bdseq-increment",
    "message-flow-edge-node-birth-publish-will-message-payload-bdSeq",
)
def bd_seq_begins_at_0_and_rises_with_every_connect(recording: Recording) -> int:
    """Over cuts, a clean stop, SIGKILL and new configs alike."""
    numbers = [_bd_seq_of(life) for life in recording.lives]
    assert numbers[0] == 0, f"the first bdSeq is {numbers[0]}"
    return every(pairwise(numbers), lambda pair: pair[1] == (pair[0] + 1) % 256)


@judges(
    "topics-nbirth-bdseq-included",
    "topics-nbirth-bdseq-matching",
    "message-flow-edge-node-birth-publish-nbirth-payload-bdSeq",
    "payloads-nbirth-bdseq",
    "payloads-nbirth-bdseq-repeat",
    "operational-behavior-data-commands-rebirth-action-3",
)
def births_and_rebirths_have_the_bd_seq_of_their_connect(recording: Recording) -> int:
    births = [(life, said) for life in recording.lives for said in life.said if said.type == "NBIRTH"]
    assert len(births) > len({life.events[0][0] for life, _ in births}), "no rebirth was seen"
    return every(births, lambda pair: _bd_seq(pair[1].payload) == _bd_seq_of(pair[0]))


# Deaths


def _deaths(recording: Recording) -> list[tuple[str, Payload]]:
    """Return every NDEATH: said by the edge, given as a will, and handed on by the broker."""
    said = [(each.mqtt.topic, each.payload) for each in recording.of("NDEATH")]
    wills = [(_will(life).topic, Payload.FromString(_will(life).payload)) for life in recording.lives]
    heard = [(each.topic, Payload.FromString(each.payload)) for each in recording.heard if "/NDEATH/" in each.topic]
    assert len(heard) > len(said) > 0, "no will was handed on, or the edge never said goodbye"
    return [*said, *wills, *heard]


@judges("topics-ndeath-topic")
def deaths_go_to_their_topic(recording: Recording) -> int:
    topic = f"{NAMESPACE}/{recording.group}/NDEATH/{recording.node}"
    return every(_deaths(recording), lambda death: death[0] == topic)


@judges("topics-ndeath-payload")
def a_death_holds_bd_seq_alone(recording: Recording) -> int:
    return every(_deaths(recording), lambda death: [metric.name for metric in death[1].metrics] == ["bdSeq"])


@judges("topics-ndeath-seq", "payloads-ndeath-seq")
def a_death_has_no_seq(recording: Recording) -> int:
    return every(_deaths(recording), lambda death: not death[1].HasField("seq"))


@judges("payloads-ndeath-bdseq")
def a_death_has_the_bd_seq_of_its_birth(recording: Recording) -> int:
    """Wills are judged with births above; here, each death that was heard belongs to a life that was born."""
    born = {_bd_seq_of(life) for life in recording.lives if life.born}
    heard = [Payload.FromString(each.payload) for each in recording.heard if "/NDEATH/" in each.topic]
    assert {_bd_seq(payload) for payload in heard} == born, "a life without a death, or a death without a life"
    return len(heard)


@judges(
    "operational-behavior-edge-node-intentional-disconnect-ndeath",
    "payloads-ndeath-will-message-publisher",
    "payloads-ndeath-will-message-publisher-disconnect-mqtt311",
)
def a_life_that_was_born_ends_with_a_death_and_one_that_was_not_without_a_word(recording: Recording) -> int:
    ended = [life for life in recording.lives if life.goodbye is not None]
    assert {life.born for life in ended} == {True, False}, "both were to be seen"
    return every(ended, lambda life: life.said[-1].type == "NDEATH" if life.born else not life.said)


@judges("operational-behavior-edge-node-intentional-disconnect-packet")
def a_disconnect_comes_right_behind_the_death(recording: Recording) -> int:
    """It may follow (3.0). Ours does, with nothing in between."""
    ended = [life for life in recording.lives if life.goodbye is not None and life.born]
    return every(ended, lambda life: _packets_between(life, life.said[-1].at, life.goodbye) == 0)


def _packets_between(life: Life, begin: int, end: int | None) -> int:
    assert end is not None
    return sum(begin < at < end for at, event in life.events if event.from_edge and event.packet is not None)


@judges("operational-behavior-device-ddeath")
def a_lost_device_turns_bad_and_stays_born(recording: Recording) -> int:
    """The spare device was lost for a while, and taken out of the config later: only then it died."""
    deaths = recording.of("DDEATH")
    assert {said.device for said in deaths} == {"spare"}
    last_life = [life for life in recording.lives if life.said and life.said[0].at < deaths[0].at][-1]
    lost = [said for said in recording.of("DDATA") if said.device == "spare" and _turned_bad(recording, said)]
    live = [said for said in lost if not said.payload.metrics[0].is_historical]
    assert not any(said in last_life.said for said in live)
    return len(live)


def _turned_bad(recording: Recording, said: Said) -> bool:
    """Return whether a message's last word of each point is bad; the value it had before may stand ahead of it."""
    last = {recording.names[metric.alias][1]: metric for metric in said.payload.metrics}
    points = [metric for name, metric in last.items() if name in ("count", "level", "cold")]
    return bool(points) and all(metric.properties.keys[:1] == ["Quality"] for metric in points)


# The primary host


def _births_with_host(recording: Recording) -> Iterator[tuple[Said, HostSaid | None]]:
    """Yield each NBIRTH with what the host had last said that counts."""
    for said in recording.of("NBIRTH"):
        before = [state for state in recording.host if state.at < said.at and state.counts]
        yield said, before[-1] if before else None


@judges(
    "message-flow-edge-node-birth-publish-phid-wait",
    "operational-behavior-edge-node-birth-sequence-wait",
)
def births_wait_for_the_host(recording: Recording) -> int:
    return every(_births_with_host(recording), lambda pair: pair[1] is not None and pair[1].online)


@judges("message-flow-edge-node-birth-publish-phid-wait-id")
def another_hosts_state_does_not_count(recording: Recording) -> int:
    first = recording.of("NBIRTH")[0]
    others = [
        heard for heard in recording.heard if heard.topic == f"{NAMESPACE}/STATE/another" and b"true" in heard.payload
    ]
    assert all(topic != f"{NAMESPACE}/STATE/another" for life in recording.lives for topic, _ in _subscribed(life))
    assert all((f"{NAMESPACE}/STATE/{HOST}", 1) in _subscribed(life) for life in recording.lives)
    return sum(heard.at_ms < first.at_ms for heard in others)


@judges("message-flow-edge-node-birth-publish-phid-wait-online")
def a_host_that_says_offline_does_not_count(recording: Recording) -> int:
    offline = [state for state in recording.host if state.counts and not state.online]
    return every(offline, lambda state: not _born_between(recording, state.at, _next_online(recording, state)))


@judges("message-flow-edge-node-birth-publish-phid-wait-timestamp")
def an_old_state_does_not_count(recording: Recording) -> int:
    old = [state for state in recording.host if state.online and not state.counts]
    return every(old, lambda state: not _born_between(recording, state.at, _next_online(recording, state)))


def _next_online(recording: Recording, after: HostSaid) -> int:
    later = (state.at for state in recording.host if state.at > after.at and state.counts and state.online)
    return next(later, len(recording.events))


def _born_between(recording: Recording, begin: int, end: int) -> list[Said]:
    return [said for said in recording.of("NBIRTH") if begin < said.at < end]


def _left_by(recording: Recording) -> list[tuple[Life, HostSaid]]:
    """Return the lives that were born when their host said offline, with what it said."""
    found = []
    for state in recording.host:
        life = next(life for life in recording.lives if life.events[0][0] < state.at <= life.events[-1][0])
        if state.counts and not state.online and life.said and life.said[0].at < state.at:
            found.append((life, state))
    return found


@judges(
    "operational-behavior-edge-node-termination-host-offline",
    "operational-behavior-primary-application-state-with-multiple-servers-walk",
    "message-flow-edge-node-birth-publish-phid-offline",
)
def an_edge_that_was_born_leaves_when_its_host_does(recording: Recording) -> int:
    """At once: a death, nothing but what was on its way before it, and a DISCONNECT. One that was not born waits."""
    for life, state in _left_by(recording):
        behind = [said for said in life.said if said.at > state.at]
        assert [said.type for said in behind][-1:] == ["NDEATH"], f"{[said.type for said in behind]}"
        assert life.goodbye is not None
        assert all(said.payload.timestamp <= state.at_ms + REACTION_MS for said in behind)
    unborn = [state for state in recording.host if not state.online and state.counts]
    assert len(unborn) > len(_left_by(recording)), "no edge was seen waiting"
    return len(_left_by(recording))


@judges("operational-behavior-edge-node-termination-host-offline-reconnect")
def an_edge_that_left_comes_back(recording: Recording) -> int:
    return every(_left_by(recording), lambda pair: pair[0] is not recording.lives[-1])


@judges("operational-behavior-edge-node-termination-host-offline-timestamp")
def an_old_offline_state_changes_nothing(recording: Recording) -> int:
    """Data went on behind it on the same connection until the next STATE came."""
    old = [state for state in recording.host if not state.online and not state.counts]
    return every(old, lambda state: len(_until_next_state(recording, state)) > 1)


def _until_next_state(recording: Recording, state: HostSaid) -> list[Said]:
    end = next(later.at for later in recording.host if later.at > state.at)
    said = [each for each in recording.said if state.at < each.at < end]
    assert all(each.type in DATA for each in said), f"{[each.type for each in said]}"
    return said


# Births on request


@judges("operational-behavior-data-commands-rebirth-action-1")
def data_stop_when_births_are_asked_for(recording: Recording) -> int:
    """Asked again within a second of its last births, the edge goes on and is born once that second is over."""
    seen = {True: 0, False: 0}
    for at, event in recording.rebirths_asked:
        last = [said for said in recording.of("NBIRTH") if said.at < at][-1]
        following = next(said for said in recording.of("NBIRTH") if said.at > at)
        between = [said for said in recording.of(*DATA) if at < said.at < following.at]
        early = event.at_ms - last.at_ms < DEBOUNCE_MS
        if early:
            assert following.payload.timestamp - last.payload.timestamp >= DEBOUNCE_MS - 1
            assert between, "the edge fell silent"
        else:
            assert all(said.payload.timestamp <= event.at_ms + REACTION_MS for said in between)
        seen[early] += 1
    assert all(seen.values()), "both were to be seen"
    return sum(seen.values())


@judges("operational-behavior-data-commands-rebirth-action-2")
def births_that_are_asked_for_are_complete(recording: Recording) -> int:
    rebirths = [birth for birth in births_of(recording) if _is_rebirth(recording, birth[0])]
    return every(rebirths, lambda birth: [said.device for said in birth] == [None, "rig", "spare"])


def _is_rebirth(recording: Recording, birth: Said) -> bool:
    life = next(life for life in recording.lives if birth in life.said)
    return birth is not life.said[0]
