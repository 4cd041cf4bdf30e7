"""The form of a backtest: from what was typed to what is asked, each mistake at its field, and back again."""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from davylamp_alarms.performance.kpis import DAY_MS
from davylamp_wire.config import ConfigError, mistakes_of
from davylamp_wire.point import LimitKind
from pydantic import ValidationError

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.backtests import Wanted
from davylamp_cloud.api.catalogue import Entry
from davylamp_cloud.api.language import Bilingual, both, mark
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.backtest.jobs import MOST_DRAWN, Job
from davylamp_cloud.backtest.rules_text import rules_text
from davylamp_cloud.console.answers import Form
from davylamp_cloud.console.render import Reader
from davylamp_cloud.console.tried import ORIGIN, meant_by, rules_in, said_of, seen_by, unknown, unworkable

NUMBERS = ("value", "deadband", "on_delay_s", "off_delay_s")
SPANS = {"1": 1, "7": 7, "30": 30}
"""Days back from now, by what the form calls them; anything else is a span of its own."""

SHOWN = 5

Json = Mapping[str, Any]

Wrong = dict[str, list[Bilingual]]
"""What is wrong with each field."""

EMPTY: Form = {
    "tags": "",
    "kind": "H",
    **dict.fromkeys(NUMBERS, ""),
    "gone": "",
    "rules": "",
    "span": "1",
    "from": "",
    "to": "",
    "over": "",
    "plots": "on",
}


class Mistaken(Exception):
    """The form asks for what cannot be: `wrong` says it field by field."""

    def __init__(self, wrong: Wrong) -> None:
        super().__init__(", ".join(wrong))
        self.wrong = wrong


def asked_by(form: Form, parts: Parts, actor: Actor, reader: Reader) -> Wanted:
    """Return what a form asks for.

    Raises:
        Mistaken: Fields are wrong.
    """
    wrong: Wrong = {}
    typed, written = _typed(form, wrong), _written(form, wrong)
    from_ms, to_ms = _span(form, reader.zone, parts.cloud.now_ms(), wrong)
    if not typed and not written and not wrong:
        wrong["tags"] = [both(mark("Name the tags: the plant's own names, ids, or patterns such as LT-11*."))]
    _judge(seen_by(parts, actor), parts, (typed, written), wrong, drawn="plots" in form)
    if wrong:
        raise Mistaken(wrong)
    said = {
        "rules": {**typed, **written},
        "from_ms": from_ms,
        "to_ms": to_ms,
        "plots": "svg" if "plots" in form else None,
        "language": reader.language,
        "ground": "dark",
        "over": form.get("over") if form.get("over") in ("log", "history") else None,
    }
    try:
        return Wanted.model_validate(said)
    except ValidationError as error:
        lines = said_of(ConfigError(mistakes_of(error, ORIGIN)), ORIGIN)
        raise Mistaken({"rules" if written else "tags": lines[:SHOWN]}) from None


def patterns_in(text: str) -> list[str]:
    """Return the names and patterns somebody typed, whatever they put between them."""
    return [part for part in (one.strip() for one in re.split(r"[,，、;；\n]", text)) if part]


def form_of_job(job: Job, zone: tzinfo) -> Form:
    """Return the form that asks for a job again: in its fields if they hold it, else as a rules file."""
    request = job.request
    times = {name: datetime.fromtimestamp(request[f"{name}_ms"] / 1000, zone) for name in ("from", "to")}
    return {
        **EMPTY,
        **(_fields(request["rules"]) or {"rules": rules_text(request["rules"])}),
        "span": "own",
        **{name: at.strftime("%Y-%m-%dT%H:%M") for name, at in times.items()},
        "over": request["over"] or "",
        "plots": "on" if request["plots"] else "",
    }


def _fields(rules: Mapping[str, Any]) -> Form | None:
    """Return the fields that say the same as rules; None where they say more than fields hold."""
    said = list(rules.values())
    if any(one != said[0] for one in said):
        return None
    names = {"tags": ", ".join(rules)}
    match said[0]:
        case {"limits": limits, **rest} if not rest and len(limits) == 1:
            [(kind, limit)] = limits.items()
            known = {name: f"{limit[name]:.12g}" for name in NUMBERS if limit.get(name) is not None}
            return {**names, "kind": str(kind), **known} if len(known) == len(limit) else None
        case {"without": [kind], **rest} if not rest and kind in LimitKind.__members__:
            return {**names, "kind": str(kind), "gone": "on"}
    return None


