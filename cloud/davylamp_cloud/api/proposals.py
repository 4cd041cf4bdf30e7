"""Proposals: what a later birth wants of a tag. It waits until a person accepts or rejects it (DESIGN)."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.alarms import answered, second_person
from davylamp_cloud.api.catalogue import Entry
from davylamp_cloud.api.commands import Answer
from davylamp_cloud.api.edit_bodies import Decide, DifferenceView, EditPreviewView, ProposalView
from davylamp_cloud.api.edits import edit_act, entry_at, in_force, previewed, put_in_force
from davylamp_cloud.api.errors import not_found
from davylamp_cloud.api.gate import Editor, Reader
from davylamp_cloud.api.language import both, mark
from davylamp_cloud.api.parts import ACTS, REFUSALS, CloudParts, Parts
from davylamp_cloud.settings import Settings, differences
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import Row

router = APIRouter(prefix="/api/v1", tags=["limits"], responses=REFUSALS)

PROPOSAL = r"^[0-9]{1,12}-[0-9]{1,20}(-[a-z][a-z0-9]{0,20})?$"
ProposalId = Annotated[str, Path(pattern=PROPOSAL, description="as /proposals lists it")]


@router.get("/proposals")
def list_proposals(parts: CloudParts, actor: Reader) -> list[ProposalView]:
    """List what births want that nobody has decided on yet."""
    return proposals(parts, actor)


@router.post("/proposals/{proposal}/preview", responses=ACTS)
def preview_proposal(parts: CloudParts, actor: Editor, proposal: ProposalId) -> EditPreviewView:
    """Show what accepting a proposal would do; nothing is changed."""
    found = proposal_of(parts, actor, proposal)
    return previewed_proposal(parts, actor, found)


@router.post("/proposals/{proposal}/accept", responses={**ACTS, 202: {"model": Answer}})
async def accept_proposal(
    request: Request, parts: CloudParts, actor: Editor, proposal: ProposalId, body: Decide, response: Response
) -> Answer:
    """Put what a birth proposes in force."""
    return answered(response, await decided(request, parts, actor, "accept", proposal, body))


@router.post("/proposals/{proposal}/reject", responses={**ACTS, 202: {"model": Answer}})
async def reject_proposal(
    request: Request, parts: CloudParts, actor: Editor, proposal: ProposalId, body: Decide, response: Response
) -> Answer:
    """Keep what is in force; births that want the same again are not asked about again."""
    return answered(response, await decided(request, parts, actor, "reject", proposal, body))


# what the console uses as well


def previewed_proposal(parts: Parts, actor: Actor, found: ProposalView) -> EditPreviewView:
    """Return what accepting a proposal would do. Raises ApiError 409 with the reason where it cannot be done."""
    table = schema.PROPOSALS
    row = parts.cloud.state.row(select(table.c.settings).where(table.c.id == found.id))
    wanted = {} if row is None else Settings.model_validate(row["settings"]).limits
    said = {**edit_act(actor, "accept", found.version, ""), "proposal": found.id}
    return previewed(parts, entry_at(parts, actor, found.index), said, wanted)


async def decided(request: Request, parts: Parts, actor: Actor, op: str, proposal: str, body: Decide) -> Answer:
    """Accept or reject a proposal."""
    found = await run_in_threadpool(proposal_of, parts, actor, proposal)
    entry = await run_in_threadpool(entry_at, parts, actor, found.index)
    second = await second_person(request, actor, body.second_token, entry.hazard_source)
    said = {**edit_act(actor, op, body.version, body.comment), "proposal": proposal, "second": second}
    return await run_in_threadpool(put_in_force, parts, entry, said)


def proposals(parts: Parts, actor: Actor) -> list[ProposalView]:
    """Return the open proposals of the hazard sources an actor sees, oldest first."""
    table = schema.PROPOSALS
    rows = parts.cloud.state.rows(select(table).where(table.c.state == "open").order_by(table.c.seq))
    register = parts.catalogue.register()
    known = ((row, register.by_index.get(row["tag"])) for row in rows)
    return [_proposal(parts, row, entry) for row, entry in known if entry and actor.sees(entry.hazard_source)]


def proposal_of(parts: Parts, actor: Actor, name: str) -> ProposalView:
    """Return an open proposal, or refuse."""
    found = next((one for one in proposals(parts, actor) if one.id == name), None)
    if found is None:
        raise not_found(both(mark("proposal")), name)
    return found


def _proposal(parts: Parts, row: Row, entry: Entry) -> ProposalView:
    live, settings = in_force(parts, entry)
    wanted = Settings.model_validate(row["settings"])
    what = [DifferenceView(*difference) for difference in differences(settings, wanted)]
    who = (row["id"], entry.index, entry.tag, entry.name, entry.unit)
    return ProposalView(*who, int(live["version"]), int(row["proposed_ms"]), what)
