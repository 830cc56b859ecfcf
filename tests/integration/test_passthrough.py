"""TLS that is passed through to a guest with keys of its own, beside TLS that the proxy ends."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from typing import Any
from unittest import SkipTest

from tests.integration import admin_client
from tests.integration.golang import built
from tests.integration.harness import Process, free_port, wait_until
from tests.integration.successors import Line
from tests.integration.tls_case import HOST, RING, TlsCase
from tests.rigs.tls_rig import Authority

OWN = "keys.example"
"""The host of the guest that holds its keys."""

POLICY = """
[[guest]]
identity = "*"
hosts = ["*"]
passthrough = true
"""


def there_and_back(client: ssl.SSLSocket, data: bytes) -> bytes:
    """
    Send C{data}, and read as much, at the same time.

    In one thread: what OpenSSL knows of a connection is not for two at once.
    """
    client.setblocking(False)
    left, got = memoryview(data), bytearray()
    while len(got) < len(data):
        moved = False
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if left:
                left = left[client.send(left[:65536]) :]
                moved = True
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            piece = client.recv(1 << 20)
            if not piece:
                break
            got += piece
            moved = True
        if not moved and not any(select.select([client], [client] if left else [], [], 20)):
            raise AssertionError(f"{len(left)} bytes are not taken, {len(got)} came")
    return bytes(got)


class PassthroughCase(TlsCase):
    """@ivar own: vouches for the guest, and for nobody else."""

    def setUp(self) -> None:
        super().setUp()
        self.own = Authority("Authority of the guest")
        self.own_ca = self.world.folder / "own-ca.pem"
        self.own_ca.write_bytes(self.own.pem)
        self.own_pem = self.world.folder / "own.pem"
        self.own_pem.write_bytes(self.own.issue(OWN))
        self.own_context = self.own.client_context(())
        self.policy = self.world.folder / "policy.toml"
        self.policy.write_text(POLICY)

    def begin(self, *options: str, policy: bool = True, **more: str) -> None:
        """A proxy, and a guest of HTTP for all hosts."""
        if policy:
            options = (f"--policy={self.policy}", *options)
        self.serve(*options, **more)

    def guest(self, application: str = "Keys", **environment: str) -> Process:
        """The guest with keys."""
        environment["CERTIFICATE"] = str(self.own_pem)
        guest = self.world.start(
            "keys",
            [
                *(sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"),
                *(r"--host=keys\.example", "--passthrough"),
                f"tests.integration.passthrough_app:{application}",
            ],
            **environment,
        )
        guest.wait_for("registered")
        return guest

    def pass_to_a_program(self, *sidecar: str) -> None:
        """A sidecar passes TLS on to a program that has the keys."""
        if shutil.which("openssl") is None:
            raise SkipTest("no openssl")
        self.begin()
        port = free_port()
        self.world.start(
            "keys",
            [
                *(*sidecar, f"--proxy=unix:{self.world.vsock}_12345"),
                *(r"--host=keys\.example", "--passthrough", f"--to=http://127.0.0.1:{port}"),
                *("--", "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www"),
                *("-cert", str(self.own_pem), "-key", str(self.own_pem)),
            ],
        ).wait_for("registered")
        self.assertIn("s_server", self.curl(OWN, self.own_ca))

    def curl(
        self, host: str, ca: object, *options: str, path: str = "/name", text: bool = True
    ) -> Any:
        if shutil.which("curl") is None:
            raise SkipTest("no curl")
        where = f"{host}:{self.https}"
        done = subprocess.run(
            [
                *("curl", "-sS", "--cacert", str(ca), "--resolve", f"{where}:127.0.0.1"),
                *(*options, f"https://{where}{path}"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=30,
        )
        return done.stdout.decode(errors="replace") if text else done.stdout

    def hello(self) -> ssl.SSLSocket:
        return self.connect(OWN, self.own_context)

    def echo(self, client: ssl.SSLSocket, data: bytes = b"echo") -> None:
        client.sendall(data)
        got = b""
        while len(got) < len(data):
            got += client.recv(65536)
        self.assertEqual(data, got)


class PassthroughProcessTests(PassthroughCase):
    def test_beside_others(self) -> None:
        """Each name is served by who has its key; the guest is told who comes, and for what."""
        self.begin()
        self.guest()
        told = f"CONNECT {OWN}:{self.https} 127.0.0.1 {OWN}"
        self.assertEqual(f"{told} 1.3 \n", self.curl(OWN, self.own_ca))
        self.assertEqual(f"{told} 1.2 \n", self.curl(OWN, self.own_ca, "--tls-max", "1.2"))
        self.assertEqual("app\n", self.curl(HOST, self.ca))
        self.assertIn("certificate", self.curl(OWN, self.ca))
        self.assertEqual(404, self.world.ask(host=OWN)[0])

    def test_openssl(self) -> None:
        """OpenSSL's client, which also asks without a name: then the proxy answers."""
        if shutil.which("openssl") is None:
            raise SkipTest("no openssl")
        self.begin()
        self.guest()

        def ask(*options: str) -> str:
            command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.https}", *options]
            done = subprocess.run(
                command, input=b"echo\n", capture_output=True, check=False, timeout=30
            )
            return done.stdout.decode(errors="replace")

        own = ask("-servername", OWN, "-CAfile", str(self.own_ca), "-verify_return_error")
        self.assertIn("Verify return code: 0 (ok)", own)
        self.assertIn("Authority of the guest", own)
        for options in (("-noservername",), ("-servername", "news.example")):
            self.assertIn("Authority of tests", ask(*options), options)

    def test_engines(self) -> None:
        """With each library, on each reactor, with and without the compiled path."""
        for reactor, self.library, *options in (
            (RING, "python"),
            ("epoll", "auto"),
            (RING, "auto", "--no-fastpath"),
        ):
            with self.subTest(reactor=reactor, library=self.library):
                self.begin(*options, reactor=reactor)
                keys = self.guest()
                with self.hello() as client:
                    self.echo(client)
                    with self.connect() as other:
                        self.assertIn(b" 200 ", self.get(other))
                    self.echo(client, os.urandom(1 << 18))
                for each in (keys, self.proxy):
                    each.signal(signal.SIGTERM)
                    each.wait()
                self.world.close()
                self.setUp()

    def test_misdirected(self) -> None:
        """A certificate that covers the name does not make the proxy answer for it."""
        self.begin()
        self.put("wild.pem", HOST, "*.example")
        self.proxy.wait_for("certificate", 2)
        self.guest()
        with self.connect() as client:
            client.sendall(f"GET / HTTP/1.1\r\nHost: {OWN}\r\n\r\n".encode())
            self.assertIn(b" 421 ", client.recv(65536))

    def test_data_connections(self) -> None:
        """Much goes over a connection of its own, there and back, from the start or later."""
        data = os.urandom(8 << 20)
        self.begin()
        for bulk in ("", "1"):
            with self.subTest(bulk=bulk):
                keys = self.guest(BULK=bulk)
                with self.hello() as client:
                    self.assertEqual(data, there_and_back(client, data))
                keys.signal(signal.SIGTERM)
                keys.wait()

    def test_refused(self) -> None:
        """An alert, by the guest's word; nothing of it reaches others."""
        self.begin()
        self.guest("Refuses")
        with self.assertRaises(ssl.SSLError) as caught:
            self.hello()
        self.assertIn("ACCESS_DENIED", str(caught.exception))
        with self.connect() as client:
            self.assertIn(b" 200 ", self.get(client))

    def test_killed(self) -> None:
        """What was open breaks; who comes then waits for the next guest, as any request does."""
        self.begin("--hold=20")
        keys = self.guest()
        client = self.hello()
        self.echo(client)
        keys.signal(signal.SIGKILL)
        keys.wait()
        with self.assertRaises((ConnectionResetError, ssl.SSLError)):
            if not client.recv(1):
                raise ConnectionResetError
        client.close()
        made: list[ssl.SSLSocket] = []
        waiting = threading.Thread(target=lambda: made.append(self.hello()))
        waiting.start()
        self.guest()
        waiting.join(20)
        self.echo(made[0])
        made[0].close()

    def test_policy(self) -> None:
        """Without the policy's word there is none; what a reload takes away is gone."""
        self.policy.write_text(POLICY.replace("true", "false"))
        self.begin()
        with self.assertRaises(AssertionError) as caught:
            self.guest()
        self.assertIn("not passed through to this virtual machine", str(caught.exception))
        self.policy.write_text(POLICY)
        self.proxy.signal(signal.SIGHUP)
        self.proxy.wait_for("policy")
        keys = self.guest()
        with self.hello() as client:
            self.echo(client)
            self.policy.write_text(POLICY.replace("true", "false"))
            self.proxy.signal(signal.SIGHUP)
            keys.wait_for("not passed through")
            with self.assertRaises(ssl.SSLError):
                self.hello()

    def test_told(self) -> None:
        """The log, the metrics, and what an operator can ask."""
        log = self.world.folder / "access.log"
        admin = self.world.folder / "admin.sock"
        self.begin(f"--admin={admin}", f"--access-log={log}", "--access-log-format=json")
        self.guest()
        with self.hello() as client:
            self.echo(client)
        wait_until(lambda: log.exists() and log.read_text(), "a line")
        line = json.loads(log.read_text().splitlines()[0])
        self.assertEqual(
            ("CONNECT", f"{OWN}:{self.https}", 200, None),
            (line["method"], line["target"], line["status"], line["error"]),
        )
        self.assertGreater(line["bytes"], 1000)
        count = admin_client.metric(admin, 'tls_handshakes_total{outcome="passthrough"}')
        self.assertEqual(1, count)
        explained = admin_client.command(admin, "explain", f"https://{OWN}/a")
        self.assertIn("passed through", explained)
        self.assertIn("passthrough", admin_client.command(admin, "routes"))

    def test_handed_over(self) -> None:
        """The old process keeps what it has; the new one passes on what comes."""
        self.begin()
        self.guest()
        client = self.hello()
        line = Line(self.world)
        self.addCleanup(line.end)
        line.hand_over()
        self.proxy.wait_for(" serves ", 2)
        self.echo(client)
        with self.hello() as other:
            self.echo(other)
        self.echo(client)
        client.close()

    def test_workers(self) -> None:
        """Whichever of two takes the client: one of them has the guest."""
        self.begin("--workers=2")
        self.world.start(
            "keys",
            [
                *(sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"),
                *(r"--host=keys\.example", "--passthrough", "--concurrency=1"),
                "tests.integration.passthrough_app:Keys",
            ],
            CERTIFICATE=str(self.own_pem),
        ).wait_for("registered")
        for _ in range(16):
            with self.hello() as client:
                self.echo(client, os.urandom(1 << 17))

    def test_of_a_program(self) -> None:
        """The sidecar passes TLS on to a program that has the keys."""
        self.pass_to_a_program(sys.executable, "-m", "guest")


class GoPassthroughTests(PassthroughCase):
    def test_library(self) -> None:
        """A server of Go with its own keys, over HTTP/2: it is told by the connection who comes."""
        self.begin()
        battery = str(built("./internal/battery"))
        self.world.start(
            "keys", [battery, f"unix:{self.world.vsock}_12345"], CERTIFICATE=str(self.own_pem)
        ).wait_for("registered")
        told = self.curl(OWN, self.own_ca, "--http2", path="/told")
        self.assertRegex(told, rf"^HTTP/2.0 {OWN}:\d+ 127.0.0.1:0 true ")
        data = self.curl(OWN, self.own_ca, path=f"/bytes/{1 << 20}", text=False)
        self.assertEqual(1 << 20, len(data))

    def test_sidecar(self) -> None:
        """C{subproxy-guest} has a program end TLS."""
        self.pass_to_a_program(str(built("./cmd/subproxy-guest")))
