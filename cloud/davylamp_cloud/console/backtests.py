"""Backtests on a page of their own: what to try, how far it is, what would have changed, and those before.

Nothing here puts a limit in force; the limits of a tag open with what was tried, and go their own way (SAFETY S20).
"""

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from types import MappingProxyType
from typing import Annotated, Any

from davylamp_wire.point import LimitKind
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.actor import LOCAL_OPERATOR, Actor
from davylamp_cloud.api.backtests import JobId, job_of, jobs_seen, started
from davylamp_cloud.api.errors import ApiError, forbidden
from davylamp_cloud.api.gate import Backtester, gate_of
from davylamp_cloud.api.language import mark
from davylamp_cloud.api.limits import settings_in_force
from davylamp_cloud.api.parts import CloudParts, Parts
from davylamp_cloud.api.permissions import Permission
from davylamp_cloud.api.words import number
from davylamp_cloud.backtest.jobs import Job, JobState
from davylamp_cloud.backtest.rules import Rules, rules_of
from davylamp_cloud.backtest.rules_text import rules_text
from davylamp_cloud.console.answers import Form, form_of, reader_of
from davylamp_cloud.console.backtest_answer import answer_values, lasted, summary
from davylamp_cloud.console.backtest_form import EMPTY, Mistaken, asked_by, form_of_job, patterns_in
from davylamp_cloud.console.render import Reader
from davylamp_cloud.console.tried import ORIGIN, meant_by, seen_by
from davylamp_cloud.console.words import BACKTEST_STATES, page_words

router = APIRouter(include_in_schema=False)

EXAMPLE = """\
["LT-11*"]
limits.H.value = 16
warnings.rate.settings = { window_s = 60, limit = 2 }

["PT-1102"]
without = ["HH"]"""

NAMED = 3
"""Tags of a pattern whose limits are told while it is typed."""

NOTHING_WRONG: Mapping[str, list[str]] = MappingProxyType({})

Again = Annotated[str, Query(pattern=r"^(backtest-[0-9]{1,9})?$")]
Typed = Annotated[str, Query(max_length=2000)]


@router.get("/backtest", response_class=HTMLResponse)
async def backtest_page(
    request: Request, parts: CloudParts, again: Again = "", tags: Typed = "", kind: Typed = ""
) -> Response:
    """Show what can be tried, and what was."""
    actor = await gate_of(request).identify(request)
    if actor is None:
        return RedirectResponse("/login", 303)
    reader = reader_of(request, parts)
    if not actor.may(Permission.BACKTEST):
        return _page(reader, actor, refused=reader.say(forbidden(actor.role, Permission.BACKTEST).what), status=403)
    form = {**EMPTY, "tags": tags, "kind": kind if kind in LimitKind.__members__ else EMPTY["kind"]}
    if again:
        form = form_of_job(job_of(parts, actor, again), reader.zone)
    return _page(reader, actor, by=partial(_by, reader), runs=_runs(reader, parts, actor), **_form_values(form))


@router.get("/backtest/{job}", response_class=HTMLResponse)
async def backtest_of(request: Request, parts: CloudParts, job: JobId) -> Response:
    """Show one backtest: how far it is, and its answer once it is done."""
    actor = await gate_of(request).identify(request)
    if actor is None:
        return RedirectResponse("/login", 303)
    if not actor.may(Permission.BACKTEST):
        return RedirectResponse("/backtest", 303)
    reader = reader_of(request, parts)
    try:
        found = job_of(parts, actor, job)
    except ApiError:  # it is among the last twenty no more, or the cloud was started anew
        return RedirectResponse("/backtest", 303)
    values = await run_in_threadpool(_job_values, reader, parts, actor, found)
    return _page(reader, actor, **values)


@router.get("/console/backtests/{job}", response_class=HTMLResponse)
def backtest_part(request: Request, parts: CloudParts, actor: Backtester, job: JobId) -> HTMLResponse:
    """Show how far a backtest is, and its answer once it is done."""
    reader = reader_of(request, parts)
    return _job(reader, _job_values(reader, parts, actor, job_of(parts, actor, job)))


@router.post("/console/backtests/{job}/cancel", response_class=HTMLResponse)
def cancel(request: Request, parts: CloudParts, actor: Backtester, job: JobId) -> HTMLResponse:
    """Cancel a backtest."""
    reader, found = reader_of(request, parts), job_of(parts, actor, job)
    parts.backtests.cancel(found)
    return _job(reader, _job_values(reader, parts, actor, found))


