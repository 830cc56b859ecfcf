"""Traces and the parts of the time in a real proxy: what a guest sees, and what the log has."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import World, wait_until

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

TOLD = """
import json
from twisted.internet import reactor
from twisted.internet.task import deferLater
from guest import Request, Response, SubscriberProtocol

class Told(SubscriberProtocol):
    async def requestReceived(self, request):
        fields = [[name.decode(), value.decode()] for name, value in request.headers]
        await deferLater(reactor, 0.1)
        return Response(200, [(b"content-type", b"application/json")], json.dumps(fields).encode())
"""

SITES = '[[site]]\nhosts = "blog.example"\npaths = "/timed"\nserver-timing = true\n'


class TraceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.log = self.world.folder / "access.log"
        self.file = self.world.folder / "subproxy.toml"
        (self.world.folder / "told.py").write_text(TOLD)

    def start(self, *options: str) -> None:
        self.file.write_text(SITES)
        self.proxy = self.world.start_proxy(
            f"--access-log={self.log}",
            "--access-log-format=json",
            f"--config={self.file}",
            *options,
        )
        self.world.start_guest("told:Told", r"--host=blog\.example")

    def ask(self, path: str = "/", **sent: str) -> tuple[list[str], dict[str, str], dict[str, Any]]:
        """The C{traceparent} and the request id that the guest was told; the answer's fields; the
        line of the log."""
        status, fields, body = self.world.ask(path, headers=sent)
        self.assertEqual(status, 200)
        told: list[list[str]] = json.loads(body)
        named = {name.lower(): value for name, value in told}
        self.assertEqual(named.get("x-request-id"), fields["x-request-id"])
        of_trace = [name for name, _ in told if name.lower().startswith("trace")]
        self.assertEqual(len({name.lower() for name in of_trace}), len(of_trace))
        line = wait_until(lambda: self.line(fields["x-request-id"]), "the line is written")
        return [named.get("traceparent", ""), named.get("tracestate", "")], fields, line

    def line(self, request_id: str) -> Any:
        if not self.log.exists():
            return None
        lines = map(json.loads, self.log.read_text().splitlines())
        return next((each for each in lines if each["id"] == request_id), None)

    def check(self, *options: str) -> None:
        self.start("--traces=1", *options)
        told, _, line = self.ask()
        self.assertRegex(told[0], "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")
        self.assertEqual(told[0][3:35], line["trace"])
        told, _, line = self.ask(Traceparent=PARENT, Tracestate="a=1")
        self.assertEqual((told, line["trace"]), ([PARENT, "a=1"], PARENT[3:35]))
        told, _, line = self.ask(Traceparent="nonsense", Tracestate="a=1")
        self.assertEqual((told[0][3:35], told[1]), (line["trace"], ""))
        self.assertEqual((line["queued"], line["wake"]), (0.0, 0.0))
        self.assertTrue(0.09 < line["guest"] <= line["first_byte"] <= line["last_byte"])
        _, fields, line = self.ask("/timed")
        self.assertRegex(
            fields["server-timing"], r"^queued;dur=0\.000, wake;dur=0\.000, guest;dur=[0-9.]+$"
        )
        told_time = float(fields["server-timing"].rpartition("=")[2]) / 1000
        self.assertTrue(0.09 < told_time < line["guest"] + 0.001, (told_time, line))

    def test_one_process(self) -> None:
        self.check()

    def test_workers(self) -> None:
        """Whichever has served a request, its way is told."""
        admin = self.world.folder / "admin.sock"
        self.check("--workers=2", f"--admin={admin}")
        for _ in range(4):
            request_id = self.world.ask()[1]["x-request-id"]
            command = [sys.executable, "-m", "subproxy", f"--admin={admin}", "explain", request_id]
            said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertRegex(
                said.stdout,
                rf"^{request_id} at .*, worker [01]\n"
                r"  127\.0\.0\.1: GET / of blog\.example\n"
                r"  route blog\\\.example /\.\*\n  subscriber .*, attempt 1\n  status 200, ",
            )

    def test_the_python_path(self) -> None:
        self.check("--no-fastpath")

    def test_a_reload(self) -> None:
        """Off at first: what a client sends is passed on unread. Then on, then off again."""
        self.start()
        self.assertEqual(self.ask(Traceparent="x")[0], ["x", ""])
        self.assertIsNone(self.ask(Traceparent=PARENT)[2]["trace"])
        for text, trace in (("[http]\ntraces = 0\n", "^00-.{32}-.{16}-00$"), ("", "^$")):
            self.file.write_text(text + SITES)
            self.proxy.signal(signal.SIGHUP)
            wait_until(lambda trace=trace: self.follows() == (trace != "^$"), "it is in force")
            self.assertRegex(self.ask()[0][0], trace)

    def follows(self) -> bool:
        """Whether a guest is told of a trace now."""
        return b"traceparent" in self.world.ask()[2].lower()
