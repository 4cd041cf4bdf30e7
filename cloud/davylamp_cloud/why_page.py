"""The answer of ``davylamp-cloud why``: text for a person, JSON for a program; it may be asked while the cloud runs."""

import difflib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta, tzinfo
from re import fullmatch
from typing import Any

from davylamp_alarms.explain import Explained
from davylamp_alarms.transition import Event
from davylamp_wire.config import ConfigError, mistaken
from davylamp_wire.point import Text
from sqlalchemy import or_, select

from davylamp_cloud.cloud import utc_ms
from davylamp_cloud.config import CloudConfig, clock_of
from davylamp_cloud.forecast import forecast
from davylamp_cloud.looking import looking
from davylamp_cloud.reasons import ending, hiding, reason
from davylamp_cloud.registered import BY_BIRTH
from davylamp_cloud.replay import TooOld
from davylamp_cloud.settings import Settings, source_in, warning_of
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import State
from davylamp_cloud.telling import EVENTS, KINDS, LEVELS
from davylamp_cloud.why import Told, Why, why

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


Words = Callable[[int, str], str]
"""Says a quality code in a language."""


def answer(
    config: CloudConfig, tag: str, at: str | None, language: str | None, quality: Words, *, as_json: bool
) -> str:
    """Return the answer for a tag at a time a person typed.

    Raises:
        ConfigError: No cloud ran here, no such tag, or a time nobody understands; the message says what to do.
    """
    zone = clock_of(config.sites)
    at_ms = None if at is None else time_of(at, utc_ms(), zone)
    try:
        with looking(config.data_dir) as (log, state):
            found = why(log, state, tag_named(state, tag), at_ms)
    except LookupError as error:
        raise ConfigError([f"{error} was not known yet at that time; name a later one"]) from None
    except TooOld as error:
        earliest = _clock(error.earliest_ms, zone)
        raise ConfigError([f"--at: log and snapshots reach back to {earliest}; name a later time"]) from None
    if as_json:
        return json.dumps(as_dict(found), ensure_ascii=False)
    return "\n".join(lines(found, zone, language or config.language, quality))


def time_of(text: str, now_ms: int, zone: tzinfo, option: str = "--at") -> int:
    """Return a time a person typed as UTC milliseconds: ISO 8601, a clock of today, or so long ago ("10m").

    Raises:
        ConfigError: It is none of these.
    """
    if ago := fullmatch(r"-?(\d+)([smhd])", text):
        return now_ms - int(ago[1]) * UNITS_S[ago[2]] * 1000
    now = datetime.fromtimestamp(now_ms / 1000, zone)
    try:
        if fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
            clock = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M")
            found = now.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0)
            found -= timedelta(days=found > now)
        else:
            found = datetime.fromisoformat(text)
            found = found if found.tzinfo else found.replace(tzinfo=zone)
    except ValueError:
        way = "2026-11-27T03:10:00, 03:10, 10m"
        raise mistaken(
            f"{option}: {text!r} is no time; write one such as {way}", f"{option}：{text!r} 不是时间；请写 {way} 之类"
        ) from None
    return round(found.timestamp() * 1000)


def tag_named(state: State, name: str) -> str:
    """Return the id of a tag by its id or the plant's own name.

    Raises:
        ConfigError: None is called so, or several are; the message names the nearest.
    """
    table = schema.TAGS
    found = state.rows(select(table.c.tag_id).where(or_(table.c.tag_id == name, table.c.plant_tag == name)))
    if len(found) == 1:
        return str(found[0]["tag_id"])
    if found:
        raise ConfigError([f"{name}: several tags are called so: {', '.join(row['tag_id'] for row in found[:5])}"])
    names = [str(row[key]) for row in state.rows(select(table.c.tag_id, table.c.plant_tag)) for key in row if row[key]]
    near = difflib.get_close_matches(name, names, 3, 0.5)
    raise ConfigError([f"{name}: there is no such tag" + (f"; near it: {', '.join(near)}" if near else "")])


def as_dict(found: Why) -> dict[str, Any]:
    """Return the answer as JSON types, with codes and both languages."""
    return {
        "tag": found.tag.tag_id,
        "plant_tag": found.tag.plant_tag,
        "unit": found.tag.settings.unit,
        "at_ms": found.at_ms,
        "seq": found.seq,
        "limits_version": found.tag.version,
        "accepted_by": found.tag.accepted_by,
        "alarms": [_alarm(told, found) for told in found.alarms],
        "transitions": [_told(told) for told in found.transitions],
    }


def _alarm(told: Explained, found: Why) -> dict[str, Any]:
    said, unit = asdict(told), unit_of(told, found)
    of, evidence, words = said.pop("of"), said.pop("evidence"), forecast_of(told, found)
    end = ending(told, unit)
    return {
        **of,
        "priority": told.of.priority.word,
        **said,
        "phase": told.phase.name.lower(),
        "unit": unit,
        "reason": _both(reason(told, unit)),
        "ends_with": _both(end) if end else None,
        "source": sourced(told, found.tag.settings),
        "evidence": json.loads(evidence) if evidence else None,
        "forecast": _both(words) if words else None,
    }


