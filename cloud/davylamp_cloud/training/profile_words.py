"""What a training says of single tags, as a profile or a site writes it down (docs/how-to/warn-early.md)."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from davylamp_alarms.watching.artefact import Artefact, sha256_of
from davylamp_alarms.watching.learnt import Learnt

WRITTEN = ("ewma", "cusum")
"""Rules whose lessons are settings: `normal` learns by itself, and no profile holds a unit's model."""


def tables(found: Artefact, patterns: Sequence[str]) -> Iterator[str]:
    """Yield, tag by tag, the tables of its warnings in TOML; the first action is for a person to write."""
    digest = sha256_of(found.model_dump(mode="json"))
    source = f'{{ standard = "training", clause = "SHA-256 {digest[:16]}", basis = "proposal" }}'
    for one, tag in _meant(found, patterns):
        point = tag.rpartition("/")[2]
        key = point if point.replace("_", "").replace("-", "").isascii() and "." not in point else f'"{point}"'
        yield f"# {tag}, watch {one.watch.id}"
        yield f"[points.{key}.warnings.{one.watch.rule}]"
        yield f"settings = {_inline(settings_of(one, tag))}"
        yield f"source = {source}"
        yield '# action = { zh = "先做什么", en = "what to do first" }'
        yield ""


def _meant(found: Artefact, patterns: Sequence[str]) -> list[tuple[Learnt, str]]:
    """Return what was learnt of the tags a pattern means, all without patterns; the first watch of a rule counts."""
    chosen: dict[tuple[str, str], Learnt] = {}
    for one in found.learnt:
        for tag in one.tags if one.watch.rule in WRITTEN else ():
            if not patterns or any(fnmatchcase(tag, pattern) for pattern in patterns):
                chosen.setdefault((tag, one.watch.rule), one)
    return [(one, tag) for (tag, _), one in sorted(chosen.items())]


def settings_of(one: Learnt, tag: str) -> dict[str, Any]:
    """Return the settings of a tag's rule, what was learnt of it among them."""
    of = one.of(tag)
    return {**one.settings, **{name: of[name] for name in ("mean", "deviation", "limit")}}


def _inline(settings: dict[str, Any]) -> str:
    parts = (
        f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value!r}" for name, value in settings.items()
    )
    return f"{{ {', '.join(parts)} }}"
