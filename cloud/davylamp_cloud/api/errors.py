"""Refusals a client can act on: what is wrong, where, and what to do, in both languages.

Body: ``{"error": code, "what": {zh, en}, "where": str, "do": {zh, en}}``. Nothing internal is ever in it.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from davylamp_cloud.api.language import Bilingual, both, mark


class Words(BaseModel):
    """One text in both languages."""

    zh: str
    en: str


class ErrorBody(BaseModel):
    """What every refusal carries."""

    error: str
    what: Words
    where: str
    do: Words
    details: list[str] = []


class ApiError(Exception):
    """A refusal with its HTTP status; `what` and `do` are texts in both languages, `details` one line per mistake."""

    def __init__(
        self, status: int, error: str, what: Bilingual, do: Bilingual, where: str = "", details: Sequence[str] = ()
    ) -> None:
        super().__init__(what.en)
        self.status, self.error, self.what, self.do, self.where = status, error, what, do, where
        self.details = list(details)


def not_found(kind: Bilingual, name: str) -> ApiError:
    """Return the refusal for something that does not exist, or that the asker may not know of."""
    return ApiError(
        404,
        "not_found",
        both(mark("There is no {kind} {name}."), kind=kind, name=name[:200]),
        both(mark("Check the name; the list shows what exists.")),
        where=name[:200],
    )


def unauthenticated() -> ApiError:
    return ApiError(
        401,
        "unauthenticated",
        both(mark("Nobody is signed in, or the token is not known.")),
        both(mark("Send a token as 'Authorization: Bearer …', or sign in at the console.")),
    )


def forbidden(role: str, permission: str) -> ApiError:
    return ApiError(
        403,
        "forbidden",
        both(mark("The role {role} may not do this ({permission})."), role=role, permission=permission),
        both(mark("Ask someone whose role allows it, or an administrator for another token.")),
    )


def foreign_origin() -> ApiError:
    return ApiError(
        403,
        "foreign_origin",
        both(mark("This request did not come from this console's own page.")),
        both(mark("Open the console by its own address and do it there, or use a bearer token.")),
    )


def not_started() -> ApiError:
    return ApiError(
        503,
        "not_started",
        both(mark("The alarm engine has not started yet.")),
        both(mark("Wait a few seconds and ask again; the standing alarms can be read meanwhile.")),
    )


def install(app: FastAPI) -> None:
    """Give every failure of an app the same body."""
    app.add_exception_handler(ApiError, _refuse)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _crashed)


def _body(request: Request, status: int, error: ErrorBody) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    error.where = error.where or request.url.path
    return JSONResponse(error.model_dump(), status_code=status, headers=headers)


def _words(text: Bilingual) -> Words:
    return Words(zh=text.zh, en=text.en)


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    words = {"what": _words(error.what), "do": _words(error.do)}
    body = ErrorBody(error=error.error, where=error.where, details=error.details, **words)
    return _body(request, error.status, body)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    body = ErrorBody(
        error="invalid",
        what=_words(both(mark("The request has {count} mistake(s)."), count=len(error.errors()))),
        where=request.url.path,
        do=_words(both(mark("Mend what 'details' names and send it again."))),
        details=[_mistake(item) for item in error.errors()],
    )
    return _body(request, 422, body)


def _mistake(item: dict[str, Any]) -> str:
    return f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    body = ErrorBody(
        error={404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused"),
        what=_words(both(mark("The server refused this ({status})."), status=error.status_code)),
        where=request.url.path,
        do=_words(both(mark("See /api/v1/openapi.json for what can be asked."))),
    )
    response = _body(request, error.status_code, body)
    response.headers.update(error.headers or {})
    return response


async def _crashed(request: Request, error: Exception) -> JSONResponse:
    """Answer what nobody foresaw. Starlette logs the traceback; the client learns nothing internal."""
    body = ErrorBody(
        error="internal",
        what=_words(both(mark("Something failed inside the cloud; alarms go on."))),
        where=request.url.path,
        do=_words(both(mark("Try again; if it stays, give the time and this address to whoever runs the server."))),
    )
    return _body(request, 500, body)
