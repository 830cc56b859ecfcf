"""Programs that know nothing of the proxy, behind it: C{python -m guest --to=... -- PROGRAM}."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import Process, World, free_port, wait_until
from tests.integration.node import node_folder

PROGRAMS = Path(__file__).resolve().parent / "programs"
GUEST = str(Path(sys.executable).parent / "subproxy-guest")
SERVER = str(PROGRAMS / "server.js")
ENDLESS = str(PROGRAMS / "endless.js")


def node() -> str:
    """The command."""
    return f"{node_folder()}/node"


class SidecarCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.host = f"{self.id().rpartition('.')[2].replace('_', '-')}.example"
        self.port = free_port()
        self.notes = self.world.folder / f"{self.host}.notes"

    def ours(self) -> list[str]:
        """The command that is tested; tests/integration/test_go_sidecar.py has another."""
        return [sys.executable, "-m", "guest"]

    def sidecar(self, *arguments: str, to: str = "", wait: bool = True) -> Process:
        """
        A sidecar for this test's host; it ends with the test.

        @param wait: for its registration, at a proxy.
        """
        if wait and self.world.proxy is None:
            self.world.start_proxy("--hold=0")
        to = to or f"http://127.0.0.1:{self.port}"
        proxy = f"--proxy=unix:{self.world.vsock}_12345"
        command = [*self.ours(), proxy, f"--host={self.host}", f"--to={to}"]
        process = self.world.start(self.host.partition(".")[0], [*command, *arguments])
        if wait:
            process.wait_for("registered")
        return process

    def node(self, *arguments: str, where: str = "", wait: bool = True, to: str = "") -> Process:
        """One with Node's server."""
        program = [node(), SERVER, where or str(self.port), str(self.notes)]
        return self.sidecar(*arguments, "--", *program, wait=wait, to=to)

    def ask(self, path: str, **more: Any) -> tuple[int, dict[str, str], bytes]:
        return self.world.ask(path, host=self.host, **more)

    def raw(self, text: str, *later: bytes) -> bytes:
        """All that comes back over a connection of its own."""
        text = text.replace("\n", "\r\n").replace("HOST", f"Host: {self.host}\r\nConnection: close")
        with socket.create_connection(("127.0.0.1", self.world.port), 20) as client:
            client.sendall(text.encode())
            for piece in later:
                time.sleep(0.05)
                client.sendall(piece)
            reply = b""
            while more := client.recv(65_536):
                reply += more
        return reply

    def gone(self) -> bool:
        """Nobody serves this host."""
        return self.ask("/hello")[0] in (404, 503)


