"""Streams many small chunks to each who asks, as server-sent events come."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVENTS = 30_000


class Events(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(EVENTS // 100):
            self.wfile.write(b"2\r\n:\n\r\n" * 100)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *arguments: object) -> None:
        """Nothing is logged."""


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Events).serve_forever()
