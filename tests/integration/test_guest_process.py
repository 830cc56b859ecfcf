"""C{python -m guest} and C{guest/minimal.py} as processes, subscribed to the real proxy."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from http.client import HTTPConnection

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import ROOT, Process, World, wait_until

BLOG = r"--host=blog\.example"


class GuestTestCase(SynchronousTestCase):
    """A proxy, and guests that a test starts."""

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.world.start_proxy()

    def minimal(self, *options: str, name: str = "minimal", wait: bool = True) -> Process:
        """Start the minimal guest, without anything but Python's own."""
        command = [sys.executable, "-I", "-S", str(ROOT / "guest" / "minimal.py")]
        command += [f"--proxy=unix:{self.world.vsock}_12345", *options]
        process = self.world.start(name, command)
        if wait:
            process.wait_for("registered")
        return process

    def answers(self, body: bytes, host: str = "blog.example") -> bool:
        try:
            return self.world.ask("/", host)[2] == body
        except OSError:
            return False

    def restart_proxy(self) -> None:
        assert self.world.proxy is not None
        self.world.proxy.signal(signal.SIGKILL)
        self.world.proxy.wait()
        self.world.start_proxy()


class StatusTests(GuestTestCase):
    """How it ends, each way with a status of its own."""

    def ends(self, status: int, *options: str, application: str = "hello:Hello") -> str:
        guest = self.world.start_guest(application, *options, name="ending", wait=False)
        self.assertEqual(guest.wait(), status, guest.output)
        return guest.output

    def test_sigterm(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            guest = self.world.start_guest("hello:Hello", BLOG, name=f"guest{number}")
            guest.wait_for("registered host=blog\\.example path=/.*\n")
            guest.signal(number)
            self.assertEqual(guest.wait(), 0)

    def test_sigterm_while_it_starts(self) -> None:
        """An application whose lifespan hangs does not keep it."""
        (self.world.folder / "hangs.py").write_text(
            "import asyncio\n"
            "async def app(scope, receive, send):\n"
            "    print('it begins', flush=True)\n"
            "    await asyncio.Event().wait()\n"
        )
        guest = self.world.start_guest(
            "hangs:app", BLOG, "--interface=asgi", name="hanging", wait=False
        )
        guest.wait_for("it begins")
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.wait(), 0, guest.output)

    def test_a_full_disk(self) -> None:
        """Nobody can read that it is registered: it serves all the same."""
        (self.world.folder / "serves.py").write_text(
            "def app(environ, start_response):\n"
            "    start_response('200 OK', [])\n"
            "    return [b'here']\n"
        )
        command = [sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"]
        words = [*command, BLOG, "--interface=wsgi", "serves:app"]
        guest = self.world.start("full", ["sh", "-c", 'exec "$@" > /dev/full', "sh", *words])
        wait_until(lambda: self.answers(b"here"), "it answers")
        self.assertNotIn("no subscription", guest.output)

    def test_bad_usage(self) -> None:
        self.assertIn("which --host is it for?", self.ends(2, "--path=/x"))
        self.assertIn("not a client endpoint", self.ends(2, "--proxy=nonsense:1"))

    def test_bad_import(self) -> None:
        said = self.ends(3, BLOG, application="hello:Nobody")
        self.assertEqual(said, "guest: hello has no Nobody\n")

    def test_refused(self) -> None:
        said = self.ends(4, "--host=blog(")
        self.assertIn("guest: refused host=blog( path=/.*: ", said)

    def test_refused_but_it_keeps_going(self) -> None:
        guest = self.world.start_guest("hello:Hello", "--host=blog(", BLOG, "--keep-going")
        guest.wait_for("refused host=blog( path=/.*: ")
        self.assertTrue(self.answers(b"hello\n"))

    def test_replaced(self) -> None:
        old = self.world.start_guest("hello:Hello", BLOG, "--worker=7", name="old")
        self.world.start_guest("hello:Hello", BLOG, "--worker=7", name="new")
        self.assertEqual(old.wait(), 5, old.output)
        self.assertTrue(self.answers(b"hello\n"))

    def test_several_processes_stand_beside_each_other(self) -> None:
        guests = [
            self.world.start_guest("hello:Hello", BLOG, name=f"guest{number}")
            for number in range(3)
        ]
        self.assertTrue(self.answers(b"hello\n"))
        self.assertEqual([guest.child.poll() for guest in guests], [None] * 3)


class StayingTests(GuestTestCase):
    """It comes back, and leaves without being missed."""

    def test_it_comes_back_when_the_proxy_does(self) -> None:
        guest = self.world.start_guest("hello:Hello", BLOG)
        for count in (2, 3):
            self.restart_proxy()
            guest.wait_for("registered", count, deadline=15)
            self.assertTrue(self.answers(b"hello\n"))

    def test_it_waits_for_a_proxy(self) -> None:
        assert self.world.proxy is not None
        self.world.proxy.end()
        guest = self.world.start_guest("hello:Hello", BLOG, wait=False)
        guest.wait_for("dialling again")
        guest.wait_for(
            f"cannot reach the proxy at unix:{self.world.vsock}_12345: No such file or directory; "
            f"is the proxy running, with --vsock={self.world.vsock} and --vsock-port=12345?"
        )
        self.world.start_proxy()
        guest.wait_for("registered", deadline=15)
        self.assertEqual(guest.output.count("dialling again"), 1, guest.output)

    def test_it_may_not_dial(self) -> None:
        """It says that, and which options of the proxy are about it."""
        if os.getuid() == 0:
            self.skipTest("root may everything")
        os.chmod(f"{self.world.vsock}_12345", 0)
        guest = self.world.start_guest("hello:Hello", BLOG, wait=False)
        guest.wait_for("Permission denied")
        guest.wait_for("--vsock-mode")

    def test_without_a_host(self) -> None:
        """It says that it serves nothing."""
        guest = self.world.start_guest("hello:Hello", wait=False)
        guest.wait_for("serving nothing: there is no --host")
        self.assertEqual(guest.output.count("\n"), 2, "what it is, and that it serves nothing")

    def test_no_warning_at_its_end(self) -> None:
        """What holds its worker number is given back."""
        guest = self.world.start(
            "warned",
            [sys.executable, "-W", "error", "-W", "default::ResourceWarning", "-m", "guest"]
            + [f"--proxy=unix:{self.world.vsock}_12345", BLOG, "hello:Hello"],
        )
        guest.wait_for("registered")
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.wait(), 0)
        self.assertNotIn("Warning", guest.output)

    def test_versions(self) -> None:
        """Of the guest library, and of the guest in one file."""
        for command in (["-m", "guest"], [str(ROOT / "guest" / "minimal.py")]):
            said = subprocess.run(
                [sys.executable, *command, "--version"],
                capture_output=True,
                text=True,
                check=True,
                cwd=ROOT,
            ).stdout
            self.assertRegex(said, r"^subproxy \S+ [0-9]+\.[0-9]+")

    def test_no_request_fails_while_guests_come_and_go(self) -> None:
        self.world.start_guest("hello:Hello", BLOG, name="stays")
        failed: list[object] = []
        answered = [0]
        over = threading.Event()

        def ask() -> None:
            client = HTTPConnection("127.0.0.1", self.world.port, timeout=20)
            while not over.is_set():
                client.request("POST", "/", b"x", {"Host": "blog.example"})
                response = client.getresponse()
                response.read()
                answered[0] += 1
                if response.status != 200:
                    failed.append(response.status)
            client.close()

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        try:
            for number in range(3):
                guest = self.world.start_guest("hello:Hello", BLOG, name=f"goes{number}")
                before = answered[0]
                wait_until(lambda before=before: answered[0] > before + 50, "requests")
                guest.signal(signal.SIGTERM)
                self.assertEqual(guest.wait(), 0, guest.output)
        finally:
            over.set()
            for asker in askers:
                asker.join(30)
        self.assertEqual(failed, [])

    def test_what_is_under_way_is_finished(self) -> None:
        guest = self.world.start_guest("tests.integration.apps:AtOnce", BLOG)
        first, rest = b"first", bytes(99_995)
        with socket.create_connection(("127.0.0.1", self.world.port), 20) as client:
            client.sendall(
                b"POST / HTTP/1.1\r\nHost: blog.example\r\nContent-Length: 100000\r\n\r\n"
            )
            client.sendall(first)
            reply = b""
            while not reply.endswith(first):
                more = client.recv(4096)
                self.assertTrue(more, reply)
                reply += more
            guest.signal(signal.SIGTERM)
            guest.wait_for("drain")
            self.assertIsNone(guest.child.poll())
            client.sendall(rest)
            while not reply.endswith(first + rest):
                more = client.recv(65_536)
                self.assertTrue(more, len(reply))
                reply += more
        self.assertEqual(guest.wait(), 0)