@router.post("/console/backtests", response_class=HTMLResponse)
async def start(request: Request, parts: CloudParts, actor: Backtester) -> HTMLResponse:
    """Start what the form asks for, or show what is wrong at its fields."""
    reader, form = reader_of(request, parts), await form_of(request)
    try:
        wanted = await run_in_threadpool(asked_by, form, parts, actor, reader)
        job = await run_in_threadpool(started, parts, actor, wanted)
    except Mistaken as error:
        wrong = {name: [reader.say(line) for line in lines] for name, lines in error.wrong.items()}
    except ApiError as error:
        wrong = {"form": [f"{reader.say(error.what)} {reader.say(error.do)}"]}
    else:
        return HTMLResponse("", headers={"HX-Redirect": f"/backtest/{job.id}"})
    return HTMLResponse(reader.render("parts/backtest_form.html", **_form_values(_whole(form), wrong)))


@router.get("/console/backtest-tags", response_class=HTMLResponse)
def tags_meant(request: Request, parts: CloudParts, actor: Backtester, tags: Typed = "") -> HTMLResponse:
    """Say which tags are meant by what is typed, and what limits them now."""
    rules = rules_of({pattern: {} for pattern in patterns_in(tags)}, ORIGIN) if tags.strip() else Rules(ORIGIN, {})
    entries = meant_by(rules, seen_by(parts, actor))
    live = settings_in_force(parts.cloud.state, [entry.index for entry in entries[:NAMED]])
    shown = [
        (entry, [(str(kind), number(limit.value)) for kind, limit in live[entry.index].limits.items()])
        for entry in entries[:NAMED]
        if entry.index in live
    ]
    html = reader_of(request, parts).render(
        "parts/backtest_tags.html", typed=bool(rules.by_pattern), count=len(entries), shown=shown
    )
    return HTMLResponse(html)


def _page(reader: Reader, actor: Actor, status: int = 200, refused: str = "", **values: Any) -> HTMLResponse:
    html = reader.render("backtest.html", actor=actor, page_words=page_words(reader), refused=refused, **values)
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})


def _job(reader: Reader, values: dict[str, Any]) -> HTMLResponse:
    return HTMLResponse(reader.render("parts/backtest_job.html", **values))


def _form_values(form: Form, wrong: Mapping[str, list[str]] = NOTHING_WRONG) -> dict[str, Any]:
    return {
        "form": form,
        "wrong": wrong,
        "kinds": [str(kind) for kind in LimitKind],
        "example": EXAMPLE,
        "can_draw": find_spec("matplotlib") is not None,
    }


def _whole(form: Form) -> Form:
    """Return a form as it was sent, with the boxes that nobody ticked."""
    return {**EMPTY, "plots": "", **form}


def _job_values(reader: Reader, parts: Parts, actor: Actor, job: Job) -> dict[str, Any]:
    """Return what the template of a job needs."""
    answer = answer_values(reader, parts, job) if job.state is JobState.DONE else {}
    return {
        "job": job,
        "by": partial(_by, reader),
        "state": reader.translate(BACKTEST_STATES[job.state]),
        "tried": rules_text(job.request["rules"]),
        "against": bool(job.request["against"]),
        "mistakes": [one[reader.language.value] for one in job.mistakes],
        "left": _left(reader, parts, job),
        "can_edit": actor.may(Permission.EDIT),
        **answer,
    }


def _left(reader: Reader, parts: Parts, job: Job) -> str:
    """Return how long a job may still take; nothing while nobody can know."""
    if job.state is not JobState.RUNNING or job.done < 0.02:
        return ""
    return lasted(reader, round((parts.cloud.now_ms() - job.at_ms) * (1 - job.done) / job.done / 1000) * 1000)


def _by(reader: Reader, job: Job) -> str:
    """Return who asked; whoever sits at a cloud without tokens has no name."""
    return reader.translate(mark("local operator")) if job.by == LOCAL_OPERATOR.name else job.by


def _runs(reader: Reader, parts: Parts, actor: Actor) -> list[tuple[Job, str, str]]:
    """Return former jobs, each with its state and what was tried."""
    jobs = jobs_seen(parts, actor)
    return [
        (job, reader.translate(BACKTEST_STATES[job.state]), "; ".join(summary(job.request["rules"]))) for job in jobs
    ]
