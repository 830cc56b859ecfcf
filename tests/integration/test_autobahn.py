"""
Autobahn|Testsuite through the proxy, to an application of the guest library: RFC 6455 and 7692.

All that it tells must be as it likes it, but what is informational. In frames, and over data
connections; a tunnel that moves is among the former: the cases of part 9 are long enough for that.
Of compression, where each of 216 cases has a thousand messages, a few of each kind are played.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.autobahn import CASES, COMPRESSED, FINE, PARTS, interpreter, played
from tests.integration.harness import Process, World, free_port, wait_until


class AutobahnCase(SynchronousTestCase):
    """@cvar options: of the proxy."""

    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        interpreter()
        self.world = World()
        self.addCleanup(self.world.close)
        log = self.world.folder / "access.log"
        self.world.start_proxy(f"--access-log={log}", *self.options)
        command = [sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"]
        command += [r"--host=127\.0\.0\.1", "tests.integration.web_socket_app:Echo"]
        self.world.start("guest", command).wait_for("registered")

    @property
    def port(self) -> int:
        """Where the suite connects."""
        return self.world.port

    def play(self, path: str, *cases: str) -> int:
        """Play these; how many they were."""
        found = played(self.world.folder, self.port, path, cases)
        wrong = {case: each for case, each in found.items() if not FINE.issuperset(each)}
        self.assertEqual(wrong, {})
        assert self.world.proxy is not None
        self.assertNotIn("Traceback", self.world.proxy.output)
        return len(found)


class AutobahnTests(AutobahnCase):
    def test_in_frames(self) -> None:
        self.assertEqual(self.play("chat", *PARTS, "9.*"), CASES + 54)

    def test_compressed(self) -> None:
        self.assertEqual(self.play("chat", *COMPRESSED), len(COMPRESSED))

    def test_over_data_connections(self) -> None:
        self.assertEqual(self.play("bulk", *PARTS), CASES)


HAPROXY = """
defaults
    mode http
    timeout connect 10s
    timeout client 600s
    timeout server 600s
    timeout tunnel 600s
frontend front
    bind 127.0.0.1:{front}
    default_backend proxy
backend proxy
    server proxy 127.0.0.1:{proxy} proto h2 ws h2
"""
"""Each WebSocket becomes a stream of a connection of HTTP/2 (RFC 8441)."""


class AutobahnOverHttp2Tests(AutobahnCase):
    """
    The suite speaks HTTP/1.1 alone: HAProxy makes extended CONNECT of it, and the other way round.

    Of the scheme it says https, whatever its own client spoke: so it is one whose word is taken.
    """

    options = ("--trust=127.0.0.1",)

    def setUp(self) -> None:
        haproxy = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
        if haproxy is None:
            raise SkipTest("no haproxy: .ci/install-tools, or apt install haproxy")
        super().setUp()
        self.front = free_port()
        configuration = self.world.folder / "haproxy.cfg"
        configuration.write_text(HAPROXY.format(front=self.front, proxy=self.world.port))
        front = self.world.start("haproxy", [haproxy, "-db", "-f", str(configuration)])
        wait_until(lambda: self.reached(front), "HAProxy to listen")

    def reached(self, front: Process) -> bool:
        assert front.child.poll() is None, front.output
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.front)) == 0

    @property
    def port(self) -> int:
        return self.front

    def streams(self) -> int:
        """How many tunnels the log of the proxy has, that came over HTTP/2."""
        log = (self.world.folder / "access.log").read_text()
        return sum('HTTP/2" 200 ' in line for line in log.splitlines())

    def test_in_frames(self) -> None:
        count = self.play("chat", *PARTS, "9.*")
        self.assertEqual(count, CASES + 54)
        wait_until(lambda: self.streams() >= count, "a line for each in the log")

    def test_compressed(self) -> None:
        self.assertEqual(self.play("chat", *COMPRESSED), len(COMPRESSED))

    def test_over_data_connections(self) -> None:
        self.assertEqual(self.play("bulk", *PARTS), CASES)
