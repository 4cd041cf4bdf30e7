"""What a backtest answers, tag by tag, as its page shows it. Pure but for the tags that are looked up."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from davylamp_alarms.performance.kpis import Kpis

from davylamp_cloud.api.backtests import plots_of
from davylamp_cloud.api.language import Language, mark
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.api.words import number
from davylamp_cloud.backtest.jobs import Job
from davylamp_cloud.backtest.laid import names_of
from davylamp_cloud.backtest.page import FIGURES, length
from davylamp_cloud.backtest.rules import Rule, Rules
from davylamp_cloud.console.render import Reader
from davylamp_cloud.console.tried import ORIGIN

MOST_TAGS = 50
"""Tags on the page; the API has all."""

MOST_MOVES = 12
"""Alarms of one tag that are told one by one."""

Json = Mapping[str, Any]

WORDS = {
    "added": mark("added"),
    "gone": mark("gone"),
    "earlier": mark("earlier"),
    "later": mark("later"),
}


@dataclass(frozen=True, slots=True)
class Move:
    """One alarm that is added, gone, or comes earlier or later; `by` says by how much."""

    at_ms: int
    kind: str
    what: str
    word: str
    by: str
    stood: str


@dataclass(frozen=True, slots=True)
class Row:
    """One alarm of a tag: its limit, how often it came and how long it stood, before and after."""

    kind: str
    limits: tuple[str, str]
    times: tuple[int, int]
    stood: tuple[str, str]


@dataclass(slots=True)
class Card:
    """All that is told of one tag. `tried`: limits of it were tried, which its page can be filled in with."""

    tag: str
    name: str
    plant_tag: str
    index: int | None = None
    tried: bool = False
    picture: str = ""
    rows: list[Row] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    more: int = 0


def answer_values(reader: Reader, parts: Parts, job: Job) -> dict[str, Any]:
    """Return what the template of an answer needs."""
    answer = cast(Json, job.answer)
    cards = _cards(reader, parts, job)
    names = {one["alarm"]: one["name"] for one in answer["alarms"]}
    return {
        "answer": answer,
        "notes": [one[reader.language.value] for one in answer["notes"]],
        "counts": [(name, reader.translate(WORDS[name]), len(answer[name])) for name in WORDS],
        "table": list(_table(reader, answer)),
        "floods": {side: [_flood(one, names) for one in answer["floods"][side]] for side in ("before", "after")},
        "cards": cards[:MOST_TAGS],
        "more_tags": len(cards) - len(cards[:MOST_TAGS]),
        "lasted": partial(lasted, reader),
    }


def lasted(reader: Reader, span_ms: int) -> str:
    """Return a length of time in its two largest units."""
    return length(span_ms, lambda zh, en: zh if reader.language is Language.ZH else en)


def _cards(reader: Reader, parts: Parts, job: Job) -> list[Card]:
    """Return a card for each tag that is drawn or whose alarms changed, those first that changed most."""
    answer = cast(Json, job.answer)
    changed = [one for one in answer["alarms"] if one["before"] != one["after"]]
    pictures = {plot.tag: plot.href for plot in plots_of(job)}
    moves = list(_moves(reader, answer))
    tags = dict.fromkeys([*(_tag(one["alarm"]) for one in changed), *(tag for tag, _ in moves), *pictures])
    known = parts.catalogue.some(tags).by_tag
    rules = _named(job)
    cards = {}
    for tag in tags:
        entry = known.get(tag)
        name, plant_tag = (reader.say(entry.name), entry.plant_tag or tag) if entry else (tag, "")
        tried = entry is not None and any(
            rule.limits or rule.without for _, rule in rules.of(*names_of(tag, plant_tag))
        )
        cards[tag] = Card(tag, name, plant_tag, entry.index if entry else None, tried, pictures.get(tag, ""))
    for one in changed:
        cards[_tag(one["alarm"])].rows.append(_row(reader, one))
    for tag, move in sorted(moves, key=lambda one: one[1].at_ms):
        card = cards[tag]
        if len(card.moves) < MOST_MOVES:
            card.moves.append(move)
        else:
            card.more += 1
    return list(cards.values())


def _named(job: Job) -> Rules:
    """Return what was tried, as it was asked; trainings are not looked at."""
    return Rules(ORIGIN, {pattern: Rule.model_validate(said) for pattern, said in job.request["rules"].items()})


def _row(reader: Reader, one: Json) -> Row:
    sides = (one["before"], one["after"])
    before, after = (number(side["limit"]) if side["limit"] is not None else "–" for side in sides)
    stood_before, stood_after = (lasted(reader, side["stood_ms"]) for side in sides)
    return Row(
        _kind(one["alarm"]),
        (before, after),
        (sides[0]["times"], sides[1]["times"]),
        (stood_before, stood_after),
    )


def _moves(reader: Reader, answer: Json) -> Iterator[tuple[str, Move]]:
    for what, word in WORDS.items():
        for span in answer[what]:
            began_ms = span.get("before_from_ms", span["from_ms"])
            by = lasted(reader, abs(span["from_ms"] - began_ms)) if "before_from_ms" in span else ""
            stood = lasted(reader, span["to_ms"] - span["from_ms"])
            yield _tag(span["alarm"]), Move(began_ms, _kind(span["alarm"]), what, reader.translate(word), by, stood)


def _table(reader: Reader, answer: Json) -> Iterator[tuple[str, str, str, str]]:
    """Yield operating position, figure, before and after; those of all positions come first, without one."""
    stood = [lasted(reader, sum(one[side]["stood_ms"] for one in answer["alarms"])) for side in ("before", "after")]
    yield "", reader.translate(mark("time in alarm, in all")), stood[0], stood[1]
    floods = [str(len(answer["floods"][side])) for side in ("before", "after")]
    yield "", reader.translate(mark("floods")), floods[0], floods[1]
    found = answer["figures"]
    for position, sides in found.items():
        kpis = [side and cast(Kpis, SimpleNamespace(**side)) for side in (sides["before"], sides["after"])]
        for text, figure in FIGURES:
            name = text.zh if reader.language is Language.ZH else text.en
            before, after = ("0" if side is None else figure(side) for side in kpis)
            yield position if len(found) > 1 else "", name, before, after


def _flood(flood: Json, names: Mapping[str, str]) -> dict[str, Any]:
    worst = [f"{names.get(alarm, alarm)} ×{count}" for alarm, count in flood["worst"]]
    return {**flood, "said": ", ".join(worst)}


def _tag(alarm: str) -> str:
    return alarm.partition("#")[0]


def _kind(alarm: str) -> str:
    return alarm.partition("#")[2].partition("@")[0]


def summary(rules: Mapping[str, Json]) -> Iterable[str]:
    """Yield what was tried in a few words for each pattern: `LT-11*: H 16, −HH, rate`."""
    for pattern, rule in rules.items():
        said = [f"{kind} {_limit(limit)}".strip() for kind, limit in rule.get("limits", {}).items()]
        said += [*rule.get("warnings", {}), *(f"−{name}" for name in rule.get("without", ()))]
        yield f"{pattern}: {', '.join(said)}"


def _limit(limit: Json) -> str:
    """Return the figure that is tried; of deadband and delays their names as a rules file has them."""
    figures = {name: value for name, value in limit.items() if isinstance(value, int | float)}
    value = [number(figures.pop("value"))] if "value" in figures else []
    return " ".join(value + [f"{name} {number(one)}" for name, one in figures.items()])