def _typed(form: Form, wrong: Wrong) -> dict[str, Any]:
    """Return what the fields say."""
    patterns = patterns_in(form.get("tags", ""))
    numbers = {name: found for name in NUMBERS if (found := _number(form, name, wrong)) is not None}
    kind = form.get("kind", "")
    if not patterns:
        if numbers and not wrong:
            wrong["tags"] = [both(mark("Name the tags this limit is tried on."))]
        return {}
    if kind not in LimitKind.__members__:
        wrong["kind"] = [both(mark("Choose which limit is tried."))]
        return {}
    if "gone" in form:
        return {pattern: {"without": [kind]} for pattern in patterns}
    if not numbers and not wrong.keys() & set(NUMBERS):
        wrong["value"] = [both(mark("Give a value, a deadband or a delay to try."))]
    return {pattern: {"limits": {kind: numbers}} for pattern in patterns}


def _number(form: Form, name: str, wrong: Wrong) -> float | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        wrong[name] = [both(mark("{text} is no number."), text=text[:40])]
    elif found < 0 and name != "value":
        wrong[name] = [both(mark("This is 0 or more."))]
    return None if name in wrong else found


def _written(form: Form, wrong: Wrong) -> dict[str, Any]:
    """Return what the rules file says that was pasted."""
    text = form.get("rules", "").replace("\r\n", "\n")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+), column (\d+)", str(error))
        line, column = place.groups() if place else (text.count("\n") + 1, len(text) - text.rfind("\n"))
        said = mark("Line {line}, column {column} cannot be read; the example shows how.")
        wrong["rules"] = [both(said, line=line, column=column)]
        return {}


def _span(form: Form, zone: tzinfo, now_ms: int, wrong: Wrong) -> tuple[int, int]:
    days = SPANS.get(form.get("span", ""))
    if days is not None:
        return now_ms - days * DAY_MS, now_ms
    from_ms, to_ms = (_time_ms(form, name, zone, wrong) for name in ("from", "to"))
    if from_ms >= to_ms and not wrong:
        wrong["to"] = [both(mark("The span ends before it begins."))]
    return from_ms, to_ms


def _time_ms(form: Form, name: str, zone: tzinfo, wrong: Wrong) -> int:
    try:
        found = datetime.fromisoformat(form.get(name, "")).replace(tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        found = -1.0
    if found < 0:
        wrong[name] = [both(mark("Give date and time."))]
    return round(found * 1000)


def _judge(entries: Sequence[Entry], parts: Parts, said: tuple[Json, Json], wrong: Wrong, *, drawn: bool) -> None:
    """Lay what the fields and the rules file say over the tags there are: most mistakes show before anything runs."""
    typed, written = said
    if twice := sorted(typed.keys() & written.keys()):
        wrong["rules"] = [both(mark("{pattern} is in the fields above, too; say it once."), pattern=twice[0])]
    for one, field, names in ((typed, "value", "tags"), (written, "rules", "rules")):
        if one:
            _judge_part(entries, parts, one, wrong, field, names)
    if not wrong and drawn:
        count = len(meant_by(rules_in(parts, {**typed, **written}), entries))
        if count > MOST_DRAWN:
            text = mark("{count} tags are meant, and {most} can be drawn: leave this out.")
            wrong["plots"] = [both(text, count=count, most=MOST_DRAWN)]


def _judge_part(entries: Sequence[Entry], parts: Parts, said: Json, wrong: Wrong, field: str, names: str) -> None:
    try:
        rules = rules_in(parts, said)
    except ConfigError as error:
        wrong[field] = said_of(error, ORIGIN)[:SHOWN]
        return
    if lines := unknown(rules, entries):
        wrong.setdefault(names, []).extend(lines[:SHOWN])
    elif not wrong and (lines := unworkable(parts, rules, entries)):
        wrong[field] = lines[:SHOWN]
