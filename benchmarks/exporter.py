"""Serves numbers to Prometheus: ``python -m benchmarks.exporter TAGS [calm]`` says its port, then obeys line by line.

``/metrics`` has a value a tag: 50, or 95 where its number is a multiple of 100 (1 % of a plant over its limits; none
where it is calm).
``/limits`` has each tag's own limits. ``step N`` lifts tag N to 95 and says when: the time to an alert can be told.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CALM, HIGH = 50.0, 95.0
LIMITS = {"ll": 10.0, "l": 15.0, "h": 85.0, "hh": 90.0}


class Page:
    """The exposition text; changing one series costs one line."""

    def __init__(self, size: int, calm: bool) -> None:
        self._lines = [f'pv{{id="{n}"}} {CALM if calm or n % 100 else HIGH}\n' for n in range(size)]
        self._lock = threading.Lock()
        self._text = "".join(self._lines).encode()
        limits = (f'pv_{name}{{id="{n}"}} {limit}\n' for name, limit in LIMITS.items() for n in range(size))
        self._limits = "".join(limits).encode()

    def text(self, path: str) -> bytes:
        """Return what a scrape of a path gets."""
        with self._lock:
            return self._limits if path == "/limits" else self._text

    def step(self, series: int) -> None:
        """Lift one series above its limits."""
        self._lines[series] = f'pv{{id="{series}"}} {HIGH}\n'
        with self._lock:
            self._text = "".join(self._lines).encode()


def server(page: Page) -> ThreadingHTTPServer:
    """Return a server of the page on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page.text(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def main() -> int:
    """Serve until standard input ends."""
    page = Page(int(sys.argv[1]), "calm" in sys.argv)
    http = server(page)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    _say(port=http.server_address[1])
    for line in iter(sys.stdin.readline, ""):
        match line.split():
            case ["step", series]:
                page.step(int(series))
                _say(at_ms=time.time_ns() // 1_000_000)
    http.shutdown()
    return 0


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    sys.exit(main())
