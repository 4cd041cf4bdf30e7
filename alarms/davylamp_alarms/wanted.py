"""What warnings' definitions want of their rules: settings and inputs, judged, and which warnings share a memory."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from davylamp_alarms.definition import Kind, canonical
from davylamp_alarms.warning import load

Key = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a warning's definition says of its rule.

    Args:
        inputs: Of a rule over several tags; a name without a slash is a point of the tag's own device.
        towards: Kinds of the tag's own limits that a trend is held against.
    """

    settings: Mapping[str, Any]
    inputs: tuple[str, ...] = ()
    towards: tuple[Kind, ...] = ()


@lru_cache(maxsize=4096)
def wanted_of(rule: str) -> Wanted:
    """Return what a definition's text says."""
    said = json.loads(rule)
    towards = tuple(Kind(kind) for kind in said.get("towards", ()))
    return Wanted(said["settings"], tuple(said.get("inputs", ())), towards)


def rule_name(kind: Kind) -> str:
    """Return the name of the rule that raises a kind of warning."""
    return kind.lower()


def settings_of(name: str, said: Mapping[str, Any], inputs: tuple[str, ...]) -> Any:
    """Return a rule's settings: what is said, and how many inputs there are or what each is called.

    Raises:
        LookupError: There is no such rule.
        pydantic.ValidationError: A setting is unknown, missing or out of range; the message names it.
    """
    rule = load(name)
    form, own = rule.settings, {key: value for key, value in said.items() if key not in rule.state.LEARNT}
    asked = form.model_fields.get("inputs")
    if asked is not None:
        own["inputs"] = len(inputs) if asked.annotation is int else tuple(map(_called, inputs))
    return form.model_validate(own)


def judge_settings(name: str, said: Mapping[str, Any], inputs: tuple[str, ...]) -> None:
    """Judge what is said of a rule: its settings, and what training found.

    Raises:
        LookupError: There is no such rule.
        pydantic.ValidationError: A setting is unknown, missing or out of range; the message names it.
        ValueError: What training found is incomplete, or of other inputs.
    """
    load(name).state.lesson(settings_of(name, said, inputs), said)


@lru_cache(maxsize=4096)
def mistake_in(kind: Kind, rule: str) -> str:
    """Return what is wrong with a warning's rule; empty where nothing is."""
    wanted = wanted_of(rule)
    try:
        judge_settings(rule_name(kind), wanted.settings, wanted.inputs)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        return str(error)
    return ""


def unlearnt(kind: Kind, wanted: Wanted) -> dict[str, Any]:
    """Return a rule's settings without what training found: that is each row's own."""
    learnt = load(rule_name(kind)).state.LEARNT
    return {name: value for name, value in wanted.settings.items() if name not in learnt}


def _called(name: str) -> str:
    """Return what an expression calls an input: its point's name, with `_` for what no name in it may have."""
    return re.sub(r"\W", "_", name.rpartition("/")[2])


@lru_cache(maxsize=4096)
def key_of(kind: Kind, rule: str) -> Key:
    """Return what a warning shares with others: all but what is given to each row.

    One whose settings are mistaken shares nothing, so that it fails alone.
    """
    if mistake_in(kind, rule):
        return kind, _without((), wanted_of(rule))
    state = load(rule_name(kind)).state
    return kind, _without((*state.GIVEN, *state.LEARNT), wanted_of(rule))


def memory_of(kind: Kind, rule: str) -> str:
    """Return by what a warning's memory was made: as long as it is the same, the memory holds."""
    return _without(() if mistake_in(kind, rule) else load(rule_name(kind)).state.GIVEN, wanted_of(rule))


def _without(given: Iterable[str], wanted: Wanted) -> str:
    kept = {name: value for name, value in wanted.settings.items() if name not in given}
    return canonical({"settings": kept, "inputs": wanted.inputs})
