"""Prometheus (and Alertmanager) beside the product: real processes on the same numbers, in the same run.

```
exporter ◄─scrape─ Prometheus ─► Alertmanager ─► webhook
```
"""

import json
import urllib.parse
from dataclasses import dataclass
from shutil import which

from support.services import binary, free_port, wait_for_port

from benchmarks.processes import Part, Stage, ask, metrics, until
from benchmarks.timing import Load

CONFIG = """\
global: {{scrape_interval: {period_s}s, scrape_timeout: {period_s}s, evaluation_interval: {period_s}s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: plant
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
"""
LIMITS = """\
  - job_name: limits
    metrics_path: /limits
    scrape_interval: 60s
    scrape_timeout: 30s
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
"""
ALERTING = """\
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]
"""


@dataclass(frozen=True, slots=True)
class Exporter:
    """A process that serves values for scraping (benchmarks.exporter)."""

    part: Part
    port: int


def exporter(site: Stage, size: int, *, calm: bool = False) -> Exporter:
    """Start an exporter of so many tags; 1 % of them are over their limits, where not all are `calm`."""
    part = site.begin("exporter", "benchmarks.exporter", str(size), *["calm"] * calm)
    return Exporter(part, int(part.hear()["port"]))


class Prometheus:
    """A running Prometheus that scrapes one exporter and evaluates rules at the same period."""

    def __init__(
        self, site: Stage, source: Exporter, rules: str, period_s: int, *, limits: bool = False, alertmanager: int = 0
    ) -> None:
        """`limits` are scraped as well; alerts go to the port of an `alertmanager`, where there is one."""
        config = CONFIG + LIMITS * limits + ALERTING * bool(alertmanager)
        ports = {"exporter": source.port, "alertmanager": alertmanager}
        self._part, self.url = _start(site, config, rules, period_s=period_s, **ports)
        self.load = Load.of(self._part.pid)

    def count(self, series: str) -> int:
        """Return how many series match."""
        query = urllib.parse.quote(f"count({series})")
        result = json.loads(ask(f"{self.url}/api/v1/query?query={query}"))["data"]["result"]
        return int(result[0]["value"][1]) if result else 0

    def rule_s(self) -> float:
        """Return how long its rules took the last time, by its own account."""
        return metrics(f"{self.url}/metrics")["prometheus_rule_group_last_duration_seconds"]

    def evaluations(self) -> int:
        """Return how often it evaluated its rules."""
        return int(metrics(f"{self.url}/metrics").get("prometheus_rule_group_iterations_total", 0))

    def rss_mb(self) -> float:
        """Return what it has resident."""
        return self.load.rss_mb()


def _start(site: Stage, config: str, rules: str, **numbers: int) -> tuple[Part, str]:
    folder, port = site.folder / "prometheus", free_port()
    folder.mkdir()
    (folder / "rules.yml").write_text(rules, encoding="utf-8")
    text = config.format(rules=folder / "rules.yml", **numbers)
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    part = site.program(
        "prometheus",
        binary("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    url = f"http://127.0.0.1:{port}"
    wait_for_port(port, part.process)
    until(lambda: _ready(url), "Prometheus")
    return part, url


def _ready(url: str) -> bool:
    try:
        return bool(ask(f"{url}/-/ready"))
    except OSError:
        return False


ALERTMANAGER = """\
route: {{receiver: hook, group_by: ["..."], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: hook, webhook_configs: [{{url: "{url}", send_resolved: false}}]}}]
"""


def alertmanager(site: Stage, url: str) -> int:
    """Start an Alertmanager that tells each alert at once, one a message; return its port."""
    folder, port = site.folder / "alertmanager", free_port()
    folder.mkdir()
    config = folder / "alertmanager.yml"
    config.write_text(ALERTMANAGER.format(url=url), encoding="utf-8")
    part = site.program(
        "alertmanager",
        binary("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=error",
    )
    wait_for_port(port, part.process)
    return port


def scraped(peer: Prometheus, wanted: dict[str, int], seconds: float) -> None:
    """Return once it has so many series of each name and has evaluated its rules three times since."""
    until(lambda: all(peer.count(name) >= size for name, size in wanted.items()), "Prometheus' scrapes", seconds)
    enough = peer.evaluations() + 3
    until(lambda: peer.evaluations() >= enough, "Prometheus' rules", seconds)


def missing() -> str:
    """Return what is not installed and how to get it; empty where both are there."""
    wanted = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}
    gone = [package for program, package in wanted.items() if which(program) is None]
    return f"apt-get install {' '.join(gone)}" if gone else ""


def rules_text(alerts: dict[str, str], delay_s: int) -> str:
    """Return one group of alerts, each an expression that must hold for `delay_s`."""
    hold = f", for: {delay_s}s" if delay_s else ""
    lines = [f'      - {{alert: {name}, expr: "{expression}"{hold}}}' for name, expression in alerts.items()]
    return "groups:\n  - name: limits\n    rules:\n" + "\n".join(lines) + "\n"
