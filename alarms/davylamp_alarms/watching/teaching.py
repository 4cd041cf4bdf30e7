"""From a plan and a window of history to a training, or to why the window is none to learn from."""

from collections.abc import Sequence
from dataclasses import dataclass

from davylamp_wire.training_file import sha256_of

from davylamp_alarms.watching.artefact import Artefact, sha256_of_rows
from davylamp_alarms.watching.lessons import learn
from davylamp_alarms.watching.recorded import Recorded
from davylamp_alarms.watching.watch import Plan
from davylamp_alarms.watching.window import Demands, Grid, Refusal, Seen, Stood, refused, standing


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for.

    Args:
        despite_alarms: Learn although alarms stood in the window; the training says so for ever.
        thinned: The rows are means of stretches, and rules that can are to run on such means.
    """

    plan: Plan
    demands: Demands
    grid: Grid
    source: str
    made_ms: int
    made_by: str
    made_with: str
    despite_alarms: bool = False
    thinned: bool = True


class WindowRefused(Exception):
    """The window is none to learn from: every reason there is, for the person who named it."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("; ".join(one.en for one in refusals))
        self.refusals = tuple(refusals)


def teach(asked: Asked, rows: Recorded, window: Sequence[Seen], stood: Sequence[Stood] | None) -> Artefact:
    """Return what the watches of the plan learn from the rows.

    Raises:
        WindowRefused: The rows are too few, have gaps or bad values, or alarms stood and nobody said to learn anyway.
        WatchError: A watch of the plan cannot be made.
    """
    refusals = refused(window, asked.demands)
    if not asked.despite_alarms:
        refusals += standing(stood or ())
    if refusals:
        raise WindowRefused(refusals)
    lessons = learn(asked.plan.watches, rows, thinned=asked.thinned)
    return Artefact(
        made_ms=asked.made_ms,
        made_by=asked.made_by,
        made_with=asked.made_with,
        source=asked.source,
        from_ms=asked.grid.from_ms,
        to_ms=asked.grid.to_ms,
        every_s=rows.period_s,
        rows=asked.grid.rows,
        about=asked.plan.about,
        watches=asked.plan.watches,
        demands=asked.demands,
        seen=tuple(window),
        despite_alarms=asked.despite_alarms,
        alarms=None if stood is None else tuple(stood),
        data_sha256=sha256_of_rows(rows.tags, rows.time_ms, rows.value),
        settings_sha256=_sha256_of_settings(asked),
        learnt=lessons.learnt,
        untaught=lessons.untaught,
    )


def _sha256_of_settings(asked: Asked) -> str:
    watches = [watch.model_dump(mode="json") for watch in asked.plan.watches]
    demands = asked.demands.model_dump(mode="json")
    return sha256_of(
        {"watches": watches, "demands": demands, "every_ms": asked.grid.every_ms, "thinned": asked.thinned}
    )
