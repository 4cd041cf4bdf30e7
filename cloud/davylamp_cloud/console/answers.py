"""What the console's buttons send and what they are told: a form in, a header out that the page shows as a message."""

import json
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError

from davylamp_cloud.api.commands import Answer
from davylamp_cloud.api.errors import ApiError
from davylamp_cloud.api.language import Bilingual, Language, both, choose, mark
from davylamp_cloud.api.parts import Parts
from davylamp_cloud.console.render import Reader, zone_of

LANGUAGE_COOKIE = "davylamp_language"

Form = dict[str, str]


def reader_of(request: Request, parts: Parts) -> Reader:
    """Return the reader's language: the one picked, else the browser's, else the site's."""
    site = Language(parts.cloud.config.language)
    accepted = request.headers.get("accept-language")
    return Reader(choose(request.cookies.get(LANGUAGE_COOKIE), accepted, site), zone_of(parts.cloud.config))


async def form_of(request: Request) -> Form:
    """Return a form's fields; a body beyond 16 kB is no form of ours."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > 16_384:
            return {}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


async def carried_out(request: Request, parts: Parts, act: Callable[[Form], Awaitable[Answer]]) -> Response:
    """Do what a button says, and tell the page what came of it."""
    try:
        answer = await act(await form_of(request))
    except ValidationError as error:
        return _told(request, parts, 422, both(mark("Something is missing or wrong: {fields}."), fields=_fields(error)))
    except ApiError as error:
        return _told(request, parts, error.status, error.what, error.do)
    if not answer.evaluated:
        return _told(request, parts, 202, both(mark("Recorded, but the engine has not answered yet: watch the alarm.")))
    return _told(request, parts, 204, None)


FIELDS = {
    "comment": mark("reason"),
    "minutes": mark("duration"),
    "permit": mark("permit number"),
    "reason": mark("kind of work"),
    "range": mark("range"),
    "second_token": mark("second person's token"),
}


def _fields(error: ValidationError) -> Bilingual:
    """Return the fields of a form that are wrong, as the form calls them."""
    names = dict.fromkeys(str(item["loc"][0]) for item in error.errors() if item["loc"])
    called = [both(FIELDS[name]) if name in FIELDS else Bilingual(name, name) for name in names]
    return Bilingual("、".join(one.zh for one in called), ", ".join(one.en for one in called))


def _told(request: Request, parts: Parts, status: int, what: Bilingual | None, do: Bilingual | None = None) -> Response:
    """Return an answer whose header makes the page show a message, and close its dialog when all went well."""
    reader = reader_of(request, parts)
    events: dict[str, object] = {"davylamp-done": {"status": status}} if what is None else {}
    if what is not None:
        text = " ".join(reader.say(part) for part in (what, do) if part)
        events["davylamp-message"] = {"text": text, "kind": "refused"}
    return Response(status_code=status, headers={"HX-Trigger": json.dumps(events)})
