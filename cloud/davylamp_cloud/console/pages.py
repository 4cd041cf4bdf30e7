"""The console's pages and what its buttons send: each act goes the way of the API's own."""

import json
from urllib.parse import parse_qsl

from davylamp_alarms.transition import Op
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.actor import SESSION_MS, Actor
from davylamp_cloud.api.alarms import Act, Shelve, alarm_row, on_occurrence, second_person, shelved, unshelved, view_of
from davylamp_cloud.api.errors import ApiError
from davylamp_cloud.api.gate import COOKIE, Acknowledger, Resetter, Shelver, client_of, from_own_page, gate_of
from davylamp_cloud.api.gate import Reader as Allowed
from davylamp_cloud.api.language import Bilingual, Language, both, choose, mark
from davylamp_cloud.api.parts import CloudParts, Occurrence, Parts, Words
from davylamp_cloud.api.tags import page_of_tags
from davylamp_cloud.console.parts import alarm_values, edge_values, tags_html
from davylamp_cloud.console.render import Reader, zone_of
from davylamp_cloud.console.shelving import shelve_values
from davylamp_cloud.console.words import page_words, spans

router = APIRouter(include_in_schema=False)

LANGUAGE_COOKIE = "davylamp_language"
TAGS_SHOWN = 60


def reader_of(request: Request, parts: Parts) -> Reader:
    """Return the reader's language: the one picked, else the browser's, else the site's."""
    site = Language(parts.cloud.config.language)
    accepted = request.headers.get("accept-language")
    return Reader(choose(request.cookies.get(LANGUAGE_COOKIE), accepted, site), zone_of(parts.cloud.config))


@router.get("/", response_class=HTMLResponse)
async def page(request: Request, parts: CloudParts) -> Response:
    """Show the duty room's page, or ask for a token."""
    actor = await gate_of(request).identify(request)
    if actor is None:
        return RedirectResponse("/login", 303)
    reader = reader_of(request, parts)
    standing = await parts.hub.standing()
    found = await run_in_threadpool(edge_values, parts, actor)
    html = reader.render(
        "page.html",
        actor=actor,
        spans=spans(reader),
        page_words=page_words(reader),
        **found,
        **alarm_values(reader, actor, standing),
    )
    response = HTMLResponse(html, headers={"Cache-Control": "no-store"})
    _renew(request, response, actor)
    return response


def _renew(request: Request, response: Response, actor: Actor) -> None:
    """Let a session in use live on: a duty-room screen must not be signed out in the night."""
    gate = gate_of(request)
    credential = gate.credentials.by_name(actor.name)
    if actor.how == "session" and credential:
        _set_session(request, response, gate.sessions.issue(credential, gate.now_ms()))


def _set_session(request: Request, response: Response, cookie: str) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, cookie, SESSION_MS // 1000, httponly=True, samesite="strict", secure=secure)


@router.get("/login", response_class=HTMLResponse)
async def login_page(request: Request, parts: CloudParts) -> Response:
    """Ask for a token."""
    if not gate_of(request).credentials:
        return RedirectResponse("/", 303)
    return HTMLResponse(reader_of(request, parts).render("login.html", wrong=""))


@router.post("/login", response_class=HTMLResponse)
async def login(request: Request, parts: CloudParts) -> Response:
    """Open a session for the owner of a token."""
    if not from_own_page(request):
        return RedirectResponse("/login", 303)
    form = await _form(request)
    gate, reader = gate_of(request), reader_of(request, parts)
    credential = await gate.verify(form.get("token", ""), client_of(request))
    if credential is None:
        wrong = reader.translate(mark("This token is not known. Check it, or ask your administrator."))
        return HTMLResponse(reader.render("login.html", wrong=wrong), 401)
    response = RedirectResponse("/", 303)
    _set_session(request, response, gate.sessions.issue(credential, gate.now_ms()))
    return response


async def _form(request: Request) -> dict[str, str]:
    """Return a form's fields; a body beyond 16 kB is no form of ours."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > 16_384:
            return {}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session."""
    response = RedirectResponse("/login", 303)
    if from_own_page(request):
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.get("/language/{language}")
async def switch_language(language: Language, to: str = "/") -> Response:
    """Remember a reader's language."""
    response = RedirectResponse("/login" if to == "/login" else "/", 303)
    response.set_cookie(LANGUAGE_COOKIE, language, 365 * 24 * 3600, samesite="strict", httponly=True)
    return response


