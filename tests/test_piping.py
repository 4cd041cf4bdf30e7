"""Commands whose output is read no further: `davylamp-cloud backtest … --json | head` and its like."""

import os
import subprocess
import sys

import pytest
from davylamp_wire.piping import UNREAD, as_long_as_read


def unread(*command: str) -> tuple[int, str]:
    """Run a command whose reader has gone before it begins; return its exit code and what it complains of."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as out:
        done = subprocess.run([sys.executable, "-m", *command], stdout=out, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "command",
    [("davylamp_cloud", "--help"), ("davylamp_edge", "--help"), ("davylamp_simulators", "list")],
    ids=lambda command: command[0],
)
def test_a_command_that_nobody_reads_any_more_ends_in_silence(command: tuple[str, ...]) -> None:
    code, complaint = unread(*command)
    assert complaint == ""
    assert code in (0, UNREAD)  # 0: argparse lets it pass where nothing is buffered


def test_a_pipe_of_somebody_else_that_breaks_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def act() -> int:
        raise BrokenPipeError("of a device")

    monkeypatch.setattr(sys, "stdout", sys.__stdout__)

    with pytest.raises(BrokenPipeError, match="of a device"):
        as_long_as_read(act)
