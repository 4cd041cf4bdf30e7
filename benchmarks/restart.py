"""Restart after SIGKILL: 100,000 tags, 1,000 standing alarms, the real process, a broker, an edge and a receiver.

From exec to: the alarm list answers whole, the console's page answers, a new alarm is on disk, its notice arrives.
"""

import argparse
import base64
import json
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from davylamp_simulators.regulator import read_received

from benchmarks.past import DEVICES, EDGES, H_ALARMS, POINTS, STANDING, build
from benchmarks.processes import Part, Stage, ask, stage, until
from benchmarks.report import Figure, Report, at_most
from benchmarks.returning import Returning

ROUNDS = 5
TARGET_S = 2.0
SECRET = "webhook_secret"
LIFE_S = 2.0
"""How long a process lives, after all its answers, before it is killed."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Take a folder to keep what was built in, so that the next run begins at once, and whose Python is measured."""
    parser.add_argument("--folder", type=Path, help="build the state here, or use what is there")
    parser.add_argument(
        "--python", type=Path, help="of an installation: python3 -m venv X; X/bin/pip install '.[cloud]'"
    )


def run(folder: Path | None = None, python: Path | None = None) -> Report:
    """Build once, then kill and start again."""
    report = Report("restart")
    if shutil.which("mosquitto") is None:
        report.notes.append("Mosquitto is not installed: apt-get install mosquitto")
        return report
    with tempfile.TemporaryDirectory() as name:
        built = folder or Path(name) / "built"
        if not (built / "state.db").exists():
            report.notes.append(f"building took {build(built):.0f} s")
        with stage(Path(name)) as site:
            shutil.copytree(built, site.folder / "cloud")
            _rounds(report, site, python)
    tags, load = EDGES * DEVICES * POINTS, os.getloadavg()[0]
    report.notes.append(f"{tags:,} tags; load of the machine at the end, its own included: {load:.1f}")
    return report


def _rounds(report: Report, site: Stage, python: Path | None) -> None:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    (site.folder / SECRET).write_text(secret + "\n", encoding="ascii")
    receiver, notices = site.regulator(SECRET)
    own = {"host": site.broker.host, "port": site.broker.port}
    config = site.write("cloud.toml", {"data_dir": "cloud"}, broker=own, http={"port": 0}, receivers=[receiver])
    edge = Returning(site.broker.port)
    found: list[dict[str, float]] = []
    try:
        for number in range(ROUNDS + 1):
            found.append(_round(site, config, edge, number, notices, python))
    finally:
        edge.close()
    _report(report, found[1:])  # the first start only makes a process that can be killed, and bytecode
    lost, repeated = _account(site.folder / "cloud" / "state.db")
    report.add(at_most("transitions lost", lost, "transitions", 0))
    report.add(at_most("transitions repeated", repeated, "transitions", 0))


def _round(
    site: Stage, config: str, edge: Returning, number: int, notices: Path, python: Path | None
) -> dict[str, float]:
    """Start, take the times of the first answers, kill."""
    (site.folder / "cloud" / "http.json").unlink(missing_ok=True)
    edge.announce(number)
    began_s = time.monotonic()
    part = site.installed(f"cloud-{number}", "davylamp_cloud", "run", config, python=python)
    with ThreadPoolExecutor() as others:
        stored, told = others.submit(_stored, site, number), others.submit(_told, notices, number)
        times = {"the whole list of alarms": _answered(site, part) - began_s}
        times["the console's page"] = _page(site) - began_s
        times["a new alarm on disk"] = stored.result() - began_s
        times["its notice at the receiver"] = told.result() - began_s
    times["CPU until then"] = _cpu_s(part)
    times |= _phases(site.folder / f"cloud-{number}.log")
    time.sleep(LIFE_S)
    part.process.kill()
    part.process.wait()
    return times


def _answered(site: Stage, part: Part) -> float:
    address = site.folder / "cloud" / "http.json"
    until(lambda: address.exists() or part.process.poll() is not None, "the start", every_s=0.005)

    def whole() -> bool:
        return int(_json(site, "/api/v1/alarms?limit=1")["total"]) >= STANDING

    until(whole, f"{STANDING} alarms", every_s=0.005)
    return time.monotonic()


def _page(site: Stage) -> float:
    assert "alarm" in ask(_url(site) + "/")
    return time.monotonic()


def _stored(site: Stage, number: int) -> float:
    path = site.folder / "cloud" / "state.db"
    query = "SELECT 1 FROM transitions WHERE tag_id LIKE ?"

    def there() -> bool:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            row = db.execute(query, (f"%/{Returning.name(number)}/%",)).fetchone()
        db.close()
        return row is not None

    until(there, "the new alarm", every_s=0.005)
    return time.monotonic()


def _told(notices: Path, number: int) -> float:
    def there() -> bool:
        return any(f"/{Returning.name(number)}/" in str(one.data.get("tag", "")) for one in read_received(notices))

    until(there, "the new alarm's notice", every_s=0.01)
    return time.monotonic()


def _account(path: Path) -> tuple[int, int]:
    """Return how many transitions are missing, and how many are there more than once."""
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT hazard_source, source_no, occurrence, version FROM transitions").fetchall()
        raised = db.execute("SELECT count(*) FROM transitions WHERE event = 'raised' AND kind = 'H'").fetchone()[0]
        standing = db.execute("SELECT count(*) FROM alarms WHERE letter != 'A' AND kind = 'H'").fetchone()[0]
    db.close()
    numbers: dict[str, list[int]] = {}
    for source, number, _, _ in rows:
        numbers.setdefault(source, []).append(number)
    lost = sum(max(found) - len(set(found)) for found in numbers.values()) + max(0, H_ALARMS - standing)
    steps = [(occurrence, version) for _, _, occurrence, version in rows]
    return lost, len(steps) - len(set(steps)) + max(0, raised - H_ALARMS)


def _report(report: Report, found: list[dict[str, float]]) -> None:
    """Name the best and the worst of the rounds: other work on the machine only ever adds."""
    for name in found[0]:
        values = sorted(times[name] for times in found)
        if name.startswith(("the ", "a ", "its ")):
            report.add(at_most(f"{name}, best of {len(found)}", values[0], "s", TARGET_S))
            report.add(Figure(f"{name}, median", values[len(values) // 2], "s"))
        else:
            report.add(Figure(f"{name}, best", values[0], "s"))
            report.add(Figure(f"{name}, median", values[len(values) // 2], "s"))


def _phases(log: Path) -> dict[str, float]:
    """Return the marks of the start from the process's own log line, which comes once every route is there."""
    line = until(lambda: _line(log), "the end of the start")
    words = dict(word.split("=", 1) for word in line.split() if "=" in word)
    return {f"phase {name[:-2]}": float(value) for name, value in words.items() if name.endswith("_s")}


def _line(log: Path) -> str:
    return next((line for line in log.read_text(encoding="utf-8").splitlines() if "event=started" in line), "")


def _cpu_s(part: Part) -> float:
    fields = Path(f"/proc/{part.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _url(site: Stage) -> str:
    return str(json.loads((site.folder / "cloud" / "http.json").read_text(encoding="utf-8"))["url"])


def _json(site: Stage, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(_url(site) + path))
    return found
