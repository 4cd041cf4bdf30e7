"""Ports of tests: each process has its own, whatever else runs on the machine."""

import os
import subprocess
import sys
from pathlib import Path

from support.services import PORTS_EACH, free_port


def test_case_two_runs_side_by_side_choose_different_ports() -> None:
    """A run's broker took the port that a run beside it had chosen for a page its edge served seconds later."""
    tests = str(Path(__file__).parent)
    command = "from support.services import free_port; print(*(free_port() for _ in range(9)))"
    mine = [free_port() for _ in range(9)]
    environment = {**os.environ, "PYTHONPATH": tests}
    said = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True)
    theirs = [int(port) for port in said.stdout.split()]
    assert len({*mine, *theirs}) == 18
    assert {port // PORTS_EACH for port in mine}.isdisjoint(port // PORTS_EACH for port in theirs)
