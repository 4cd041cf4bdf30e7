"""What is special to InfluxDB: lines, refusals, quarantine, and what other versions answer.

Only 1.6.7 runs here. 1.8, 2.x and 3 are spoken to as their documentation records the exchange.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from davylamp_cloud.config import HistorianConfig
from davylamp_cloud.historian import HistorianUnavailable, LogNames, open_historian
from davylamp_cloud.historian.influx import InfluxHistorian
from davylamp_cloud.historian.influx_lines import Device, field_of, lines_of, split_fields
from hypothesis import given
from hypothesis import strategies as st
from support.history import MIDNIGHT_MS, Store, create_bucket, everything, rows
from support.services import Influx

T = MIDNIGHT_MS
PREFIXES = {1: "cl2-store,device=store-1 "}
FIELDS = {0: "det_1", 1: "det_2", 2: "det_3", 3: "batch"}


def test_one_line_holds_a_device_s_scan() -> None:
    given_rows = rows([(7, 0, T, 0.5, 0), (7, 1, T, 2.0, 261), (8, 0, T + 1, 0.25, 0)])
    assert lines_of(given_rows, PREFIXES, FIELDS) == [
        "cl2-store,device=store-1 det_1=0.5,det_2=2.0,det_2_q=261i 1700006400000007000",
        "cl2-store,device=store-1 det_1=0.25 1700006400001008000",
    ]


def test_names_are_escaped_and_never_empty() -> None:
    device = Device("", "g 1", "n,2", "d=3", "")
    assert device.prefix == "foreign,device=d\\=3,group=g\\ 1,hazard_source=-,node=n\\,2 "


@given(st.lists(st.tuples(st.sampled_from(["a", "b_q", "c"]), st.floats(), st.integers(0, 600), st.none() | st.text())))
def test_a_line_splits_into_its_points_and_nothing_is_lost(
    readings: list[tuple[str, float, int, str | None]],
) -> None:
    fields = {at: field_of(f"{name}{at}") for at, (name, _, _, _) in enumerate(readings)}
    given_rows = rows(
        [(1, at, T, value, quality) for at, (_, value, quality, _) in enumerate(readings)],
        {at: text for at, (_, _, _, text) in enumerate(readings) if text is not None},
        dict.fromkeys(range(len(readings)), 1),
    )
    lines = lines_of(given_rows, PREFIXES, fields)
    parts = [part for line in lines for part in split_fields(line)]
    assert len(parts) == len(readings)
    bodies = [part.removeprefix(PREFIXES[1]).rsplit(" ", 1)[0] for part in parts]
    assert [",".join(bodies)] == [line.removeprefix(PREFIXES[1]).rsplit(" ", 1)[0] for line in lines] or not readings


@given(st.lists(st.from_regex(r"\A[a-z]{1,2}(_[qt])?_{0,2}\Z"), unique=True))
def test_no_point_s_field_is_another_one_s_quality_or_text(points: list[str]) -> None:
    fields = [field_of(point) + suffix for point in points for suffix in ("", "_q", "_t")]
    assert len(set(fields)) == len(fields)


@pytest.fixture
def store(influx_server: Influx, tmp_path: Path) -> Iterator[Store]:
    config = HistorianConfig(kind="influxdb", url=influx_server.url, bucket=create_bucket(influx_server.url))
    store = Store.fresh(config, tmp_path / "data")
    yield store
    store.end()


def test_a_field_of_another_type_goes_to_quarantine_and_the_rest_goes_on(store: Store) -> None:
    """Somebody else wrote det_2 as a string into our measurement."""
    historian = store.open()
    assert isinstance(historian, InfluxHistorian)
    historian.write_plain([f'cl2-store,device=x det_2="text" {T * 1_000_000}'])
    historian.write(rows([(n, tag, T + n, n + tag / 10, 0) for n in range(1, 4) for tag in range(4)]), 3)
    assert everything(historian, 0).values.tolist() == [1.0, 2.0, 3.0]
    assert everything(historian, 2).values.tolist() == [1.2, 2.2, 3.2]
    assert historian.cursor() == 3
    assert historian.quarantined == 3
    historian.write(rows([(4, 0, T + 4, 4.0, 0), (4, 1, T + 4, 4.1, 0)]), 4)
    assert everything(historian, 0).values.tolist() == [1.0, 2.0, 3.0, 4.0]
    kept = (store.data_dir / "influx-quarantine.lp").read_text()
    assert "conflict" in kept
    assert "det_2=1.1" in kept
    assert "4.1" in kept


def test_a_time_influxdb_cannot_hold_goes_to_quarantine(store: Store) -> None:
    historian = store.open()
    assert isinstance(historian, InfluxHistorian)
    historian.write(rows([(1, 0, 1 << 60, 1.0, 0), (1, 1, T, 2.0, 0)]), 1)
    assert everything(historian, 1).values.tolist() == [2.0]
    assert str(1 << 60) in (store.data_dir / "influx-quarantine.lp").read_text()


def test_another_bucket_is_filled_from_the_beginning(influx_server: Influx, store: Store) -> None:
    store.open().write(rows([(5, 0, T, 1.0, 0)]), 5)
    store.config = store.config.model_copy(update={"bucket": create_bucket(influx_server.url)})
    assert store.open().cursor() == 0


class Recorded(BaseHTTPRequestHandler):
    """Answers as another version would; `answers` are status and body by path, `asked` what came."""

    answers: ClassVar[dict[str, tuple[int, str]]] = {}
    asked: ClassVar[list[tuple[str, str, str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        self._answer(body)

    def do_GET(self) -> None:
        self._answer("")

    def _answer(self, body: str) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", ""), body))
        status, text = self.answers[self.path.split("?")[0]]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@contextmanager
def recorded(**answers: tuple[int, str]) -> Iterator[str]:
    Recorded.answers = {f"/{path.replace('__', '/')}": answer for path, answer in answers.items()}
    Recorded.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Recorded) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def foreign(url: str, folder: Path) -> Iterator[InfluxHistorian]:
    token = folder / "token"
    token.write_text("geheim\n")
    config = HistorianConfig(kind="influxdb", url=url, bucket="plant", org="works", token_file=token)
    store = Store.fresh(config, folder / "data")
    historian = open_historian(config, folder / "data", LogNames(store.log))
    assert isinstance(historian, InfluxHistorian)
    try:
        yield historian
    finally:
        historian.close()
        store.end()


ONE = [(1, 0, T, 1.5, 0)]
NO_BUCKET = '{"code":"not found","message":"bucket \\"plant\\" not found"}'
UNAUTHORIZED = '{"code":"unauthorized","message":"unauthorized access"}'
CONFLICT_V2 = json.dumps(
    {
        "code": "unprocessable entity",
        "message": 'failure writing points to database: partial write: field type conflict: input field "det_1" on '
        'measurement "cl2-store" is type float, already exists as type string dropped=1',
    }
)
EXPIRED_V2 = json.dumps(
    {
        "code": "unprocessable entity",
        "message": "failure writing points to database: partial write: points beyond retention policy dropped=1",
    }
)
ANSWER = {
    "results": [
        {
            "statement_id": 0,
            "series": [
                {
                    "name": "cl2-store",
                    "columns": ["time", "det_1", "det_1_q", "det_1_t"],
                    "values": [[T * 1_000_000 + 7000, 1.5, None, None], [T * 1_000_000 + 1_008_000, -0.0, 261, None]],
                }
            ],
        }
    ]
}


def test_2x_and_3_get_bucket_org_and_token_and_lines(tmp_path: Path) -> None:
    with recorded(api__v2__write=(204, "")) as url, foreign(url, tmp_path) as historian:
        historian.write(rows(ONE), 1)
        assert historian.cursor() == 1
    path, authorization, body = Recorded.asked[0]
    assert "bucket=plant" in path
    assert "org=works" in path
    assert "precision=ns" in path
    assert authorization == "Token geheim"
    line = "cl2-store,device=store-1,group=park,hazard_source=cl2-1,node=edge-1 det_1=1.5 1700006400000001000"
    assert body == line


def test_influxql_is_asked_of_the_1x_route_that_all_versions_have(tmp_path: Path) -> None:
    with recorded(query=(200, json.dumps(ANSWER))) as url, foreign(url, tmp_path) as historian:
        found = historian.read(0, T, T + 1000)
    assert found.values.tolist() == [1.5, -0.0]
    assert np.signbit(found.values[1])
    assert found.qualities.tolist() == [0, 261]
    assert Recorded.asked[0][1] == "Token geheim"
    assert "db=plant" in Recorded.asked[0][0]


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, UNAUTHORIZED), (404, NO_BUCKET), (429, ""), (500, "{}"), (503, '{"message":"shutting down"}')],
)
def test_a_store_that_refuses_for_now_keeps_the_cursor(tmp_path: Path, status: int, body: str) -> None:
    with recorded(api__v2__write=(status, body)) as url, foreign(url, tmp_path) as historian:
        with pytest.raises(HistorianUnavailable, match=str(status)) as caught:
            historian.write(rows(ONE), 1)
        assert historian.cursor() == 0
    assert "geheim" not in str(caught.value)


def test_2x_conflicts_end_in_quarantine_and_expired_points_are_counted(tmp_path: Path) -> None:
    with recorded(api__v2__write=(422, CONFLICT_V2)) as url, foreign(url, tmp_path) as historian:
        historian.write(rows(ONE), 1)
        assert (historian.quarantined, historian.cursor()) == (1, 1)
        Recorded.answers["/api/v2/write"] = (422, EXPIRED_V2)
        historian.write(rows([(2, 1, T, 1.5, 0)]), 2)
        assert (historian.quarantined, historian.expired, historian.cursor()) == (1, 1, 2)


def test_a_store_that_hangs_is_given_up_after_its_timeout(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        config = HistorianConfig(kind="influxdb", url=f"http://127.0.0.1:{port}", timeout_s=0.2)
        store = Store.fresh(config, tmp_path)
        with pytest.raises(HistorianUnavailable, match="does not answer"):
            await asyncio.to_thread(store.open().write, rows(ONE), 1)
        store.end()
        server.close()
        await server.wait_closed()

    asyncio.run(main())
