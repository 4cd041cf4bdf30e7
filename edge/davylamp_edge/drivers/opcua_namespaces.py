"""Which number a namespace has now. A server may give others after a restart, and ``ns=2`` would read other nodes.

Pure: the server's namespace arrays come in, one for each session.
"""

from collections.abc import Iterator, Sequence

FIRST_OF_SERVER = 2
"""0 is OPC UA's own, 1 the server itself under a name that may change with its host; both stay where they are."""


class Namespaces:
    """The namespaces of one server, as the first session had them and as they are now."""

    def __init__(self) -> None:
        self._first: tuple[str, ...] = ()
        self._now: tuple[str, ...] = ()

    def learn(self, names: Sequence[str]) -> list[str]:
        """Take what this session's server says; return what has moved since the last one, in words."""
        before = [self.number(at) for at in range(len(self._first))]
        self._first, self._now = self._first or tuple(names), tuple(names)
        return list(self._moved(before))

    def _moved(self, before: Sequence[int | None]) -> Iterator[str]:
        for at, was in enumerate(before):
            number = self.number(at)
            if number != was:
                yield f"ns={at} ({self._first[at]}): {'gone' if number is None else f'now ns={number}'}"

    def of(self, uri: str) -> int | None:
        """Return the number a namespace has now; None where the server has no such."""
        return self._now.index(uri) if uri in self._now else None

    def uri(self, number: int) -> str | None:
        """Return the namespace that has a number now."""
        return self._now[number] if 0 <= number < len(self._now) else None

    def number(self, first: int) -> int | None:
        """Return which number the namespace has now that had this one in the first session.

        None where its number belongs to another namespace that was known then: what would be read is another node. A
        namespace that is merely called otherwise now keeps its number.
        """
        if not FIRST_OF_SERVER <= first < len(self._first):
            return first
        found = self.of(self._first[first])
        if found is not None:
            return found
        return first if self.uri(first) not in self._first else None
