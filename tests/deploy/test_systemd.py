"""The unit under which systemd runs the edge."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest
from davylamp_edge import watchdog
from davylamp_edge.__main__ import BAD_INPUT
from support.services import binary

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "davylamp-edge.service"


@pytest.fixture(scope="module")
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys are told apart by case
    parser.read(UNIT, encoding="utf-8")
    return parser


def test_the_watchdog_bites_later_than_the_agent_gives_itself_up(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert int(service["WatchdogSec"]) > watchdog.STUCK_S
    assert service["RestartPreventExitStatus"] == str(BAD_INPUT)
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_it_writes_where_the_example_keeps_its_journal_and_nowhere_else(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert (service["ProtectSystem"], service["StateDirectory"]) == ("strict", "davylamp")
    assert service["ExecStart"].split()[1:] == ["run", "/etc/davylamp/edge.toml"]


def test_systemd_finds_no_mistake_in_it(tmp_path: Path) -> None:
    """On the machine where tests run the agent lies elsewhere, and there is no user davylamp."""
    analyze = binary("systemd-analyze", "systemd")
    here = re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text(encoding="utf-8"))
    copy = tmp_path / UNIT.name
    copy.write_text(here, encoding="utf-8")
    done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert complaints == [], done.stderr