class ExampleTests(GuestTestCase):
    """The examples do what they say."""

    def test_echo(self) -> None:
        self.world.start_guest("echo:Echo", "--host=.*")
        self.assertEqual(self.world.ask("/")[2], b"OK")
        for size in (1, 65_536, 65_537, 3_000_000):
            body = os.urandom(size)
            status, fields, got = self.world.ask("/", method="POST", body=body)
            self.assertEqual((status, fields["content-length"]), (200, str(size)))
            self.assertTrue(got == body, size)

    def test_stream(self) -> None:
        self.world.start_guest("stream:Stream", BLOG)
        status, fields, got = self.world.ask("/zeros/5000000")
        self.assertEqual((status, fields["content-length"], len(got)), (200, "5000000", 5_000_000))
        self.assertEqual(self.world.ask("/other")[0], 404)
        client = HTTPConnection("127.0.0.1", self.world.port, timeout=20)
        client.request("GET", "/ticks", headers={"Host": "blog.example"})
        response = client.getresponse()
        self.assertEqual(response.read(7), b"tick 1\n")
        self.assertEqual(response.read(7), b"tick 2\n")
        client.close()

    def test_upload_digest(self) -> None:
        self.world.start_guest("upload_digest:UploadDigest", BLOG)
        body = os.urandom(2_000_000)
        expected = f"{hashlib.sha256(body).hexdigest()}  {len(body)}\n".encode()
        self.assertEqual(self.world.ask("/", method="PUT", body=body)[2], expected)


