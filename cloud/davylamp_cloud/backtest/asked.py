"""What is asked of a cloud, and which of its tags that means."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from davylamp_alarms.backtest.envelope import Envelope
from davylamp_wire.config import ConfigError, mistaken

from davylamp_cloud.backtest.answer import Courses
from davylamp_cloud.backtest.laid import Sees, everything, names_of
from davylamp_cloud.backtest.rules import Rules, unmatched
from davylamp_cloud.store.state import State


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: ``from_ms <= time < to_ms``.

    Args:
        against: The limits before; with `NO_RULES` those that were in force.
        sees: Whose hazard sources are meant and told of.
        courses: Of how many tags pictures may be made; the rules must mean no more.
    """

    rules: Rules
    against: Rules
    from_ms: int
    to_ms: int
    sees: Sees = everything
    courses: int = 0


@dataclass(frozen=True, slots=True)
class Meant:
    """The tags somebody may see: how people call each and its unit, by id; and the courses of those the rules mean."""

    names: Mapping[str, str]
    units: Mapping[str, str]
    courses: Courses | None

    @property
    def envelope(self) -> Envelope | None:
        """What takes the readings, where courses are wanted."""
        return None if self.courses is None else self.courses.envelope


def meant(state: State, asked: Asked) -> Meant:
    """Return which tags are meant.

    Raises:
        ConfigError: A pattern means none, or pictures of too many are wanted.
    """
    tags = [row for row in state.tags() if asked.sees(str(row["hazard_source"]))]
    names = {str(row["tag_id"]): names_of(str(row["tag_id"]), str(row["plant_tag"])) for row in tags}
    if mistakes := [line for one in (asked.rules, asked.against) for line in unmatched(one, list(names.values()))]:
        raise ConfigError(mistakes)
    mine = {int(row["idx"]): str(row["tag_id"]) for row in tags if asked.rules.of(*names[str(row["tag_id"])])}
    if 0 < asked.courses < len(mine):
        raise mistaken(
            f"plots: the rules mean {len(mine)} tags, and {asked.courses} may be drawn; name fewer tags",
            f"plots：规则涉及 {len(mine)} 个位号，最多可画 {asked.courses} 个；请少选位号，或不要曲线图",
        )
    courses = Courses(tuple(mine.values()), Envelope(np.array(list(mine)))) if asked.courses else None
    units = {str(row["tag_id"]): str(row["unit"]) for row in tags}
    return Meant({tag_id: called[0] for tag_id, called in names.items()}, units, courses)