class NodeCase(SidecarCase):
    """All of HTTP/1.1 that there is, with Node's own server."""

    def all_of_it(self, *arguments: str) -> None:
        """One program, and one sidecar, take it all."""
        guest = self.node(*arguments)
        self.requests(guest)
        self.streams()
        self.the_client_waits_for_100()
        self.early_answers()
        self.what_breaks(guest)
        self.the_client_leaves()
        self.assertNotIn("Traceback", guest.output)

    def requests(self, guest: Process) -> None:
        self.assertEqual(self.ask("/hello")[2], b"hello\n")
        guest.wait_for("started, process")
        head = json.loads(self.ask("/head?a=b", method="DELETE", headers={"Origin": "http://o"})[2])
        self.assertEqual((head["method"], head["url"]), ("DELETE", "/head?a=b"))
        self.assertEqual(head["headers"]["host"], self.host)
        self.assertEqual(head["headers"]["x-forwarded-for"], "127.0.0.1")
        self.assertEqual(head["headers"]["origin"], "http://o")
        self.assertNotIn("expect", head["headers"])
        status, fields, body = self.ask("/hello", method="HEAD")
        self.assertEqual((status, body), (200, b""))
        self.assertNotEqual(fields.get("content-length"), "0")
        self.assertEqual(self.ask("/nothing")[0], 404)
        for size in (0, 1, 65_536, 65_537, 3_000_000):
            body = os.urandom(size)
            status, _, got = self.ask("/echo", method="POST", body=body)
            self.assertEqual((status, got == body), (200, True), size)

    def streams(self) -> None:
        """Pieces as they come, both ways; trailers, interim responses."""
        answer = self.raw("GET /slowly HTTP/1.1\nHOST\n\n")
        self.assertEqual(answer.count(b"tick"), 3)
        answer = self.raw("GET /trailers HTTP/1.1\nTE: trailers\nHOST, TE\n\n")
        self.assertIn(b"0\r\nX-Digest: abc\r\n\r\n", answer)
        chunked = "POST /sent-trailers HTTP/1.1\nTransfer-Encoding: chunked\nHOST\n\n"
        answer = self.raw(chunked, b"3\r\nabc\r\n", b"0\r\nX-Sum: 1\r\n\r\n")
        self.assertIn(b'{"x-sum":"1"}', answer)
        answer = self.raw("GET /hints HTTP/1.1\nHOST\n\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 103 "), answer)
        self.assertIn(b"</style.css>; rel=preload", answer)
        self.assertTrue(answer.endswith(b"hinted"))
        answer = self.raw(
            "POST /echo HTTP/1.1\nTransfer-Encoding: chunked\nHOST\n\n",
            b"3\r\nabc\r\n",
            b"3\r\ndef\r\n",
            b"0\r\n\r\n",
        )
        self.assertIn(b"abc", answer)
        self.assertIn(b"def", answer)

    def the_client_waits_for_100(self) -> None:
        answer = self.raw(
            "POST /echo HTTP/1.1\nExpect: 100-continue\nContent-Length: 3\nHOST\n\n", b"abc"
        )
        self.assertTrue(answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"))
        self.assertTrue(answer.endswith(b"abc") or answer.endswith(b"3\r\nabc\r\n0\r\n\r\n"))
        answer = self.raw(
            "POST /too-large HTTP/1.1\nExpect: 100-continue\nContent-Length: 3\nHOST\n\n"
        )
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)

    def early_answers(self) -> None:
        """Before the body has come; the program closes, and resets what we still send."""
        for _ in range(20):
            client = HTTPConnection("127.0.0.1", self.world.port, timeout=20)
            client.request("POST", "/too-large", bytes(300_000), {"Host": self.host})
            response = client.getresponse()
            self.assertEqual((response.status, response.read()), (413, b"too large"))
            client.close()
        self.assertEqual(self.ask("/hello")[0], 200)

    def what_breaks(self, guest: Process) -> None:
        self.assertEqual(self.ask("/gone")[0], 502)
        self.assertEqual(self.ask("/gone", method="POST", body=b"x")[0], 502)
        self.assertRaises((HTTPException, OSError), self.ask, "/breaks")
        guest.wait_for("No answer to GET /gone")
        self.assertEqual(self.ask("/hello")[0], 200)

    def the_client_leaves(self) -> None:
        """The program is told."""
        self.notes.unlink()
        text = f"GET /slowly HTTP/1.1\r\nHost: {self.host}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.world.port), 20) as client:
            client.sendall(text.encode())
            client.recv(1000)
        wait_until(self.notes.exists, "the program hears of it")
        self.assertEqual(self.notes.read_text(), "closed false\n")


class NodeTests(NodeCase):
    def test_all_of_it_on_asyncio(self) -> None:
        self.all_of_it("--loop=asyncio")

    def test_all_of_it_on_uvloop(self) -> None:
        self.all_of_it("--loop=uvloop")


