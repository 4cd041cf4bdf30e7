"""How the alarm system itself performs: KPIs of each position, floods, advice. It only tells; a person decides."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from davylamp_alarms.performance.kpis import DAY_MS, TARGETS, Kpis, kpis
from davylamp_alarms.transition import Refusal
from fastapi import APIRouter, Path, Query, Response
from pydantic import Field
from sqlalchemy import Select, func, select

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.alarms import Body, answered
from davylamp_cloud.api.commands import Answer, carry_out_change
from davylamp_cloud.api.errors import ApiError, not_found
from davylamp_cloud.api.floods import FloodView, floods
from davylamp_cloud.api.gate import Reader, Shelver
from davylamp_cloud.api.language import both, mark
from davylamp_cloud.api.parts import ACTS, LAST_MS, REFUSALS, CloudParts, Limit, Parts
from davylamp_cloud.store import schema
from davylamp_cloud.store.history import history
from davylamp_cloud.store.state import Row
from davylamp_cloud.store.what import PRIORITIES

router = APIRouter(prefix="/api/v1", tags=["performance"], responses=REFUSALS)

LOOKBACK_MS = 30 * DAY_MS
"""How far before a span raises are read, to tell how long an alarm has stood; also the span where none is asked for."""

Position = Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="operating position: a Sparkplug group")]
Moment = Annotated[int | None, Query(ge=0, le=LAST_MS, description="UTC milliseconds")]
AdviceId = Annotated[str, Path(pattern=r"^advice-[0-9]{1,12}$")]


class Dismissed(Body):
    """Why an advice is not followed, or that it was."""

    comment: Annotated[str, Field(min_length=3, max_length=500)]


@dataclass(frozen=True, slots=True)
class TargetView:
    """What a figure should be at most, what is still manageable, and whether it is met; None from too little data."""

    figure: str
    value: float
    acceptable: float
    manageable: float | None
    met: bool | None
    source: str


@dataclass(frozen=True, slots=True)
class KpiView:
    """The figures of one position and span; stragglers of `reorder_s` are waited for.

    `enough`: whether the span has the 30 days that targets need. It begins no earlier than the records do.
    """

    position: str
    from_ms: int
    to_ms: int
    enough: bool
    figures: dict[str, Any]
    targets: list[TargetView]


@dataclass(frozen=True, slots=True)
class AdviceView:
    """Advice on one alarm: what was seen of it, and what may help."""

    id: str
    kind: str
    alarm_id: str
    hazard_source: str
    flood: str
    began_ms: int
    last_ms: int
    count: int
    suggestion: dict[str, float]
    closed: str


@router.get("/kpi")
def read_kpi(
    parts: CloudParts, actor: Reader, position: Position, from_ms: Moment = None, to_ms: Moment = None
) -> KpiView:
    """Return the alarm KPIs of a position, of the last 30 days where no span is named."""
    return kpi_view(parts, actor, position, from_ms, to_ms)


@router.get("/floods")
def list_floods(parts: CloudParts, actor: Reader, lasting: bool = False, limit: Limit = 100) -> list[FloodView]:
    """List floods, newest first."""
    return floods(parts, actor, lasting=lasting, limit=limit)


@router.get("/advice")
def list_advice(parts: CloudParts, actor: Reader, closed: bool = False, limit: Limit = 100) -> list[AdviceView]:
    """List advice on alarms that chatter, flash by or flood, newest first."""
    return advice(parts, actor, closed=closed, limit=limit)


@router.post("/advice/{advice}/dismiss", responses={**ACTS, 202: {"model": Answer}})
def dismiss(parts: CloudParts, actor: Shelver, advice: AdviceId, body: Dismissed, response: Response) -> Answer:
    """Close an advice, because it was followed or will not be."""
    return answered(response, dismissed(parts, actor, advice, body))


# what the console uses as well


def kpi_view(parts: Parts, actor: Actor, position: str, from_ms: int | None, to_ms: int | None) -> KpiView:
    """Return a position's figures; reads the disk."""
    if actor.hazard_sources:
        raise ApiError(
            403,
            "position",
            both(mark("KPIs are of a whole operating position, and this token sees only some of its hazard sources.")),
            both(mark("Ask with a token that sees the whole position.")),
        )
    config = parts.cloud.config.monitor
    settled_ms = parts.cloud.now_ms() - round(config.reorder_s * 1000)
    end_ms = min(settled_ms, LAST_MS if to_ms is None else to_ms)
    start_ms = max(_began_ms(parts, end_ms), end_ms - LOOKBACK_MS if from_ms is None else from_ms)
    if start_ms >= end_ms:
        raise ApiError(
            422,
            "bad_span",
            both(mark("The span is empty, or not settled yet.")),
            both(mark("Ask for a span that ends at least a minute ago.")),
            where="from_ms, to_ms",
        )
    with parts.cloud.state.reading() as connection:
        found = history(connection, position, start_ms, end_ms, start_ms - LOOKBACK_MS)
    made = kpis(found.columns, start_ms, end_ms)
    enough = end_ms - start_ms >= LOOKBACK_MS
    return KpiView(position, start_ms, end_ms, enough, _figures(made, found.alarms), _targets(made, enough))