APPLICATION = """
def app(method, target, headers, body):
    if target == b"/echo":
        return 200, [], body.read()
    if target == b"/stream":
        return 200, [], body
    if target == b"/big":
        return 200, [], (bytes(50_000) for _ in range(100))
    if target == b"/broken":
        raise RuntimeError("on purpose")
    return 200, [(b"x-method", method)], b"mine\\n"
"""


class MinimalTests(GuestTestCase):
    """One file is a whole guest."""

    def both_ways(self, target: str, sent: bytes) -> bytes:
        """What comes back of a POST, by a client that reads while it sends."""
        url = f"http://127.0.0.1:{self.world.port}{target}"
        command = ["curl", "-sf", "-H", "Host: blog.example", "--data-binary", "@-", url]
        done = subprocess.run(command, input=sent, capture_output=True, timeout=60, check=True)
        return done.stdout

    def test_it_answers_like_the_example(self) -> None:
        guest = self.minimal(BLOG)
        guest.wait_for("registered host=blog\\.example path=/.*\n")
        status, fields, body = self.world.ask("/")
        self.assertEqual((status, fields["content-type"], body), (200, "text/plain", b"hello\n"))
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.wait(), 0, guest.output)

    def test_an_application(self) -> None:
        path = self.world.folder / "application.py"
        path.write_text(APPLICATION)
        guest = self.minimal(BLOG, str(path))
        status, fields, body = self.world.ask("/", method="PATCH")
        self.assertEqual((status, fields["x-method"], body), (200, "PATCH", b"mine\n"))
        for size in (0, 1, 65_536, 65_537, 3_000_000):
            sent = os.urandom(size)
            got = self.world.ask("/echo", method="POST", body=sent)[2]
            self.assertTrue(got == sent, (size, len(got)))
            # Comes back as it goes: who only reads when all is sent waits for ever, if the kernel
            # does not hold all of it.
            got = self.both_ways("/stream", sent)
            self.assertTrue(got == sent, (size, len(got)))
        self.assertEqual(len(self.world.ask("/big")[2]), 5_000_000)
        self.assertEqual(self.world.ask("/broken")[0], 500)
        guest.wait_for("RuntimeError: on purpose")
        self.assertEqual(self.world.ask("/", method="HEAD")[1]["content-length"], "5")

    def test_it_comes_back(self) -> None:
        guest = self.minimal(BLOG)
        self.restart_proxy()
        guest.wait_for("registered", 2, deadline=15)
        self.assertTrue(self.answers(b"hello\n"))

    def test_ends_of_their_own(self) -> None:
        old = self.minimal(BLOG, "--worker=3", name="old")
        self.minimal(BLOG, "--worker=3", name="new")
        self.assertEqual(old.wait(), 5, old.output)
        self.assertEqual(self.minimal("/no/such.py", name="none", wait=False).wait(), 3)
        self.assertEqual(self.minimal("--path=/x", name="usage", wait=False).wait(), 2)

    def test_no_request_fails_when_it_leaves(self) -> None:
        self.minimal(BLOG, name="stays")
        leaving = self.minimal(BLOG, name="leaves")
        failed = []
        client = HTTPConnection("127.0.0.1", self.world.port, timeout=20)
        for number in range(300):
            client.request("POST", "/", b"x", {"Host": "blog.example"})
            response = client.getresponse()
            response.read()
            if response.status != 200:
                failed.append((number, response.status))
            if number == 100:
                leaving.signal(signal.SIGTERM)
        client.close()
        self.assertEqual(failed, [])
        self.assertEqual(leaving.wait(), 0)
