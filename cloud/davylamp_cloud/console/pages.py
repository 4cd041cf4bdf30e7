"""The console's pages: the duty room's, and the one that asks for a token."""

from re import fullmatch

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from davylamp_cloud.api.actor import SESSION_MS, Actor
from davylamp_cloud.api.board import Standing
from davylamp_cloud.api.gate import COOKIE, client_of, from_own_page, gate_of
from davylamp_cloud.api.language import Language, mark
from davylamp_cloud.api.parts import CloudParts, Parts
from davylamp_cloud.api.permissions import Permission
from davylamp_cloud.console.answers import LANGUAGE_COOKIE, form_of, reader_of
from davylamp_cloud.console.flood import banners
from davylamp_cloud.console.parts import alarm_values, edge_values
from davylamp_cloud.console.render import Reader
from davylamp_cloud.console.words import page_words, spans

OUR_PAGES = r"/login|/backtest(/backtest-[0-9]{1,9})?"
"""Where a reader goes back to after another language was picked: never where somebody's link says."""

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse)
async def page(request: Request, parts: CloudParts) -> Response:
    """Show the duty room's page, or ask for a token."""
    actor = await gate_of(request).identify(request)
    if actor is None:
        return RedirectResponse("/login", 303)
    reader = reader_of(request, parts)
    standing = await parts.hub.standing()
    html = await run_in_threadpool(_html, reader, parts, actor, standing)
    response = HTMLResponse(html, headers={"Cache-Control": "no-store"})
    _renew(request, response, actor)
    return response


def _html(reader: Reader, parts: Parts, actor: Actor, standing: Standing) -> str:
    """Return the whole page; it takes its time, which no stream's heartbeat may wait for."""
    return reader.render(
        "page.html",
        actor=actor,
        spans=spans(reader),
        page_words=page_words(reader),
        banners=banners(parts, actor, standing),
        can_backtest=actor.may(Permission.BACKTEST),
        **edge_values(parts, actor),
        **alarm_values(reader, parts, actor, standing),
    )


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
    form = await form_of(request)
    gate, reader = gate_of(request), reader_of(request, parts)
    credential = await gate.verify(form.get("token", ""), client_of(request))
    if credential is None:
        wrong = reader.translate(mark("This token is not known. Check it, or ask your administrator."))
        return HTMLResponse(reader.render("login.html", wrong=wrong), 401)
    response = RedirectResponse("/", 303)
    _set_session(request, response, gate.sessions.issue(credential, gate.now_ms()))
    return response


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
    response = RedirectResponse(to if fullmatch(OUR_PAGES, to) else "/", 303)
    response.set_cookie(LANGUAGE_COOKIE, language, 365 * 24 * 3600, samesite="strict", httponly=True)
    return response
