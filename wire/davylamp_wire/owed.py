"""What a person still owes some tags: nothing here is wrong, and nobody would notice that it is missing.

Counted and listed in full at the end of `davylamp-edge check` and `davylamp-cloud check`, in both languages.
"""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from davylamp_wire.ceilings import unjudged
from davylamp_wire.lint import unlimited
from davylamp_wire.lint_warnings import unlearnt
from davylamp_wire.point import Point

_WIDTH = 116


def owed(tags: Sequence[tuple[str, Point]]) -> Iterator[str]:
    """Yield the lists of tags without limits, alarms without an action, rules untaught, gases without a ceiling."""
    yield from _listed("tags without limits (无限值的位号)", [tag for tag, point in tags if unlimited(point)])
    yield from _listed(
        "alarms without a first action (无首要处置措施的报警)",
        [f"{tag}/{kind}" for tag, point in tags for kind, limit in point.limits.items() if limit.action is None],
    )
    untaught = [f"{tag}/{one.key.removeprefix('warnings.')}" for tag, point in tags for one in unlearnt(point)]
    if untaught:
        what = "rules that say nothing, not knowing what is usual; train them (未训练的统计规则，不会提示；请先训练)"
        yield from _listed(what, untaught)
    found = [tag for tag, point in tags if unjudged(point)]
    if found:
        yield from _listed("gas tags held against no ceiling, say their gas (未核对上限的气体位号，请写明 gas)", found)


def _listed(what: str, names: Sequence[str]) -> Iterator[str]:
    yield f"note: {what}: {len(names)}"
    yield from wrap(", ".join(names), _WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