def _told(told: Told) -> dict[str, Any]:
    names = ("id", "alarm_id", "event", "letter", "value", "limit", "at_ms", "due_ms", "actor", "comment", "seq")
    deliveries = [{name: row[name] for name in ("receiver", "status", "at_ms")} for row in told.deliveries]
    return {**{name: told.step[name] for name in names}, "deliveries": deliveries}


def _both(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def unit_of(told: Explained, found: Why) -> str:
    """Return the unit of an alarm's figures: the tag's where it has a limit in it."""
    return found.tag.settings.unit if told.leave is not None else ""


def sourced(told: Explained, settings: Settings) -> str:
    """Return where a limit or a rule comes from, and that nobody verified it (SAFETY S30); empty where none is."""
    source = source_in(settings, told.of.kind)
    if source is None:
        return ""
    words = " ".join(part for part in (source.standard, source.edition, source.clause) if part)
    return words if source.verified else f"{words} (unverified / 未核实)"


def forecast_of(told: Explained, found: Why) -> Text | None:
    """Return what a statistical rule shows of its tag then, in words."""
    if not told.evidence:
        return None
    evidence, settings = json.loads(told.evidence), found.tag.settings
    names = [Text(zh=name, en=name) for name in evidence.get("inputs", ())]
    age_s = 0.0 if told.seen_ms is None else max(found.at_ms - told.seen_ms, 0) / 1000
    return forecast(evidence, warning_of(settings, told.of.kind), settings.unit, names, age_s)


# for a person


def lines(found: Why, zone: tzinfo, language: str, quality: Words) -> Iterator[str]:
    """Yield the answer line by line."""
    zh, tag = language == "zh", found.tag
    name = f"{tag.text.zh if zh else tag.text.en} {tag.plant_tag}".strip()
    yield f"{name}  {tag.tag_id}"
    when = _clock(found.at_ms, zone)
    yield f"{when}  " + (
        f"限值第 {tag.version} 版（{'设备上线报文' if tag.accepted_by == BY_BIRTH else tag.accepted_by}）"
        if zh
        else f"limits version {tag.version} (by {tag.accepted_by})"
    )
    for told in found.alarms:
        yield from _lines_of(told, found, zone, zh)
        yield f"  {'质量' if zh else 'quality'}: {quality(told.quality, language)}"
    yield ""
    yield "前后的变化：" if zh else "Transitions around it:"
    for step in found.transitions:
        yield from _step_lines(step, zone, zh)
    if not found.transitions:
        yield "  无" if zh else "  none"


def _lines_of(told: Explained, found: Why, zone: tzinfo, zh: bool) -> Iterator[str]:
    of, unit = told.of, unit_of(told, found)
    kind, level = KINDS[of.kind], LEVELS[of.priority]
    state = f"[{of.letter}]" + (f" {of.occurrence} v{of.version}" if of.occurrence else "")
    yield ""
    yield f"{of.kind} {kind.zh if zh else kind.en} · {level.zh if zh else level.en}  {state} {told.note}".rstrip()
    said = reason(told, unit)
    yield f"  {said.zh if zh else said.en}"
    if words := forecast_of(told, found):
        yield f"  {'规则所见' if zh else 'the rule sees'}: {words.zh if zh else words.en}{_seen(told, zone, zh)}"
    end = ending(told, unit)
    if end:
        yield f"  {'恢复条件' if zh else 'ends with'}: {end.zh if zh else end.en}"
    yield from (f"  {text.zh if zh else text.en}" for text in hiding(told, zone))
    if source := sourced(told, found.tag.settings):
        yield f"  {'限值依据' if zh else 'limit'}: {source}"


def _seen(told: Explained, zone: tzinfo, zh: bool) -> str:
    """Return when the newest sample came that a rule goes by."""
    if told.seen_ms is None:
        return ""
    return f"（截至 {_clock(told.seen_ms, zone)}）" if zh else f" (as of {_clock(told.seen_ms, zone)})"


def _step_lines(told: Told, zone: tzinfo, zh: bool) -> Iterator[str]:
    step = told.step
    event = EVENTS[Event(step["event"])]
    value = "" if step["value"] is None else f" {step['value']:g}"
    who = f" {step['actor']}: {step['comment']}" if step["actor"] else f" {step['comment']}"
    what = f"{step['kind']} {event.zh if zh else event.en} [{step['letter']}]{value}{who}".rstrip()
    yield f"  {_clock(step['at_ms'], zone)}  {step['id']}  {what}"
    for row in told.deliveries:
        yield f"      → {row['receiver']}: {row['status']} {_clock(row['at_ms'], zone)}"


def _clock(time_ms: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(time_ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
