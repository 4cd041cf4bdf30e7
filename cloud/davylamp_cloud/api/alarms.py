"""Standing alarms, and what an operator does to them."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from davylamp_alarms.transition import Command, Op
from davylamp_wire.config import SLUG
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.board import read_standing, shown, views
from davylamp_cloud.api.commands import Answer, carry_out, command
from davylamp_cloud.api.errors import ApiError, not_found
from davylamp_cloud.api.gate import Acknowledger, Reader, Resetter, Shelver, gate_of
from davylamp_cloud.api.language import both, mark
from davylamp_cloud.api.parts import ACTS, REFUSALS, CloudParts, Limit, Occurrence, Offset, Parts
from davylamp_cloud.api.permissions import Permission
from davylamp_cloud.api.views import AlarmView
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import Row

router = APIRouter(prefix="/api/v1/alarms", tags=["alarms"], responses=REFUSALS)

LONGEST_SHELF_MINUTES = 7 * 24 * 60

Version = Annotated[int, Field(ge=1, le=1 << 62, description="the version the person saw")]
Comment = Annotated[str, Field(max_length=500)]


class Body(BaseModel):
    """A request's body: a field nobody knows is a mistake, not a silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Act(Body):
    """An act on what a person saw on the screen."""

    version: Version
    comment: Comment = ""


class Shelve(Act):
    """Hide one limit of one tag for a stated time and reason (SAFETY S15, S16)."""

    comment: Annotated[str, Field(min_length=3, max_length=500, description="the reason")]
    minutes: Annotated[int, Field(ge=1, le=LONGEST_SHELF_MINUTES)]
    second_token: SecretStr | None = Field(default=None, description="another person's token, where two are needed")
    break_glass: bool = Field(default=False, description="one person alone, on a site where nobody else is on duty")


@dataclass(frozen=True, slots=True)
class AlarmPage:
    """Some of the standing alarms, most urgent first."""

    total: int
    items: list[AlarmView]