def _began_ms(parts: Parts, end_ms: int) -> int:
    """Return since when there is a record of anything; days before it are no quiet days."""
    moments = [select(func.min(table.c.at_ms).label("ms")) for table in (schema.TRANSITIONS, schema.AUDIT)]
    found = [row["ms"] for moment in moments for row in parts.cloud.state.rows(moment)]
    return min((ms for ms in found if ms is not None), default=end_ms)


def _figures(made: Kpis, alarms: tuple[str, ...]) -> dict[str, Any]:
    named = {name: [alarms[n] for n in getattr(made, name)] for name in ("chattering", "fleeting", "stale")}
    top = [{"alarm_id": alarms[n], "count": count} for n, count in made.top]
    shares = dict(zip(PRIORITIES, made.priorities, strict=True))
    # Nobody hides an alarm without a name and a reason, so none can be hidden without leave (SAFETY S15 to S19).
    return {**asdict(made), **named, "top": top, "priorities": shares, "unauthorised_suppressions": 0}


def _targets(made: Kpis, enough: bool) -> list[TargetView]:
    found = []
    for target in TARGETS:
        figure = getattr(made, target.figure)
        value = float(len(figure)) if isinstance(figure, tuple) else float(figure)
        met = value <= target.acceptable if enough else None
        found.append(TargetView(target.figure, value, target.acceptable, target.manageable, met, target.source))
    return found


def advice(parts: Parts, actor: Actor, *, closed: bool, limit: int) -> list[AdviceView]:
    """Return advice an actor may see, newest first."""
    table = schema.ADVICE
    query: Select[Any] = select(table).order_by(table.c.last_ms.desc()).limit(limit)
    rows = parts.cloud.state.rows(query if closed else query.where(table.c.closed == ""))
    return [AdviceView(**row) for row in rows if _seen(parts, actor, row)]


def dismissed(parts: Parts, actor: Actor, identity: str, body: Dismissed) -> Answer:
    """Close an advice; one the actor does not see, or that is closed already, does not exist."""
    row = parts.cloud.state.row(select(schema.ADVICE).where(schema.ADVICE.c.id == identity))
    if row is None or not _seen(parts, actor, row):
        raise not_found(both(mark("advice")), identity)
    said = {"op": "dismiss_advice", "advice": identity, "by": actor.name, "comment": body.comment}
    answer = carry_out_change(parts, said)
    if isinstance(answer, Refusal):
        raise not_found(both(mark("advice")), identity)
    return answer


def _seen(parts: Parts, actor: Actor, row: Row) -> bool:
    """Return whether an actor sees the alarm an advice is about."""
    if not actor.hazard_sources:
        return True
    entry = parts.catalogue.register().by_tag.get(row["alarm_id"].rpartition("#")[0])
    return actor.sees(row["hazard_source"]) or (entry is not None and actor.sees(entry.hazard_source))
