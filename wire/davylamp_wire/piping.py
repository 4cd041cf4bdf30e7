"""Commands whose output goes on into another program: one that reads no further (`| head`) is no mistake of ours."""

import os
import select
import sys
from collections.abc import Callable

UNREAD = 141
"""The exit code where nobody reads any more: what a shell says of a program that SIGPIPE ended."""


def as_long_as_read(act: Callable[[], int]) -> int:
    """Return a command's exit code; where its reader has gone the command ends in silence, as others do."""
    try:
        try:
            return act()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _unread():
            raise
        return UNREAD


def _unread() -> bool:
    """Return whether it is our output that nobody reads; then let go of it, for Python writes once more at its end."""
    out = sys.stdout.fileno()
    asked = select.poll()
    asked.register(out, 0)
    if not any(said & select.POLLERR for _, said in asked.poll(0)):
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, out)
    os.close(nowhere)
    return True
