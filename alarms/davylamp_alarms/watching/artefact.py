"""What one training left behind: a file that says from what it was made, and that it is still what was made.

How the file is sealed and what an edge takes from it: davylamp_wire, training_file.py and trained.py.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from davylamp_wire.training_file import FORMAT, VERSION, read_table, sealed_table, unusable
from pydantic import ValidationError

from davylamp_alarms.batch import Floats, Ints
from davylamp_alarms.warning.rule import Settings
from davylamp_alarms.watching.learnt import Learnt
from davylamp_alarms.watching.watch import Watch
from davylamp_alarms.watching.window import Demands, Seen, Stood


class Untaught(Settings):
    """A watch, or one tag of it, that nothing could be learnt for."""

    watch: str
    tag: str = ""
    zh: str
    en: str


class Artefact(Settings):
    """All that a training was made from, and what it learnt.

    Args:
        made_by: The person, as the command knew them.
        source: Where the rows came from.
        from_ms: Of the window, which ends before `to_ms`.
        every_s: How far apart the rows are; each is the mean of the readings in its stretch.
        about: Of the plan.
        watches: The plan's, all of them.
        seen: What the window held of each tag.
        despite_alarms: Whether a person wanted it although alarms stood in the window.
        alarms: Those that did; None: the source of the rows knows of no alarms (a CSV).
        data_sha256: Of tags, times and values as training saw them.
        settings_sha256: Of plan, demands and spacing: the same settings on the same rows learn the same.
    """

    format: str = FORMAT
    version: int = VERSION
    made_ms: int
    made_by: str
    made_with: str
    source: str
    from_ms: int
    to_ms: int
    every_s: float
    rows: int
    about: str
    watches: tuple[Watch, ...]
    demands: Demands
    seen: tuple[Seen, ...]
    despite_alarms: bool
    alarms: tuple[Stood, ...] | None
    data_sha256: str
    settings_sha256: str
    learnt: tuple[Learnt, ...]
    untaught: tuple[Untaught, ...]

    def watch(self, name: str) -> Learnt:
        """Return what the watch of this id learnt.

        Raises:
            KeyError: It is not in the plan, or learnt nothing; the message says which did.
        """
        for one in self.learnt:
            if one.watch.id == name:
                return one
        raise KeyError(f"no watch {name} learnt anything; those that did: {', '.join(o.watch.id for o in self.learnt)}")

    def of(self, rule: str, tag: str) -> Learnt | None:
        """Return what the first watch with this rule learnt that looks at this tag."""
        return next((one for one in self.learnt if one.watch.rule == rule and tag in one.tags), None)


def sealed(artefact: Artefact) -> str:
    """Return the text of the file: JSON, with the SHA-256 of all the rest."""
    return sealed_table(artefact.model_dump(mode="json"))


def load(path: Path) -> Artefact:
    """Return what a file holds.

    Raises:
        ArtefactError: It is not there, no training, of another version, changed since, or incomplete.
    """
    table = read_table(path)
    try:
        return Artefact.model_validate(table)
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise unusable(
            path, f"内容无法使用（{where}）；请重新训练", f"cannot be used ({where}); train again"
        ) from error


def sha256_of_rows(tags: Sequence[str], time_ms: Ints, value: Floats) -> str:
    """Return the SHA-256 of rows: names, times, values, every missing one alike, on any machine."""
    found = hashlib.sha256(json.dumps(list(tags)).encode())
    found.update(np.ascontiguousarray(time_ms, "<i8").tobytes())
    found.update(np.where(np.isnan(value), np.nan, value).astype("<f8").tobytes())
    return found.hexdigest()
