"""The list of tags: what was typed is looked up, and the values are shown."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.gate import Reader as Allowed
from davylamp_cloud.api.parts import CloudParts, Words
from davylamp_cloud.api.permissions import Permission
from davylamp_cloud.api.tags import TagPage, page_of_tags
from davylamp_cloud.console.answers import reader_of
from davylamp_cloud.console.parts import cell
from davylamp_cloud.console.render import Reader

router = APIRouter(include_in_schema=False)

TAGS_SHOWN = 60


@router.get("/console/tags", response_class=HTMLResponse)
def tag_list(request: Request, parts: CloudParts, actor: Allowed, q: Words = "") -> HTMLResponse:
    """Return the tags that match what was typed."""
    found = page_of_tags(parts, actor, q, TAGS_SHOWN, 0)
    return HTMLResponse(tags_html(reader_of(request, parts), found, actor))


def tags_html(reader: Reader, page: TagPage, actor: Actor) -> str:
    """Return a list of tags with their values as HTML."""
    cells = [(tag, cell(reader, tag.value, tag.text, tag.quality, tag.states)) for tag in page.items]
    return reader.render(
        "parts/tags.html",
        tags=cells,
        total=page.total,
        can_act=actor.may(Permission.SHELVE),
        can_edit=actor.may(Permission.EDIT),
    )
