"""Backtests by API: other limits over this cloud's own records, as a job that can be watched and cancelled.

It runs in a process of its own behind everything else on the machine, so that no alarm waits for it.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from davylamp_cloud.api.actor import Actor
from davylamp_cloud.api.errors import ApiError, Words, not_found
from davylamp_cloud.api.gate import Backtester
from davylamp_cloud.api.language import Language, both, mark
from davylamp_cloud.api.parts import ACTS, LAST_MS, REFUSALS, CloudParts, Parts
from davylamp_cloud.backtest.jobs import Busy, Job, JobState
from davylamp_cloud.backtest.rules import Rule
from davylamp_cloud.config import clock_of

router = APIRouter(prefix="/api/v1/backtests", tags=["backtests"], responses=REFUSALS)

JobId = Annotated[str, Path(pattern=r"^backtest-[0-9]{1,9}$", description="as /backtests lists it")]
Pattern = Annotated[str, Field(min_length=1, max_length=300)]
MOST = 1000

MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}
HARMLESS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
"""An SVG opened by itself is a document: it may run nothing and fetch nothing."""


class Wanted(BaseModel):
    """What to try: by tag id, plant tag or pattern, the keys of a rules file (docs/how-to/backtest.md)."""

    rules: dict[Pattern, Rule] = Field(min_length=1, max_length=MOST)
    against: dict[Pattern, Rule] = Field(
        default_factory=dict, max_length=MOST, description="the limits before; what the cloud did, if empty"
    )
    from_ms: int = Field(ge=0, le=LAST_MS, description="UTC milliseconds")
    to_ms: int = Field(ge=0, le=LAST_MS, description="UTC milliseconds; not included")
    plots: Literal["svg", "png"] | None = Field(
        default=None, description="a picture of each tag the rules mean, 100 at most; needs matplotlib on the cloud"
    )
    language: Language = Field(default=Language.ZH, description="of the pictures")
    ground: Literal["light", "dark"] = Field(default="light", description="of the pictures")
    over: Literal["log", "history"] | None = Field(
        default=None, description="the log while that reaches back, else history, if not said"
    )


class JobView(BaseModel):
    """A job. `done` goes from 0 to 1; `mistakes` say why it failed, each with what to do."""

    id: str
    state: JobState
    done: float
    by: str
    at_ms: int
    from_ms: int
    to_ms: int
    mistakes: list[Words] = []
    earliest_ms: int | None = Field(default=None, description="the log reaches back to this, and no further")


class Plot(BaseModel):
    """The picture of one tag: its course, its limits before and after, and when its alarms stood."""

    tag: str
    href: str


class AnswerView(JobView):
    """A job with its answer, once it is done: what `davylamp-cloud backtest --json` prints."""

    answer: dict[str, Any] | None = None
    plots: list[Plot] = Field(default=[], description="of the tags the rules mean, where pictures were asked for")


@router.post("", status_code=202, responses=ACTS)
def start_backtest(parts: CloudParts, actor: Backtester, body: Wanted) -> JobView:
    """Start a backtest; 409 while another one runs, 503 where there is no place for its pictures."""
    return _view(started(parts, actor, body))


def started(parts: Parts, actor: Actor, body: Wanted) -> Job:
    """Start a backtest, or refuse."""
    if body.from_ms >= body.to_ms:
        raise ApiError(
            422,
            "empty_span",
            both(mark("The span ends before it begins.")),
            both(mark("Give a to_ms after from_ms.")),
            where="to_ms",
        )
    try:
        return parts.backtests.start(actor.name, _request(parts, actor, body))
    except Busy:
        raise ApiError(
            409,
            "busy",
            both(mark("Another backtest runs.")),
            both(mark("Wait until it is done, or cancel it.")),
        ) from None
    except OSError as error:
        raise ApiError(
            503,
            "no_room",
            both(mark("There is no place for the pictures: {reason}."), reason=error.strerror or error),
            both(mark("Ask without pictures, or have room made where TMPDIR of the cloud is.")),
            where="plots",
        ) from None


@router.get("")
def list_backtests(parts: CloudParts, actor: Backtester) -> list[JobView]:
    """List the backtests since the cloud started, newest first, without their answers."""
    return [_view(job) for job in jobs_seen(parts, actor)]


@router.get("/{job}")
def get_backtest(parts: CloudParts, actor: Backtester, job: JobId) -> AnswerView:
    """Tell how far a backtest is, and its answer once it is done."""
    found = job_of(parts, actor, job)
    return AnswerView(**_view(found).model_dump(), answer=found.answer, plots=plots_of(found))


@router.get("/{job}/plots/{number}", response_class=FileResponse)
def get_plot(parts: CloudParts, actor: Backtester, job: JobId, number: Annotated[int, Path(ge=0)]) -> FileResponse:
    """Return one picture, as the answer's `plots` count them."""
    path = job_of(parts, actor, job).picture(number)
    if path is None or not path.is_file():
        raise not_found(both(mark("picture")), str(number))
    return FileResponse(path, media_type=MEDIA[path.suffix], headers=HARMLESS)


@router.delete("/{job}")
def cancel_backtest(parts: CloudParts, actor: Backtester, job: JobId) -> JobView:
    """Cancel a backtest that runs; one that is over stays as it is."""
    found = job_of(parts, actor, job)
    parts.backtests.cancel(found)
    return _view(found)


def _request(parts: Parts, actor: Actor, body: Wanted) -> dict[str, Any]:
    rules, against = (
        {name: rule.model_dump(mode="json", exclude_unset=True) for name, rule in said.items()}
        for said in (body.rules, body.against)
    )
    return {
        "data_dir": str(parts.cloud.config.data_dir),
        "historian": parts.cloud.config.historian.model_dump(mode="json"),
        "over": body.over,
        "plots": body.plots and _look(parts, body),
        "rules": rules,
        "against": against,
        "from_ms": body.from_ms,
        "to_ms": body.to_ms,
        "hazard_sources": sorted(actor.hazard_sources),
    }


def _look(parts: Parts, body: Wanted) -> dict[str, str | None]:
    zone = clock_of(parts.cloud.config.sites).key
    return {"form": body.plots, "language": body.language, "ground": body.ground, "timezone": zone}


def plots_of(job: Job) -> list[Plot]:
    """Return the pictures of a job."""
    return [Plot(tag=one["tag"], href=f"{router.prefix}/{job.id}/plots/{at}") for at, one in enumerate(job.drawn)]


def jobs_seen(parts: Parts, actor: Actor) -> list[Job]:
    """Return the jobs an actor may see, newest first."""
    return [job for job in parts.backtests.all() if _may_see(actor, job)]


def job_of(parts: Parts, actor: Actor, name: str) -> Job:
    """Return a job, or refuse: one of hazard sources the actor does not see does not exist."""
    found = parts.backtests.find(name)
    if found is None or not _may_see(actor, found):
        raise not_found(both(mark("backtest")), name)
    return found


def _may_see(actor: Actor, job: Job) -> bool:
    """Return whether a job tells of nothing but what is this actor's business."""
    asked = job.request["hazard_sources"]
    return not actor.hazard_sources or (bool(asked) and actor.hazard_sources.issuperset(asked))


def _view(job: Job) -> JobView:
    return JobView(
        id=job.id,
        state=job.state,
        done=job.done,
        by=job.by,
        at_ms=job.at_ms,
        from_ms=job.request["from_ms"],
        to_ms=job.request["to_ms"],
        mistakes=[Words(**line) for line in job.mistakes],
        earliest_ms=job.earliest_ms,
    )
