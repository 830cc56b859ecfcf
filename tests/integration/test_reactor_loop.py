"""The loop over turns asks its reactor for no more than it must, and misses nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from tests.integration.reactor_harness import DEADLINE, ReactorTestCase, Recorder, on_epoll_too

FAR = 10 * DEADLINE  # seconds: longer than any test may take


class LoopTests(ReactorTestCase):
    """What happens while the loop turns by itself: something is received, or it sleeps."""

    def received(self, then: Callable[[], object]) -> float:
        """
        Run the reactor, and call C{then} for what is received in a turn of the compiled loop.

        The first bytes are received in a turn of Twisted's, for which there are new calls.

        @return: seconds until the reactor has stopped.
        """
        peers: list[socket.socket] = []

        class Once(Recorder):
            def dataReceived(self, data: bytes) -> None:
                if data == b"1":
                    peers[0].sendall(b"2")
                elif data == b"2":
                    peers[0].sendall(b"3")
                else:
                    then()

        _, peer = self.pair(Once)
        peers.append(peer)
        self.reactor.callLater(FAR, self.fail, "nothing has stopped the reactor")
        peer.sendall(b"1")
        began = time.monotonic()
        self.reactor.run(installSignalHandlers=False)
        return time.monotonic() - began

    def test_stop(self) -> None:
        """A reactor that is told to stop does, at once."""
        self.assertLess(self.received(self.reactor.stop), DEADLINE)

    def test_crash(self) -> None:
        self.assertLess(self.received(self.reactor.crash), DEADLINE)

    def test_newCall(self) -> None:
        """A call that is made meanwhile is made in time."""
        took = self.received(lambda: self.reactor.callLater(0.01, self.reactor.stop))
        self.assertLess(took, DEADLINE)

    def test_soonerCall(self) -> None:
        """So is one that is due earlier than it was."""
        call = self.reactor.callLater(FAR / 2, self.reactor.stop)
        self.assertLess(self.received(lambda: call.reset(0.01)), DEADLINE)

    def test_laterCall(self) -> None:
        """One that is put off is made later, not now."""
        made: list[float] = []

        def stop() -> None:
            made.append(time.monotonic())
            self.reactor.stop()

        due: list[float] = []
        call = self.reactor.callLater(0.2, stop)

        def later() -> None:
            due.append(time.monotonic() + 0.4)
            call.reset(0.4)

        self.assertLess(self.received(later), DEADLINE)
        self.assertGreater(made[0], due[0] - 0.01)

    def test_turnWithinATurn(self) -> None:
        """Who runs the reactor within a turn has it look at its calls: none is forgotten."""

        def nested() -> None:
            self.reactor.callLater(0.01, self.reactor.stop)
            self.reactor.iterate(0)

        self.assertLess(self.received(nested), DEADLINE)

    def test_clockThatJumps(self) -> None:
        """Calls go by the clock that the reactor has, where that is not the monotonic one, too."""
        ahead = [0.0]
        self.reactor.seconds = lambda: time.time() + ahead[0]
        self.reactor.callLater(FAR / 2, self.reactor.stop)
        self.assertLess(self.received(lambda: ahead.append(ahead.pop() + FAR * 0.75)), DEADLINE)


on_epoll_too(globals())
