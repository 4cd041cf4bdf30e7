"""How a profile or a site names a training for its points (docs/how-to/train.md)."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from davylamp_alarms.watching.artefact import Artefact
from davylamp_alarms.watching.learnt import COLUMNS, JOINT, Learnt
from davylamp_wire.trained import DIGITS, MARK
from davylamp_wire.training_file import sha256_of


def tables(found: Artefact, path: Path, patterns: Sequence[str]) -> Iterator[str]:
    """Yield, tag by tag, the tables of its warnings in TOML; the first action is for a person to write.

    A unit warns of one of its points: the first one that a pattern means.
    """
    mark = f"{MARK}{sha256_of(found.model_dump(mode='json'))[:DIGITS]}"
    for one, tag in _meant(found, patterns):
        point = tag.rpartition("/")[2]
        key = point if point.replace("_", "").replace("-", "").isascii() and "." not in point else f'"{point}"'
        yield f"# {tag}, watch {one.watch.id}: {_figures(one, tag)}"
        yield f"[points.{key}.warnings.{one.watch.rule}]"
        yield f'model = "{path.name}"'
        yield from _delays(found, one)
        yield f'source = {{ standard = "training", clause = "{mark}", basis = "proposal" }}'
        yield '# action = { zh = "先做什么", en = "what to do first" }'
        yield ""


def _meant(found: Artefact, patterns: Sequence[str]) -> list[tuple[Learnt, str]]:
    """Return what was learnt of the tags a pattern means, all without patterns; the first watch of a rule counts."""
    chosen: dict[tuple[str, str], Learnt] = {}
    for one in found.learnt:
        meant = [tag for tag in one.tags if not patterns or any(fnmatchcase(tag, pattern) for pattern in patterns)]
        for tag in meant[:1] if one.watch.rule in JOINT else meant:
            chosen.setdefault((tag, one.watch.rule), one)
    return [(one, tag) for (tag, _), one in sorted(chosen.items(), key=lambda item: item[0])]


def _figures(one: Learnt, tag: str) -> str:
    if one.watch.rule in JOINT:
        return f"{len(one.tags)} tags together"
    said, of = COLUMNS[one.watch.rule], one.of(tag)
    return ", ".join(f"{name} {of[name]:.6g}" for name in said if name != "home")


def _delays(found: Artefact, one: Learnt) -> Iterator[str]:
    """Yield the delays of the plan, which belong to what was learnt."""
    on_delay_s = one.watch.on_delay_s + one.watch.on_delay_samples * found.every_s
    for name, value in (("on_delay_s", on_delay_s), ("off_delay_s", one.watch.off_delay_s)):
        if value:
            yield f"{name} = {value:g}"
