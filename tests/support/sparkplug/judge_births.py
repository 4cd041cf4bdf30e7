"""Judges of births: what they name, and what it was when they were said."""

from collections.abc import Iterable

from davylamp_wire.sparkplug_pb2 import Metric

from support.sparkplug.judge_messages import births_of
from support.sparkplug.judging import every, judges
from support.sparkplug.recording import BIRTHS, DATA, Recording, Said

INT64, BOOLEAN = 4, 11
REBIRTH = "Node Control/Rebirth"
TYPES = range(1, 35)


@judges("topics-nbirth-metric-reqs", "operational-behavior-data-publish-nbirth")
def an_nbirth_names_all_the_node_reports(recording: Recording) -> int:
    return every(_named_before(recording, "NBIRTH", "NDATA"), lambda pair: pair[1].alias in pair[0])


@judges("topics-dbirth-metric-reqs", "operational-behavior-data-publish-dbirth")
def a_dbirth_names_all_its_device_reports(recording: Recording) -> int:
    return every(_named_before(recording, "DBIRTH", "DDATA"), lambda pair: pair[1].alias in pair[0])


def _named_before(recording: Recording, birth: str, data: str) -> Iterable[tuple[set[int], Metric]]:
    """Yield each metric of data with the aliases of the last birth on its connection."""
    for life in recording.lives:
        named: dict[str | None, set[int]] = {}
        for said in life.said:
            if said.type == birth:
                named[said.device] = {metric.alias for metric in said.payload.metrics}
            elif said.type == data:
                for metric in said.payload.metrics:
                    yield named[said.device], metric


@judges(
    "topics-nbirth-metrics",
    "operational-behavior-data-publish-nbirth-values",
)
def an_nbirths_metrics_are_whole(recording: Recording) -> int:
    return every(_metrics(recording.of("NBIRTH")), _is_whole)


@judges("topics-dbirth-metrics", "operational-behavior-data-publish-dbirth-values")
def a_dbirths_metrics_are_whole_and_present(recording: Recording) -> int:
    """The second births were asked for while the plant stood still."""
    present = next(said for said in births_of(recording)[1] if said.device == "rig")
    assert present.metric("count").int_value == recording.stood
    assert present.metric("cold").int_value == 0xFFE9
    assert any(metric.is_null for metric in _metrics(recording.of("DBIRTH"))), "no metric without a value was seen"
    return every(_metrics(recording.of("DBIRTH")), _is_whole)


def _metrics(messages: Iterable[Said]) -> Iterable[Metric]:
    return (metric for said in messages for metric in said.payload.metrics)


def _is_whole(metric: Metric) -> bool:
    valued = metric.WhichOneof("value") is not None
    return bool(metric.name) and metric.HasField("datatype") and valued != metric.is_null


@judges("case-sensitivity-metric-names")
def no_two_names_differ_by_case_alone(recording: Recording) -> int:
    names = [[metric.name.lower() for metric in said.payload.metrics] for said in recording.of(*BIRTHS)]
    return every(names, lambda said: len(set(said)) == len(said))


@judges(
    "topics-nbirth-rebirth-metric",
    "operational-behavior-data-commands-rebirth-name",
    "operational-behavior-data-commands-rebirth-name-aliases",
    "operational-behavior-data-commands-rebirth-datatype",
    "operational-behavior-data-commands-rebirth-value",
    "payloads-nbirth-rebirth-req",
)
def an_nbirth_can_be_asked_for_births(recording: Recording) -> int:
    asked = [said.metric(REBIRTH) for said in recording.of("NBIRTH")]
    return every(
        asked,
        lambda metric: (
            metric.datatype == BOOLEAN
            and metric.HasField("boolean_value")
            and not metric.boolean_value
            and not metric.HasField("alias")
        ),
    )


@judges("payloads-name-requirement")
def a_metric_has_a_name_or_an_alias(recording: Recording) -> int:
    return every(_metrics(recording.said), lambda metric: metric.name or metric.HasField("alias"))


@judges("payloads-alias-birth-requirement")
def an_alias_in_a_birth_has_its_name_beside_it(recording: Recording) -> int:
    """And whatever data name by alias was given it in a birth, which is what aliases are for."""
    aliased = [metric for metric in _metrics(recording.of(*BIRTHS)) if metric.HasField("alias")]
    assert {metric.alias for metric in _metrics(recording.of(*DATA))} <= {metric.alias for metric in aliased}
    return every(aliased, lambda metric: metric.name)


@judges("payloads-alias-uniqueness")
def no_two_metrics_have_one_alias(recording: Recording) -> int:
    def aliases(birth: list[Said]) -> list[int]:
        return [metric.alias for metric in _metrics(birth) if metric.HasField("alias")]

    return every(map(aliases, births_of(recording)), lambda given: given and len(set(given)) == len(given))


@judges("payloads-metric-datatype-req")
def every_metric_of_a_birth_has_a_datatype(recording: Recording) -> int:
    return every(_metrics(recording.of(*BIRTHS)), lambda metric: metric.HasField("datatype"))


@judges("payloads-metric-datatype-value-type", "payloads-metric-datatype-value")
def datatypes_are_sparkplugs(recording: Recording) -> int:
    return every(_metrics(recording.of(*BIRTHS)), lambda metric: metric.datatype in TYPES)


@judges("payloads-metric-datatype-not-req")
def data_leave_the_datatype_out(recording: Recording) -> int:
    return every(_metrics(recording.of(*DATA)), lambda metric: not metric.HasField("datatype"))


@judges("payloads-alias-data-cmd-requirement")
def data_have_an_alias_and_no_name(recording: Recording) -> int:
    return every(_metrics(recording.of(*DATA)), lambda metric: metric.HasField("alias") and not metric.HasField("name"))


@judges("payloads-name-birth-data-requirement")
def every_metric_has_a_time(recording: Recording) -> int:
    return every(_metrics(recording.of(*BIRTHS, *DATA)), lambda metric: metric.HasField("timestamp"))


@judges("payloads-propertyset-keys-array-size", "payloads-propertyset-values-array-size")
def properties_have_a_value_for_each_key(recording: Recording) -> int:
    sets = (metric.properties for metric in _metrics(recording.said) if metric.HasField("properties"))
    return every(sets, lambda one: len(one.keys) == len(one.values) > 0)


@judges(
    "payloads-metric-propertyvalue-type-type",
    "payloads-metric-propertyvalue-type-value",
    "payloads-metric-propertyvalue-type-req",
)
def properties_have_a_type_of_sparkplugs(recording: Recording) -> int:
    values = (value for metric in _metrics(recording.said) for value in metric.properties.values)
    return every(values, lambda value: value.HasField("type") and value.type in TYPES)


@judges("payloads-propertyset-quality-value-type", "payloads-propertyset-quality-value-value")
def quality_is_one_of_three_numbers(recording: Recording) -> int:
    qualities = (
        value
        for metric in _metrics(recording.said)
        for key, value in zip(metric.properties.keys, metric.properties.values, strict=True)
        if key == "Quality"
    )
    return every(
        qualities, lambda value: value.type == 3 and value.HasField("int_value") and value.int_value in (0, 192, 500)
    )


@judges(
    "message-flow-edge-node-birth-publish-nbirth-payload",
    "message-flow-device-birth-publish-dbirth-payload",
)
def births_are_sparkplug_payloads(recording: Recording) -> int:
    """They were read as such; here, nothing of them is outside the schema."""
    return every(recording.of(*BIRTHS), lambda said: said.payload.ByteSize() == len(said.mqtt.payload))