@router.get("")
def list_alarms(
    parts: CloudParts,
    actor: Reader,
    hazard_source: Annotated[str | None, Query(pattern=SLUG)] = None,
    level: Literal["red", "orange", "yellow", "blue"] | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> AlarmPage:
    """List the alarms that stand, wait for a person, or are hidden on purpose."""
    found = [
        alarm
        for alarm in read_standing(parts.cloud.state)
        if actor.sees(alarm.hazard_source)
        and hazard_source in (None, alarm.hazard_source)
        and level in (None, alarm.level)
    ]
    return AlarmPage(len(found), shown(parts.cloud, parts.catalogue, found[offset : offset + limit]))


@router.get("/{occurrence}")
def one_alarm(parts: CloudParts, actor: Reader, occurrence: Occurrence) -> AlarmView:
    """Return the alarm an occurrence is the newest of."""
    return view_of(parts, actor, occurrence)


def view_of(parts: Parts, actor: Actor, occurrence: str) -> AlarmView:
    """Return an alarm with the names of its tag."""
    row = alarm_row(parts, actor, occurrence)
    return views(parts.cloud, parts.catalogue, [row])[0]


def alarm_row(parts: Parts, actor: Actor, occurrence: str) -> Row:
    """Return an alarm's row, or refuse: one of a hazard source the actor does not see does not exist."""
    row = parts.cloud.state.row(select(schema.ALARMS).where(schema.ALARMS.c.occurrence == occurrence))
    if row is None or not actor.sees(row["hazard_source"]):
        raise not_found(both(mark("alarm")), occurrence)
    return row


@router.post("/{occurrence}/acknowledge", responses={**ACTS, 202: {"model": Answer}})
def acknowledge(
    parts: CloudParts, actor: Acknowledger, occurrence: Occurrence, body: Act, response: Response
) -> Answer:
    """Say that a person has seen this version of this occurrence. It says nothing about the process (SAFETY S7)."""
    return answered(response, on_occurrence(parts, actor, Op.ACKNOWLEDGE, occurrence, body))


@router.post("/{occurrence}/reset", responses={**ACTS, 202: {"model": Answer}})
def reset(parts: CloudParts, actor: Resetter, occurrence: Occurrence, body: Act, response: Response) -> Answer:
    """Release a latched alarm whose process is back."""
    return answered(response, on_occurrence(parts, actor, Op.RESET, occurrence, body))


@router.post("/{occurrence}/unshelve", responses={**ACTS, 202: {"model": Answer}})
def unshelve(parts: CloudParts, actor: Shelver, occurrence: Occurrence, body: Act, response: Response) -> Answer:
    """End a shelf now; what began while it was hidden comes back unacknowledged (SAFETY S16)."""
    return answered(response, unshelved(parts, actor, occurrence, body))


@router.post("/{occurrence}/shelve", responses={**ACTS, 202: {"model": Answer}})
async def shelve(
    request: Request, parts: CloudParts, actor: Shelver, occurrence: Occurrence, body: Shelve, response: Response
) -> Answer:
    """Hide one limit of one tag until it expires; red, HH, L2 and fire need a second person's token."""
    source = (await run_in_threadpool(alarm_row, parts, actor, occurrence))["hazard_source"]
    second = await second_person(request, actor, body.second_token, source)
    answer = await run_in_threadpool(shelved, parts, actor, occurrence, body, second)
    return answered(response, answer)


async def second_person(request: Request, first: Actor, token: SecretStr | None, hazard_source: str) -> str:
    """Return the name of the second person, proven by their own token; empty where none was given.

    It takes somebody who may do the same act on the same hazard source.
    """
    if token is None or not token.get_secret_value():
        return ""
    client = request.client.host if request.client else ""
    credential = await gate_of(request).verify(token.get_secret_value(), client)
    if credential is None or not _may_second(credential.actor, first, hazard_source):
        raise ApiError(
            403,
            "second_person",
            both(mark("The second token is not another person's who may shelve.")),
            both(mark("Have a second operator or engineer type their own token.")),
        )
    return credential.actor.name


def on_occurrence(parts: Parts, actor: Actor, op: Op, occurrence: str, body: Act) -> Answer:
    """Do what names an occurrence and its version."""
    alarm_row(parts, actor, occurrence)
    now_ms = parts.cloud.now_ms()
    act = command(op, actor, now_ms, occurrence=occurrence, version=body.version, comment=body.comment)
    return carry_out(parts, act)


def unshelved(parts: Parts, actor: Actor, occurrence: str, body: Act) -> Answer:
    """End the shelf over the alarm the occurrence on the screen belongs to."""
    return carry_out(parts, _on_alarm(parts, actor, Op.UNSHELVE, occurrence, body))


def shelved(parts: Parts, actor: Actor, occurrence: str, body: Shelve, second: str = "") -> Answer:
    """Shelve the one limit of the one tag the occurrence on the screen belongs to."""
    act = _on_alarm(parts, actor, Op.SHELVE, occurrence, body)
    until_ms = act.at_ms + body.minutes * 60_000
    return carry_out(parts, replace(act, second=second, until_ms=until_ms, break_glass=body.break_glass))


def _on_alarm(parts: Parts, actor: Actor, op: Op, occurrence: str, body: Act) -> Command:
    name = alarm_row(parts, actor, occurrence)["alarm_id"]
    said = {"occurrence": occurrence, "version": body.version, "comment": body.comment}
    return command(op, actor, parts.cloud.now_ms(), alarm=name, **said)


def _may_second(second: Actor, first: Actor, hazard_source: str) -> bool:
    return second.name != first.name and second.may(Permission.SHELVE) and second.sees(hazard_source)


def answered(response: Response, answer: Answer) -> Answer:
    """Return an answer under its status: 202 where the act is recorded and the engine still behind."""
    response.status_code = 200 if answer.evaluated else 202
    return answer
