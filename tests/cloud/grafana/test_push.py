"""`davylamp-cloud grafana push` says the right things to Grafana's HTTP API (recorded answers, real sockets)."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from davylamp_cloud.grafana.push import Database, GrafanaRefused, push
from pydantic import SecretStr

ANSWERS = json.loads((Path(__file__).parent / "recorded" / "answers.json").read_text(encoding="utf-8"))


@dataclass
class Grafana:
    """A server that answers as recorded and keeps what it was told."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=lambda: dict(ANSWERS))
    heard: list[tuple[str, str, Any]] = field(default_factory=list)
    url: str = ""

    def told(self, request: str) -> list[Any]:
        return [body for line, _, body in self.heard if line == request]


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    recorded = Grafana()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            line = f"{self.command} {self.path}"
            recorded.heard.append((line, self.headers.get("Authorization", ""), json.loads(body or b"null")))
            status, answer = recorded.answers.get(line, (500, {"message": f"not recorded: {line}"}))
            encoded = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None:
            """Say nothing: the test looks at what was heard."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorded.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield recorded
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


DATABASE = Database("http://influxdb:8086", "davylamp", SecretStr("influx-secret"))


def test_a_fresh_grafana_gets_source_folder_and_both_dashboards(grafana: Grafana) -> None:
    urls = push(grafana.url, SecretStr("grafana-secret"), DATABASE)
    (source,) = grafana.told("POST /api/datasources")
    assert source["jsonData"]["dbName"] == "davylamp"
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token influx-secret"}
    assert len(grafana.told("POST /api/folders")) == 1
    boards = grafana.told("POST /api/dashboards/db")
    assert [each["dashboard"]["uid"] for each in boards] == ["davylamp-overview-zh", "davylamp-overview-en"]
    assert all(each["overwrite"] and each["folderUid"] == "davylamp" for each in boards)
    assert all(authorization == "Bearer grafana-secret" for _, authorization, _ in grafana.heard)
    assert urls[0].startswith(grafana.url)


def test_a_second_push_replaces_and_adds_nothing(grafana: Grafana) -> None:
    grafana.answers["GET /api/datasources/uid/davylamp-influxdb"] = (200, {"uid": "davylamp-influxdb"})
    grafana.answers["GET /api/folders/davylamp"] = (200, {"uid": "davylamp"})
    push(grafana.url, SecretStr("t"), DATABASE)
    assert len(grafana.told("PUT /api/datasources/uid/davylamp-influxdb")) == 1
    assert grafana.told("POST /api/datasources") == []
    assert grafana.told("POST /api/folders") == []


def test_a_refusal_says_what_to_do_and_no_secret(grafana: Grafana) -> None:
    grafana.answers["GET /api/datasources/uid/davylamp-influxdb"] = (401, {"message": "Invalid API key"})
    with pytest.raises(GrafanaRefused, match=r"401.*role Admin") as refused:
        push(grafana.url, SecretStr("grafana-secret"), DATABASE)
    assert "secret" not in str(refused.value)


def test_a_dead_grafana_is_an_error_that_says_so(grafana: Grafana) -> None:
    with pytest.raises(GrafanaRefused, match="does not answer"):
        push("http://127.0.0.1:1", SecretStr("t"), DATABASE)
