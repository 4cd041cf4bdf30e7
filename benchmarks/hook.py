"""Takes Alertmanager's webhooks: ``python -m benchmarks.hook`` says its port, then a line for each alert it is told."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Hook(BaseHTTPRequestHandler):
    """Says when each alert came, by its tag."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        at_ms = time.time_ns() // 1_000_000
        self.send_response(200)
        self.end_headers()
        for alert in body["alerts"]:
            _say(tag=int(alert["labels"]["id"]), at_ms=at_ms)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def main() -> int:
    """Serve until killed or asked to end."""
    server = HTTPServer(("127.0.0.1", 0), Hook)
    _say(port=server.server_address[1])
    server.serve_forever()
    return 0


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    sys.exit(main())