class NodeAddressTests(SidecarCase):
    """Where it listens, who it is taken for, and what it changes to."""

    def test_a_unix_socket_and_another_host(self) -> None:
        path = str(self.world.folder / "node.sock")
        self.node("--host-header=localhost:5173", where=path, to=f"unix:{path}")
        self.assertEqual(self.ask("/hello")[2], b"hello\n")
        self.assertEqual(len(self.ask("/echo", method="PUT", body=bytes(100_000))[2]), 100_000)
        fields = json.loads(self.ask("/head", headers={"Origin": f"http://{self.host}"})[2])[
            "headers"
        ]
        self.assertEqual(fields["host"], "localhost:5173")
        self.assertEqual(fields["x-forwarded-host"], self.host)
        self.assertEqual(fields["origin"], f"http://{self.host}")

    def test_other_protocols(self) -> None:
        """What the sidecar names, and the proxy allows: a client may change to that."""
        file = self.world.folder / "subproxy.toml"
        file.write_text('[default]\nupgrades = ["websocket", "tcp", "foo/2"]\n')
        self.world.start_proxy("--hold=0", f"--config={file}")
        self.node("--upgrade=TCP")
        for asked, changes in ((b"bar, tcp", True), (b"Foo/2", False)):
            with socket.create_connection(("127.0.0.1", self.world.port), 20) as client:
                more = b"Upgrade: %b\r\nConnection: Upgrade%b\r\n" % (
                    asked,
                    b"" if changes else b", close",
                )
                host = self.host.encode()
                client.sendall(b"POST /hello HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (host, more))
                said = client.recv(65_536)
                if changes:
                    client.sendall(b"there and back")
                    client.shutdown(socket.SHUT_WR)
                while piece := client.recv(65_536):
                    said += piece
            head, _, rest = said.partition(b"\r\n\r\n")
            if changes:
                self.assertTrue(head.startswith(b"HTTP/1.1 101 "), said)
                self.assertIn(b"\r\nUpgrade: tcp", head)
                self.assertEqual(rest, b"POST /hello tcp\nthere and back")
            else:
                self.assertTrue(head.startswith(b"HTTP/1.1 200 "), said)


class LifeTests(SidecarCase):
    """From its start to its end."""

    def test_from_start_to_end(self) -> None:
        began = time.monotonic()
        guest = self.node("--ready=/healthz")
        self.assertGreater(time.monotonic() - began, 0.5)
        self.assertEqual(self.ask("/hello")[0], 200)
        self.it_is_started_again(guest)
        guest.signal(signal.SIGHUP)
        wait_until(self.notes.exists, "the program got it")
        self.what_is_under_way_is_finished(guest)
        self.assertEqual(guest.wait(), 7, guest.output)
        self.assertEqual(self.notes.read_text(), "hup\nclosed true\nterm\n")
        self.assertTrue(self.gone())

    def it_is_started_again(self, guest: Process) -> None:
        """Unregistered while it is down; then as before."""
        first = int(self.ask("/pid")[2])
        os.kill(first, signal.SIGKILL)
        wait_until(self.gone, "it is unregistered")
        guest.wait_for("registered", 2)
        guest.wait_for("ended by SIGKILL, status 137")
        self.assertNotEqual(int(self.ask("/pid")[2]), first)
        self.assertEqual(self.ask("/crash", method="POST", body=b"x")[0], 502)
        guest.wait_for("registered", 3)
        guest.wait_for("ended, status 3")

    def what_is_under_way_is_finished(self, guest: Process) -> None:
        """Before the program hears of the end."""
        with socket.create_connection(("127.0.0.1", self.world.port), 20) as client:
            client.sendall(f"GET /slowly HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
            # In chunks, or with a length if all of it had come before somebody looked.
            answer = HTTPResponse(client)
            answer.begin()
            guest.signal(signal.SIGTERM)
            reply = answer.read()
        self.assertEqual(reply.count(b"tick"), 3)

    def test_its_children_end_too(self) -> None:
        """Those of a shell that is killed; and when we end."""
        script = f"sleep 1000 & sleep 1000 & echo $! $$ > {self.notes}.new; "
        script += f"mv {self.notes}.new {self.notes}; wait"
        guest = self.sidecar("--restart=never", "--", "sh", "-c", script, wait=False)
        wait_until(self.notes.exists, "all of it runs")
        sleeper, shell = map(int, self.notes.read_text().split())
        os.kill(shell, signal.SIGKILL)
        self.assertEqual(guest.wait(), 137, guest.output)
        self.assertFalse(self.runs(sleeper))

    def runs(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def test_one_that_does_not_want_to_end(self) -> None:
        script = f"trap '' TERM; touch {self.notes}; sleep 1000 & wait"
        guest = self.sidecar("--stop-timeout=0.3", "--", "sh", "-c", script, wait=False)
        wait_until(self.notes.exists, "it runs")
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.wait(), 137, guest.output)
        guest.wait_for("has not ended within 0.3 s: killed")

    def test_a_status_that_is_no_signal(self) -> None:
        """It is started again like any other; and ends us when it is not."""
        script = f"echo x >> {self.notes}; exit 255"
        guest = self.sidecar("--", "sh", "-c", script, wait=False)
        guest.wait_for("ended, status 255", 3)
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.wait(), 255, guest.output)
        self.assertGreater(self.notes.read_text().count("x"), 2)
        self.assertNotIn("Traceback", guest.output)

    def test_a_long_stream_of_small_chunks(self) -> None:
        """What is round them does not add up."""
        program = [sys.executable, str(PROGRAMS / "events.py"), str(self.port)]
        self.sidecar("--", *program)
        status, _, body = self.ask("/")
        self.assertEqual((status, body == b":\n" * 30_000), (200, True))

    def test_what_cannot_be_started(self) -> None:
        guest = self.sidecar("--", "no-such-program", wait=False)
        self.assertEqual(guest.wait(), 127)
        guest.wait_for("no-such-program: not found")
        guest = self.sidecar("--", "/etc/passwd", wait=False)
        self.assertEqual(guest.wait(), 126)
        guest.wait_for("/etc/passwd: Permission denied")
        with socket.create_server(("127.0.0.1", self.port)):
            guest = self.node(wait=False)
            self.assertEqual(guest.wait(), 1)
        guest.wait_for(f"something listens at 127.0.0.1:{self.port} already")

    def test_only_a_bridge(self) -> None:
        """Somebody else starts the program, when it comes to his mind, and ends it."""
        self.world.start_proxy("--hold=0")
        guest = self.sidecar(wait=False)
        for number in (1, 2):
            program = self.world.start("program", [node(), SERVER, str(self.port), "/dev/null"])
            guest.wait_for("registered", number)
            self.assertEqual(self.ask("/hello")[2], b"hello\n")
            program.end()
            wait_until(self.gone, "it is unregistered")
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.wait(), 0)


