"""Judges of data: what changed is said, in order, and what stands is not said in vain."""

from davylamp_wire.sparkplug_pb2 import Metric

from support.sparkplug.judging import every, judges
from support.sparkplug.recording import Recording, Said

SILENCE_MS = 1_500
"""The max silence of the profile's point `level`; repeats come a scan and a half early at most."""
EARLY_MS = 100


@judges("topics-ddata-payload")
def what_changes_in_a_device_is_said(recording: Recording) -> int:
    """The last the edge said before the plant stood still is what it stood at."""
    counts = [value for at_ms, value in _counts(recording) if at_ms <= recording.quiet_ms[1]]
    assert counts[-1] == recording.stood, f"{counts[-1]} was said last, the plant stood at {recording.stood}"
    return len(set(counts))


def _counts(recording: Recording) -> list[tuple[int, int]]:
    return [
        (said.at_ms, metric.int_value)
        for said in recording.of("DDATA")
        for metric in said.payload.metrics
        if recording.names[metric.alias] == ("rig", "count") and not metric.is_historical
    ]


@judges("topics-ndata-payload")
def what_the_node_says_is_the_nodes(recording: Recording) -> int:
    metrics = [metric for said in recording.of("NDATA") for metric in said.payload.metrics]
    return every(metrics, lambda metric: recording.names[metric.alias][0] is None)


@judges("operational-behavior-data-publish-nbirth-order")
def the_nodes_values_come_in_order(recording: Recording) -> int:
    return _in_order(recording, "NBIRTH", "NDATA")


@judges("operational-behavior-data-publish-dbirth-order")
def a_devices_values_come_in_order(recording: Recording) -> int:
    """One payload may hold a metric twice: the last value that was held back, and the one it jumped to."""
    aliases = [[metric.alias for metric in said.payload.metrics] for said in recording.of("DDATA")]
    assert any(len(set(said)) < len(said) for said in aliases), "no payload had one metric twice"
    return _in_order(recording, "DBIRTH", "DDATA")


def _in_order(recording: Recording, *types: str) -> int:
    """Within a payload, for what is not history. From payload to payload a graver class may overtake (docs/wire.md)."""
    return sum(every(_stamps(said), lambda stamps: stamps == sorted(stamps)) for said in recording.of(*types))


def _stamps(said: Said) -> list[list[int]]:
    """Return the times of each metric of a payload, in the order they stand there."""
    times: dict[int, list[int]] = {}
    for metric in said.payload.metrics:
        if not metric.is_historical and metric.HasField("alias"):
            times.setdefault(metric.alias, []).append(metric.timestamp)
    return list(times.values())


@judges("principles-rbe-recommended", "operational-behavior-data-publish-dbirth-change")
def what_stands_is_said_again_after_its_max_silence_and_no_sooner(recording: Recording) -> int:
    """While the plant stood still, DDATA were repeats, each a max silence behind the last word of its point.

    A birth is a word as well: what was read just before it is said there alone.
    """
    began_ms, ended_ms = recording.quiet_ms
    last: dict[int, Metric] = {}
    repeats = 0
    for said in recording.of("DBIRTH", "DDATA"):
        for metric in (each for each in said.payload.metrics[1:] if not each.is_historical):
            if said.type == "DDATA" and began_ms < said.at_ms <= ended_ms:
                before = last[metric.alias]
                assert metric.double_value == before.double_value
                assert metric.timestamp - before.timestamp > SILENCE_MS - EARLY_MS, f"said in vain: {said}"
                repeats += 1
            last[metric.alias] = metric
    return repeats


@judges("operational-behavior-data-publish-nbirth-change")
def an_edge_with_nothing_to_say_says_its_clock_and_no_more(recording: Recording) -> int:
    names = [[recording.names[metric.alias] for metric in said.payload.metrics] for said in recording.of("NDATA")]
    return every(names, lambda said: said == [(None, "Davylamp/Clock Offset")])
