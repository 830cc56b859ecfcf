"""What a body over a data connection costs, in calls of Python functions and in system calls."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.integration.counted_calls import calls_so_far
from tests.integration.harness import Process, World
from tests.integration.test_body_paths import BODY, GET, SIZE, Play

BODIES = 40


skip = unavailable()


class BodyCostTests(SynchronousTestCase):
    """Of a proxy with one client and one guest, whose data connection is kept."""

    def start(self, *options: str, reactor: str = "io_uring") -> tuple[Play, Process]:
        world = World()
        self.addCleanup(world.close)
        self.called = world.folder / "called"
        command = [
            *(sys.executable, "-m", "tests.integration.called", "-n", "--pidfile="),
            *(f"--reactor={reactor}", "subproxy", f"--vsock={world.vsock}", "--access-log=none"),
            f"--http=tcp:{world.port}:interface=127.0.0.1",
            *options,
        ]
        proxy = world.start("proxy", command, CALLED=str(self.called))
        proxy.wait_for("guests on")
        play = Play(world)
        self.addCleanup(play.close)
        play.warm()
        return play, proxy

    def downloads(self, play: Play) -> None:
        """Some; that the last has come is told before the next is to be claimed."""
        assert play.line is not None
        last = 0
        for _ in range(BODIES):
            request = play.ask(GET % (b"down", b""))
            token = play.answer(request.exchange)
            if last:
                assert play.line.frame() == m.End(last)
            play.claim(request.exchange, token).socket.sendall(BODY)
            play.guest.end(request.exchange, SIZE)
            play.got()
            last = request.exchange
        assert play.line.frame() == m.End(last)

    def uploads(self, play: Play) -> None:
        """Some."""
        for _ in range(BODIES):
            play.upload()
            play.hello(play.guest.wire.last)
            play.got()

    def calls(self, proxy: Process) -> int:
        """Calls of Python functions so far."""
        return calls_so_far(proxy, self.called)

    def test_calls(self) -> None:
        """A few calls of Python a body on the compiled path; hundreds on the other."""
        found = []
        for options in ((), ("--no-fastpath",)):
            play, proxy = self.start(*options)
            for bodies in (self.downloads, self.uploads):
                before = self.calls(proxy)
                bodies(play)
                found.append((self.calls(proxy) - before) / BODIES)
        download, upload, slow_download, slow_upload = found
        self.assertLess(download, 40, found)
        self.assertLess(upload, 10, found)
        self.assertGreater(slow_download, 200, found)
        self.assertGreater(slow_upload, 200, found)

    def test_system_calls(self) -> None:
        """Beside the splices, some twenty: waits, a send or a receive each way, and the pace."""
        if shutil.which("strace") is None:
            raise SkipTest("there is no strace")
        play, proxy = self.start()
        for bodies in (self.downloads, self.uploads):
            found = self.traced(proxy, self.called.parent, bodies, play)
            spliced = found.pop("splice", 0)
            self.assertGreater(spliced, BODIES)
            self.assertLess(sum(found.values()) / BODIES, 45, found)

    def traced(
        self, proxy: Process, folder: Path, bodies: Callable[[Play], None], play: Play
    ) -> dict[str, int]:
        """How often each system call was made for C{bodies}."""
        trace = folder / "strace"
        command = ["strace", "-c", "-f", "-o", str(trace), "-p", str(proxy.child.pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            if "attached" not in strace.stderr.readline():
                strace.kill()
                raise SkipTest("strace may not trace here")
            bodies(play)
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=20)
        rows = re.findall(
            r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", trace.read_text(), re.M
        )
        return {name: int(count) for count, name in rows if name != "total"}