@router.get("/console/tags", response_class=HTMLResponse)
def tag_list(request: Request, parts: CloudParts, actor: Allowed, q: Words = "") -> HTMLResponse:
    """Return the tags that match what was typed."""
    found = page_of_tags(parts, actor, q, TAGS_SHOWN, 0)
    return HTMLResponse(tags_html(reader_of(request, parts), found))


@router.get("/console/alarms/{occurrence}/shelve", response_class=HTMLResponse)
def shelve_dialog(request: Request, parts: CloudParts, actor: Shelver, occurrence: Occurrence) -> HTMLResponse:
    """Show what shelving would hide, before it is done (SAFETY S16)."""
    reader = reader_of(request, parts)
    alarm = view_of(parts, actor, occurrence)
    return HTMLResponse(reader.render("parts/shelve.html", **shelve_values(reader, parts, alarm)))


@router.post("/console/alarms/{occurrence}/acknowledge")
async def acknowledge(request: Request, parts: CloudParts, actor: Acknowledger, occurrence: Occurrence) -> Response:
    """Acknowledge the version that was on the screen."""
    return await _act(request, parts, actor, Op.ACKNOWLEDGE, occurrence)


@router.post("/console/alarms/{occurrence}/reset")
async def reset(request: Request, parts: CloudParts, actor: Resetter, occurrence: Occurrence) -> Response:
    """Reset a latched alarm."""
    return await _act(request, parts, actor, Op.RESET, occurrence)


@router.post("/console/alarms/{occurrence}/unshelve")
async def unshelve(request: Request, parts: CloudParts, actor: Shelver, occurrence: Occurrence) -> Response:
    """End a shelf now."""
    return await _act(request, parts, actor, Op.UNSHELVE, occurrence)


@router.post("/console/alarms/{occurrence}/shelve")
async def shelve(request: Request, parts: CloudParts, actor: Shelver, occurrence: Occurrence) -> Response:
    """Shelve one limit of one tag, with the second person's token where it is needed."""
    return await _act(request, parts, actor, Op.SHELVE, occurrence)


async def _act(request: Request, parts: Parts, actor: Actor, op: Op, occurrence: str) -> Response:
    """Do what a button says, and tell the page what came of it."""
    form = await _form(request)
    try:
        if op is Op.SHELVE:
            asked = Shelve.model_validate(form)
            source = (await run_in_threadpool(alarm_row, parts, actor, occurrence))["hazard_source"]
            second = await second_person(request, actor, asked.second_token, source)
            answer = await run_in_threadpool(shelved, parts, actor, occurrence, asked, second)
        elif op is Op.UNSHELVE:
            answer = await run_in_threadpool(unshelved, parts, actor, occurrence, Act.model_validate(form))
        else:
            answer = await run_in_threadpool(on_occurrence, parts, actor, op, occurrence, Act.model_validate(form))
    except ValidationError:
        return _told(request, parts, 422, both(mark("Reason and duration are needed.")), "refused")
    except ApiError as error:
        return _told(request, parts, error.status, error.what, "refused", error.do)
    if not answer.evaluated:
        waiting = both(mark("Recorded, but the engine has not answered yet: watch the alarm."))
        return _told(request, parts, 202, waiting, "refused")
    return _told(request, parts, 204, None, "done")


def _told(
    request: Request, parts: Parts, status: int, what: Bilingual | None, kind: str, do: Bilingual | None = None
) -> Response:
    """Return an answer whose header makes the page show a message, and close its dialog when all went well."""
    reader = reader_of(request, parts)
    events: dict[str, object] = {"davylamp-done": {"status": status}} if kind == "done" else {}
    if what is not None:
        text = " ".join(reader.say(part) for part in (what, do) if part)
        events["davylamp-message"] = {"text": text, "kind": kind}
    return Response(status_code=status, headers={"HX-Trigger": json.dumps(events)})
