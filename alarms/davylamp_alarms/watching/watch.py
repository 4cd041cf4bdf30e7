"""A watch: a statistical rule over some of a plant's tags, as a person writes it down."""

import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from davylamp_alarms.warning.rule import Settings

SAMPLES = "_samples"


class Calibration(Settings):
    """How training finds a limit, in deviations of the tag.

    Args:
        of: `times` what the rule's own statistic reached in training: at the most, or as root mean square.
        floor: No limit is tighter than this share of the tag's usual value: what the instrument can tell at all.
        least: No limit is tighter than this many deviations: within what single values do nobody sees a shift, however
            narrow the mean of many kept in a short training.
        skip_s: How long the statistic settles before it counts; half of the history at the most.
        counting: `independent`: rows of a value that wanders know of each other, and tell less than they are; where
            they are worth few (independent.py), the limit is wider. `rows`: each counts.
    """

    of: Literal["largest", "rms"] = "largest"
    times: float = Field(gt=0)
    floor: float = Field(default=0.0, ge=0)
    least: float = Field(default=0.0, ge=0)
    skip_s: float = Field(default=0.0, ge=0)
    counting: Literal["rows", "independent"] = "rows"


class Watch(Settings):
    """One rule, its tags and its delays.

    Args:
        id: Watches after this one may name it as a tag that is 1 while it stands.
        tags: Names, or patterns (``TC*_1``). The rule looks at each alone, or at all together where it takes several.
        settings: The rule's own. A time may be given in samples of the plant: ``tau_samples`` for ``tau_s``.
        limit: Where training finds the limit. Without it the limit is among the settings.
        quantile: Of T² and Q in training, for the rule `unit`.
        need: How many of the tags must meet the rule at once; all there are where there are fewer.
        at_least: With fewer tags to look at the watch is not for this plant, and says nothing; `at_most`: with more.
        on_delay_samples: The on-delay of a plant whose period is not known yet; it is added to `on_delay_s`.
        use: What it says is a warning, only an input of watches after it, or makes what it found bad for those.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    rule: str
    tags: tuple[str, ...] = Field(min_length=1)
    settings: dict[str, Any] = Field(default_factory=dict)
    limit: Calibration | None = None
    quantile: float = Field(default=0.975, gt=0, lt=1)
    need: int = Field(default=1, ge=1)
    at_least: int = Field(default=1, ge=1)
    at_most: int | None = Field(default=None, ge=1)
    on_delay_s: float = Field(default=0.0, ge=0)
    off_delay_s: float = Field(default=0.0, ge=0)
    on_delay_samples: int = Field(default=0, ge=0)
    use: Literal["warning", "input", "quality"] = "warning"


class Plan(Settings):
    """The watches of one plant, in the order in which they are asked.

    Args:
        about: What the plan is for, and where its limits come from.
    """

    about: str = ""
    watches: tuple[Watch, ...] = Field(alias="watch")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [watch.id for watch in self.watches]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"two watches are named {', '.join(twice)}: give each an id of its own")
        return self


def default_plan() -> Plan:
    """Return the plan of a plant of which nobody knows anything yet: defaults.toml beside this file."""
    return Plan.model_validate(tomllib.loads(files(__package__).joinpath("defaults.toml").read_text(encoding="utf-8")))


def matching(patterns: Sequence[str], tags: Sequence[str], watches: Sequence[str] = ()) -> list[int]:
    """Return where what is named lies among tags and watches, in the order of the patterns, each once.

    A pattern means tags only: a watch is asked for by its name.
    """
    found: dict[int, None] = {}
    for pattern in patterns:
        found.update((place, None) for place, tag in enumerate(tags) if fnmatchcase(tag, pattern))
        found.update((len(tags) + place, None) for place, watch in enumerate(watches) if watch == pattern)
    return list(found)


def in_seconds(settings: dict[str, Any], period_s: float) -> dict[str, Any]:
    """Return settings with times in samples turned into seconds."""
    turned = {}
    for name, value in settings.items():
        if name.endswith(SAMPLES) and isinstance(value, int | float):
            turned[name.removesuffix(SAMPLES) + "_s"] = value * period_s
        else:
            turned[name] = value
    return turned
