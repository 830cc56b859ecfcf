"""A descriptor that the ring polls for somebody else."""

from __future__ import annotations

import os
import select

from subproxy.reactor.interfaces import IReactorReadiness
from tests.integration.reactor_harness import ReactorTestCase, on_epoll_too


class WatchTests(ReactorTestCase):
    """An epoll descriptor with one event on it, as relays have."""

    def setUp(self) -> None:
        super().setUp()
        self.poller = select.epoll()
        self.addCleanup(self.poller.close)
        self.bell = os.eventfd(0, os.EFD_NONBLOCK)
        self.addCleanup(os.close, self.bell)
        self.poller.register(self.bell, select.EPOLLIN)
        self.calls = 0
        self.watch = self.reactor.watchReadable(self.poller.fileno(), self.ready, "somebody")
        self.addCleanup(self.watch.stop)

    def ready(self) -> None:
        self.calls += 1

    def turns(self, count: int = 3) -> None:
        for _ in range(count):
            self.reactor.iterate(0)

    def test_provided(self) -> None:
        """It is said by an interface."""
        self.assertTrue(IReactorReadiness.providedBy(self.reactor))
        self.assertEqual(self.watch.logPrefix(), "somebody")
        self.assertNotIn(self.watch, self.reactor.getReaders())
        self.assertNotIn(self.watch, self.reactor.getWriters())

    def test_level(self) -> None:
        """In every turn, as long as it is readable."""
        self.turns()
        self.assertEqual(self.calls, 0)
        os.eventfd_write(self.bell, 1)
        self.spin(lambda: self.calls > 3)
        os.eventfd_read(self.bell)
        self.turns()
        before = self.calls
        self.turns()
        self.assertEqual(self.calls, before)

    def test_again(self) -> None:
        """When it is asked for, once; also by who is called."""
        self.turns()
        self.watch.again()
        self.watch.again()
        self.turns()
        self.assertEqual(self.calls, 1)
        self.ready_once_more()
        self.turns(5)
        self.assertEqual(self.calls, 4)

    def ready_once_more(self) -> None:
        """The next two calls ask for another."""
        left = [1, 1]

        def ready() -> None:
            self.calls += 1
            if left:
                left.pop()
                self.watch.again()

        self.watch.stop()
        self.watch = self.reactor.watchReadable(self.poller.fileno(), ready, "again")
        self.watch.again()

    def test_others_first(self) -> None:
        """Who is called finds that others wait, if they do; and not because of the watch itself."""
        seen: list[bool] = []

        def ready() -> None:
            self.calls += 1
            seen.append(self.reactor.engine.pending)
            os.eventfd_read(self.bell)

        self.watch.stop()
        self.watch = self.reactor.watchReadable(self.poller.fileno(), ready, "curious")
        self.turns()
        os.eventfd_write(self.bell, 1)
        self.spin(lambda: bool(seen))
        self.assertEqual(seen, [False])

    def test_stop(self) -> None:
        """Nothing more, whatever was in flight; and the descriptor may be closed."""
        self.turns()
        os.eventfd_write(self.bell, 1)
        self.watch.stop()
        self.watch.stop()
        self.watch.again()
        self.poller.close()
        self.turns()
        self.assertEqual(self.calls, 0)

    def test_failure(self) -> None:
        """What is raised is logged, and it goes on."""

        def ready() -> None:
            self.calls += 1
            os.eventfd_read(self.bell)
            raise ZeroDivisionError

        self.watch.stop()
        self.watch = self.reactor.watchReadable(self.poller.fileno(), ready, "buggy")
        for calls in (1, 2):
            os.eventfd_write(self.bell, 1)
            self.spin(lambda calls=calls: self.calls == calls)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_another_ring(self) -> None:
        """When the ring is made anew, it is polled again."""
        self.turns()
        self.reactor.engine.close()
        os.eventfd_write(self.bell, 1)
        self.spin(lambda: self.calls > 0)


on_epoll_too(globals())
