"""The trainings that tried rules name: read once, and what they say of a tag put among its rule's settings.

An edge reads the same file, and says the same settings in its birth (decision 0032): so a training is tried before it
is in force anywhere.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from davylamp_wire.config import ConfigError, mistaken
from davylamp_wire.finding import below
from davylamp_wire.point import EarlyWarning
from davylamp_wire.trained import FIXED, LEARNT, UNIT, Place, Training, read_training, taught
from davylamp_wire.training_file import ArtefactError

FOLDER = "trainings"
"""In a cloud's data folder: what its API may name. Of other files it tells nobody whether they are there."""

Reads = Callable[[str], Training]
"""Returns the training that a rule names. Raises ConfigError."""


def beside(folder: Path) -> Reads:
    """Return what reads trainings named by a rules file, beside it or wherever it says."""
    return lambda name: _read(folder / name)


def kept_in(data_dir: Path) -> Reads:
    """Return what reads trainings named by a request, from one folder of the cloud."""

    def read(name: str) -> Training:
        if Path(name).name != name:
            raise mistaken(
                f"{name}: name the file alone; it has to be in {FOLDER} of the cloud's data folder",
                f"{name}：请只写文件名；该文件须在云端数据目录的 {FOLDER} 中",
            )
        return _read(data_dir / FOLDER / name)

    return read


def none_at_all(name: str) -> Training:
    """Refuse: nobody can read files here."""
    raise mistaken(f"{name}: no training can be read here", f"{name}：此处不能读取训练结果")


def _read(path: Path) -> Training:
    try:
        return read_training(path)
    except ArtefactError as error:
        zh, en = error.words
        raise mistaken(en, zh) from None


@dataclass(frozen=True, slots=True)
class Column(Place):
    """A tag as a CSV names it: a training of that CSV names it so, too."""

    @property
    def tag(self) -> str:
        """The name of the column."""
        return self.point

    def full(self, name: str) -> str:
        """Return the name as it is."""
        return name

    def short(self, tag: str) -> str:
        """Return the name as it is."""
        return tag

    def missing(self, tags: Sequence[str]) -> list[str]:
        """Return which columns the file has not."""
        return [tag for tag in tags if tag not in self.tags]


def place_of(tag_id: str, tags: Collection[str]) -> Place:
    """Return where a tag's rules stand; `tags` are all ids there are."""
    device, _, point = tag_id.rpartition("/")
    return Place(device, point, device.rpartition("/")[0], tags)


def untaught(rule: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a rule in force without what another training left in them."""
    gone = {*LEARNT.get(rule, ()), *FIXED}
    return {name: value for name, value in known.items() if name not in gone}


def with_training(rule: str, warning: EarlyWarning, place: Place, training: Training, where: str) -> EarlyWarning:
    """Return a rule with what a training says of its tag.

    Raises:
        ConfigError: They do not fit each other.
    """
    found = taught(rule, warning, place, training)
    if isinstance(found, EarlyWarning):
        return found
    raise ConfigError(list(below(where, found)))


def inputs_of(rule: str, training: Training) -> Sequence[str]:
    """Return the tags that a rule looks at by its training."""
    if rule != UNIT:
        return ()
    return [tag for lesson in training.lessons if lesson.rule == UNIT for tag in lesson.tags]
