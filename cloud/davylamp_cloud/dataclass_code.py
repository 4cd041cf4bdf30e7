"""The code Python writes for each dataclass, kept compiled from the start before.

A dataclass has its methods written as text and compiled while it is made, each time a process starts. Of the 330
classes a start makes, ours and the libraries', that was a tenth of its time. The same text makes the same code: what
was compiled is kept beside Python's own bytecode, and only new text is compiled.
"""

import builtins
import contextlib
import dataclasses
import marshal
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType
from typing import Any

from davylamp_cloud.kept import keep, kept

HERE = Path(__file__)
MARK = MAGIC_NUMBER.hex()
"""What is kept belongs to one version of bytecode."""


class _Codes:
    """Stands in for the `exec` that `dataclasses` calls."""

    def __init__(self) -> None:
        found = kept(HERE, MARK)
        self._known: dict[str, CodeType] = marshal.loads(found) if found else {}
        self._used: dict[str, CodeType] = {}
        self._complete = True

    def execute(self, text: str, *names: Any) -> None:
        """Execute a text as `exec` does, by its compiled code where that is known."""
        code = self._known.get(text)
        if code is None:
            self._complete = False
            code = compile(text, "<string>", "exec", dont_inherit=True)
        self._used[text] = code
        builtins.exec(code, *names)

    def keep(self) -> None:
        """Keep what was used, where some of it was not kept yet."""
        if not self._complete:
            keep(HERE, MARK, marshal.dumps(dict(self._used)))


@contextlib.contextmanager
def dataclass_code_kept() -> Iterator[None]:
    """Let dataclasses that are made within use the code that is kept, and keep what was compiled at the end."""
    codes = _Codes()
    # A name of the module comes before the built-in one; where `dataclasses` calls no `exec`, nothing changes.
    vars(dataclasses)["exec"] = codes.execute
    try:
        yield
    finally:
        del vars(dataclasses)["exec"]
    codes.keep()
