"""The lease of a transport's writing side."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.relay.socket_lease import SendingLease


class Writing:
    """A transport that has written all, or has not."""

    producerPaused = False
    flushed = True
    started = 0

    def startWriting(self) -> None:
        self.started += 1

    def fileno(self) -> int:
        return 7


class SendingLeaseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lease = SendingLease()
        self.transport = Writing()
        self.given: list[int] = []

    def test_at_once(self) -> None:
        self.lease.lend(self.transport, self.given.append)
        self.assertEqual((self.given, self.transport.started), ([7], 0))

    def test_behind_what_was_written(self) -> None:
        """
        It is given once, when all has left, and not when there is only room for more: then the
        transport is to tell again.
        """
        transport = self.transport
        transport.flushed = False
        self.lease.lend(transport, self.given.append)
        self.assertEqual((self.given, transport.producerPaused, transport.started), ([], True, 1))
        transport.producerPaused = False  # as transports do before they say so
        self.lease.resumed(transport)
        self.assertEqual((self.given, transport.producerPaused, transport.started), ([], True, 2))
        transport.flushed = True
        self.lease.resumed(transport)
        self.lease.resumed(transport)
        self.assertEqual(self.given, [7])

    def test_of_a_connection_that_is_over(self) -> None:
        self.transport.flushed = False
        self.lease.lend(self.transport, self.given.append)
        self.lease.void()
        self.transport.flushed = True
        self.lease.resumed(self.transport)
        self.assertEqual(self.given, [])
