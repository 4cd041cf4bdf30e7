"""The tags a register was stored with: read when they are asked for, because a start must not wait for all of them.

A restart knows how many there are and what each device and link guards; the words of a hundred thousand tags follow
page by page. What was changed in memory since is never read again, so it does not matter when a page is read.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from davylamp_cloud.registered import Tag
from davylamp_cloud.settings import Settings

PAGE = 256
"""Tags read at once: a device or two."""


@dataclass(frozen=True, slots=True)
class Group:
    """Tags of one device with the same settings; `comm` is the index of the one that says whether it answers."""

    node: str
    device: str
    settings: Settings
    count: int
    comm: int | None = None


class Tags:
    """A list of tags by index, of which the first `count` are read by `load(first, last)` when they are wanted."""

    def __init__(self, count: int = 0, load: Callable[[int, int], Iterable[Tag]] | None = None) -> None:
        self._tags: list[Tag | None] = [None] * count
        self._load = load

    def __len__(self) -> int:
        return len(self._tags)

    def __iter__(self) -> Iterator[Tag]:
        return (self[idx] for idx in range(len(self)))

    @overload
    def __getitem__(self, at: int) -> Tag: ...

    @overload
    def __getitem__(self, at: slice) -> list[Tag]: ...

    def __getitem__(self, at: int | slice) -> Tag | list[Tag]:
        if isinstance(at, slice):
            return [self[idx] for idx in range(*at.indices(len(self)))]
        found = self._tags[at]
        return self._read(at % len(self._tags)) if found is None else found

    def __setitem__(self, idx: int, tag: Tag) -> None:
        self._tags[idx] = tag

    def append(self, tag: Tag) -> None:
        """Take a new tag on, under the next index."""
        self._tags.append(tag)

    def _read(self, idx: int) -> Tag:
        """Read a tag's page; those that are here already stay as they are."""
        assert self._load is not None
        first = idx - idx % PAGE
        for tag in self._load(first, first + PAGE):
            if tag.idx < len(self._tags) and self._tags[tag.idx] is None:
                self._tags[tag.idx] = tag
        found = self._tags[idx]
        if found is None:
            raise LookupError(f"tag {idx} is not in the register on disk")
        return found


@dataclass(frozen=True, slots=True)
class Stored:
    """A register on disk: `index` finds a tag's place by its id, `settings` are those that tags share.

    What is guarded is said by `guarding`, as a register gave it to a snapshot, or where that is empty by `groups`.
    """

    tags: Tags
    index: Callable[[str], int | None]
    settings: Sequence[Settings] = ()
    groups: Sequence[Group] = ()
    guarding: bytes = b""
