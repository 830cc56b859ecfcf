"""Nothing is left of connections that are over.

SUBPROXY_LEAK_CONNECTIONS says how many there are; a million, as C{make nightly} has them, take two
minutes.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest

from subproxy.reactor import compiled_epoll
from tests.integration.reactor_harness import ReactorTestCase, on_epoll_too
from tests.integration.test_reactor_processes import SERVER, ProcessTestCase

CONNECTIONS = int(os.environ.get("SUBPROXY_LEAK_CONNECTIONS", "20000"))


class ChurnTests(ProcessTestCase):
    """A server that is connected to and left, in every way there is."""

    timeout = 1500

    def test_memoryAndDescriptorsAreFlat(self) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise SkipTest("no C compiler for the clients")
        program = os.path.abspath(self.mktemp())
        source = Path(__file__).with_name("churn.c")
        subprocess.run([compiler, "-O1", "-o", program, str(source)], check=True, timeout=60)
        process = self.start(
            SERVER
            + """
    import gc, json
    from pathlib import Path

    class Ending(Protocol):
        def dataReceived(self, data):
            if data == b"stats":
                gc.collect()
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                self.transport.write(json.dumps({
                    "rss": pages * os.sysconf("SC_PAGESIZE"),
                    "descriptors": len(os.listdir("/proc/self/fd")),
                    "handles": len(reactor.engine.handles()),
                    "blocks": sys.getallocatedblocks(),
                }).encode() + b"\\n")
                return
            self.transport.write(data * 100)
            if data == b"lose":
                self.transport.loseConnection()
            elif data == b"abort":
                self.transport.abortConnection()
            elif data == b"pause":
                self.transport.pauseProducing()
                self.transport.resumeProducing()

    port.factory.protocol = Ending
    port.factory.noisy = False
    print(number, flush=True)
    reactor.run()
"""
        )
        number = int(process.stdout.readline())  # type: ignore[union-attr]

        def stats() -> dict[str, Any]:
            with socket.create_connection(("127.0.0.1", number), 20) as peer:
                peer.sendall(b"stats")
                found: dict[str, Any] = json.loads(peer.makefile().readline())
                return found

        def churn(n: int) -> None:
            subprocess.run([program, str(number), str(n)], check=True, timeout=1200)

        def settled() -> dict[str, Any] | None:
            # The last connections may be closing yet: the listening socket and
            # the one that asks are all there should be.
            found = stats()
            return found if found["handles"] == 2 else None

        churn(min(CONNECTIONS // 4, 20_000))
        before = self.eventually(settled)
        churn(CONNECTIONS)
        after = self.eventually(settled)
        self.assertEqual(after["descriptors"], before["descriptors"])
        self.assertLess(after["blocks"] - before["blocks"], 200)
        self.assertLess(after["rss"] - before["rss"], 1 << 20)


class ChurnTestsOnEpoll(ChurnTests):
    """The same on epoll."""

    module = compiled_epoll


class EngineTests(ReactorTestCase):
    """Nothing is left of an engine that is closed."""

    def test_descriptors(self) -> None:
        """Neither under its own number nor registered with the thread."""
        self.turns(1)
        before = len(os.listdir("/proc/self/fd"))
        maps = len(Path("/proc/self/maps").read_text().splitlines())
        for _ in range(50):  # (a thread may have 16 registered)
            self.reactor.engine.begin()
            self.turns(1)
            self.reactor.engine.close()
            self.turns(1)
            self.reactor.engine.end()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.assertLess(len(Path("/proc/self/maps").read_text().splitlines()), maps + 5)

    def test_reactorsAreCollected(self) -> None:
        """With connections that were open to the end."""
        kind = type(self.reactor)

        def alive() -> int:
            gc.collect()
            return sum(isinstance(o, kind) for o in gc.get_objects())

        before = alive()
        for _ in range(5):
            reactor = self.makeReactor()
            self.reactor, mine = reactor, self.reactor
            self.pair()[0].transport.write(b"x" * 10000000)
            self.turns(2)
            self._cleanups.remove((self.unmakeReactor, (reactor,), {}))
            self.unmakeReactor(reactor)
            self.reactor = mine
            del reactor
        self.assertEqual(alive(), before)


on_epoll_too(globals())
