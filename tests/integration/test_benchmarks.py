"""The harness of the benchmarks against real servers: it measures, and it refuses."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.build import ROOT
from benchmarks.measure import InvalidRun, command_line, run
from benchmarks.rig import Rig

CORE = min(os.sched_getaffinity(0))


class Refusing(BaseHTTPRequestHandler):
    """Answers everything with 503, as a proxy without its backend does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class Quiet(ThreadingHTTPServer):
    """Says nothing of clients that left."""

    def handle_error(self, request: object, client_address: object) -> None:
        """The load leaves as soon as it has seen enough."""


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    with Quiet(("127.0.0.1", 0), Refusing) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@skipUnless(shutil.which("cc") or shutil.which("gcc"), "no C compiler")
class HarnessTests(SynchronousTestCase):
    def test_refusesAnswersThatAreNot2xx(self) -> None:
        """A server that answers 503 very fast gives no figure."""
        with refusing() as port:
            command = command_line("load", port, [], connections=2, seconds=0.2, warm=0)
            with self.assertRaises(InvalidRun) as caught:
                run(command, CORE, seconds=30)
        self.assertIn("not 2xx", str(caught.exception))

    def test_refusesBodiesThatAreNot2xx(self) -> None:
        """The same for large bodies."""
        with refusing() as port:
            command = command_line("transfer", port, [], clients=1, transfers=1, size=1000)
            with self.assertRaises(InvalidRun):
                run(command, CORE, seconds=30)

    def test_measuresPlainTwisted(self) -> None:
        """A whole run, of the smallest contender, prints its tables."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.bench", "--print", "--no-install"),
                *("--contenders", "echo-epoll", "--rounds", "1", "--seconds", "0.2"),
                *("--connections", "1,4", "--idle", "50", "--subscriptions", "0"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("| CPU µs a request, connections: | 1 | 4 | new connection |", done.stdout)
        self.assertIn("50 idle connections", done.stdout)


@skipUnless(shutil.which("cc") or shutil.which("gcc"), "no C compiler")
class BackendTests(SynchronousTestCase):
    def test_nginxMovesEveryByte(self) -> None:
        """Downloads and uploads through nginx are counted to the byte, and cost CPU time."""
        from benchmarks.contenders.nginx import UNBUFFERED, Nginx

        nginx = Nginx(extra=UNBUFFERED)
        if nginx.missing():
            self.skipTest(nginx.missing() or "")
        size = 3 * 1024 * 1024 + 17
        with Rig("nginx", CORE, CORE) as rig, contextlib.redirect_stdout(io.StringIO()):
            server = nginx.start(rig)
            for upload in (False, True):
                command = command_line(
                    *("transfer", server.port, server.pids()),
                    clients=3,
                    transfers=6,
                    size=size,
                    upload=upload,
                )
                raw = run(command, CORE, seconds=60)
                self.assertEqual(raw["bytes"], 6 * size, json.dumps(raw))
                self.assertGreater(raw["cpu_ns"], 0)
            directory = rig.directory
        self.assertFalse(directory.exists())