class ProxyTests(SidecarCase):
    """What the proxy does, and what that does to the program."""

    def impatient(self, *arguments: str, wait: bool = True) -> Process:
        program = [sys.executable, str(PROGRAMS / "impatient.py"), str(self.port)]
        return self.sidecar(*arguments, "--", *program, wait=wait)

    def test_it_comes_and_goes(self) -> None:
        guest = self.impatient()
        assert self.world.proxy is not None
        self.world.proxy.end()
        guest.wait_for("no subscription at")
        self.world.start_proxy("--hold=0")
        guest.wait_for("registered", 2)
        self.assertEqual(self.ask("/")[2], b"ok")
        other = self.impatient("--worker=0", wait=False)
        self.assertEqual(other.wait(), 1, "the program of the first is there")
        self.assertEqual(self.ask("/")[2], b"ok")

    def test_another_instance(self) -> None:
        """The program of who is replaced ends too."""
        first = self.impatient("--worker=0", "--name=shop")
        program = first.output.partition("process ")[2].split()[0]
        self.port = free_port()
        second = self.impatient("--worker=0", "--name=shop", wait=False)
        self.assertEqual(first.wait(), 5, first.output)
        self.assertFalse(os.path.exists(f"/proc/{program}"))
        second.wait_for("registered")
        self.assertEqual(self.ask("/")[2], b"ok")

    def test_refused(self) -> None:
        self.host = "a(b"
        self.world.start_proxy()
        guest = self.impatient(wait=False)
        self.assertEqual(guest.wait(), 4, guest.output)
        guest.wait_for("guest: refused host=a(b")
        wrong = self.impatient("--proxy=/tmp/x", wait=False)
        self.assertEqual(wrong.wait(), 2)
        wrong.wait_for("--proxy=/tmp/x: not a client endpoint")

    def test_nobody_waits_at_a_second_signal(self) -> None:
        """Nor for a client that takes its time, nor, at a third, for the program."""
        guest = self.sidecar("--stop-timeout=20", "--", node(), ENDLESS, str(self.port))
        with socket.create_connection(("127.0.0.1", self.world.port), 20) as client:
            client.sendall(f"GET / HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
            self.assertTrue(client.recv(1000))
            guest.signal(signal.SIGINT)
            guest.wait_for("draining")
            began = time.monotonic()
            guest.signal(signal.SIGINT)
            with contextlib.suppress(ConnectionResetError):
                while client.recv(1000):
                    pass
            guest.signal(signal.SIGINT)
            self.assertEqual(guest.wait(), 137, guest.output)
        self.assertLess(time.monotonic() - began, 15)


class OtherServerTests(SidecarCase):
    def test_the_standard_library(self) -> None:
        """HTTP/1.0, a connection a request; by the name that the wheel installs."""
        (self.world.folder / "page.html").write_text("<p>page</p>")
        program = ["-m", "http.server", str(self.port), "--bind=127.0.0.1"]
        self.world.start_proxy()
        guest = self.world.start(
            "http-server",
            [GUEST, f"--proxy=unix:{self.world.vsock}_12345", f"--host={self.host}"]
            + [f"--to=http://localhost:{self.port}", "--", sys.executable, *program],
        )
        guest.wait_for("registered")
        self.assertEqual(self.ask("/page.html")[2], b"<p>page</p>")
        self.assertEqual(self.ask("/nothing")[0], 404)
        self.assertEqual(self.ask("/page.html", method="POST", body=b"x")[0], 501)
        guest.signal(signal.SIGINT)
        self.assertIn(guest.wait(), (0, 130))

    def test_gunicorn(self) -> None:
        """Over a UNIX socket, with connections that it closes after 2 s; it reloads, and ends."""
        path = str(self.world.folder / "gunicorn.sock")
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            f"--bind=unix:{path}",
            "--worker-class=gthread",
        ]
        command += ["--chdir", str(PROGRAMS), "--no-control-socket", "wsgi_site:application"]
        guest = self.sidecar("--", *command, to=f"unix:{path}")
        master, *answer = self.ask("/", method="POST", body=bytes(100_000))[2].split()
        self.assertEqual(answer, [b"POST", self.host.encode(), b"100000"])
        for pause in (1.3, 2.05):
            time.sleep(pause)
            self.assertEqual(self.ask("/", method="POST", body=b"x")[2].split()[0], master)
        guest.signal(signal.SIGHUP)
        guest.wait_for("Hang up: Master")
        self.assertEqual(self.ask("/")[2].split()[0], master)
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.wait(), 0, guest.output)
        guest.wait_for("Shutting down: Master")
        self.assertNotIn("registered", guest.output.partition("registered")[2])

    def test_its_terminal_is_gone(self) -> None:
        """With that it ends, and so does the program, though that may not mind a SIGHUP."""
        ours, theirs = os.openpty()
        proxy = f"--proxy=unix:{self.world.vsock}_12345"
        command = ["setsid", "--ctty", *self.ours(), proxy, f"--to=http://127.0.0.1:{self.port}"]
        script = "trap '' HUP; while :; do sleep 0.05; done"
        command += ["--stop-timeout=0.3", "--", "sh", "-c", script]
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as guest:
            os.close(theirs)
            said = b""
            while b"started" not in said:
                said += os.read(ours, 4096)
            os.close(ours)
            try:
                guest.wait(20)
            finally:
                guest.terminate()

    def test_idle_connections_that_are_closed(self) -> None:
        """Just when a request comes: a GET goes again, a POST is never executed twice."""
        guest = self.sidecar("--", sys.executable, str(PROGRAMS / "impatient.py"), str(self.port))
        chance = random.Random(7)
        client = HTTPConnection("127.0.0.1", self.world.port, timeout=20)
        statuses: dict[str, list[int]] = {"GET": [], "POST": []}
        for number in range(60):
            method = "POST" if number % 3 == 0 else "GET"
            body = str(number) if method == "POST" else None
            client.request(method, f"/{number}", body, {"Host": self.host})
            response = client.getresponse()
            response.read()
            statuses[method].append(response.status)
            time.sleep(chance.uniform(0.036, 0.046))
        client.close()
        self.assertEqual(set(statuses["GET"]), {200})
        self.assertLessEqual(set(statuses["POST"]), {200, 502})
        posts = [line for line in guest.output.splitlines() if line.startswith("POST")]
        self.assertEqual(len(posts), len(set(posts)))
        self.assertGreaterEqual(len(posts), statuses["POST"].count(200))

    def test_usage(self) -> None:
        done = subprocess.run(
            [*self.ours(), "--host=.*", "--", "node"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 2)
        self.assertIn("--to", done.stderr.splitlines()[-1])
