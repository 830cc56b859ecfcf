"""A server that closes a connection that has been idle for a moment, without a word of it."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Impatient(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 0.04

    def do_GET(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        sys.stdout.write(f"{self.command} {self.path} {self.rfile.read(size).decode()}\n")
        sys.stdout.flush()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Impatient).serve_forever()
