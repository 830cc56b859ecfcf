"""A transport's socket, written beside it."""

from __future__ import annotations

import os
import socket
import tempfile
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.tcp import Server
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from guest.core.direct_writer import AT_ONCE
from guest.twisted.direct_writer import DirectWriter
from tests.relay.test_splice import Readiness, open_descriptors

BODY = os.urandom(1 << 16) * 48


class Transport:
    """What an outlet asks of a transport."""

    def __init__(self, reactor: Readiness, ours: socket.socket) -> None:
        self.reactor = reactor
        self._ours = ours

    def fileno(self) -> int:
        return self._ours.fileno()


class OutletTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Readiness()
        self.ours, self.proxy = socket.socketpair()
        for each in (self.ours, self.proxy):
            each.setblocking(False)
            self.addCleanup(each.close)
        self.before = open_descriptors()
        self.outlet = DirectWriter(Transport(self.reactor, self.ours))
        self.addCleanup(self.outlet.close)

    def come(self, sending: Deferred[Any]) -> bytes:
        """What comes until C{sending} has fired."""
        got = bytearray()
        fired: list[Any] = []
        sending.addBoth(fired.append)
        while not fired:
            try:
                while data := self.proxy.recv(1 << 20):
                    got += data
            except BlockingIOError:
                pass
            self.reactor.turn()
        self.result = fired[0]
        try:
            got += self.proxy.recv(1 << 22)
        except BlockingIOError:
            pass
        return bytes(got)

    def file(self, size: int) -> Any:
        file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by a cleanup)
        self.addCleanup(file.close)
        file.write(BODY[:size])
        file.flush()
        return file

    def test_piece(self) -> None:
        """All of it, in order, however large; nobody waits afterwards."""
        self.assertGreater(len(BODY), AT_ONCE)
        self.assertTrue(self.come(ensureDeferred(self.outlet.send(BODY))) == BODY)
        self.assertEqual((self.result, self.reactor.writers), (True, []))

    def test_file(self) -> None:
        """That part of it, and no other."""
        file = self.file(len(BODY))
        sending = ensureDeferred(self.outlet.send_file(file.fileno(), 1000, 2_000_000))
        self.assertTrue(self.come(sending) == BODY[1000:2_000_000])
        self.assertIs(self.result, True)

    def test_shorter_file(self) -> None:
        """One that has become shorter is an error, and never filled up with anything."""
        file = self.file(5000)
        sending = ensureDeferred(self.outlet.send_file(file.fileno(), 0, 6000))
        self.assertEqual(self.come(sending), BODY[:5000])
        self.assertIsInstance(self.result, Failure)
        self.result.trap(OSError)

    def test_gone(self) -> None:
        """A connection that is gone is told, before and amid."""
        for send in (
            lambda: self.outlet.send(BODY),
            lambda: self.outlet.send_file(self.file(len(BODY)).fileno(), 0, len(BODY)),
        ):
            outcome = ensureDeferred(send())
            self.assertNoResult(outcome)
            self.outlet.close()
            self.assertIs(self.successResultOf(outcome), False)
            self.assertIs(self.successResultOf(ensureDeferred(self.outlet.send(BODY))), False)
            self.outlet = DirectWriter(Transport(self.reactor, self.ours))
            self.addCleanup(self.outlet.close)
        waiting = ensureDeferred(self.outlet.send(BODY))
        self.proxy.close()
        self.reactor.turn()
        self.assertIs(self.successResultOf(waiting), False)

    def test_an_event_of_another(self) -> None:
        """What a reactor reports of our number makes it look, and no more."""
        sending = ensureDeferred(self.outlet.send(BODY))
        self.outlet.connectionLost(Failure(ConnectionLost()))
        self.assertNoResult(sending)
        self.assertEqual((self.reactor.writers, self.outlet.logPrefix()), ([self.outlet], "outlet"))
        self.assertTrue(self.come(sending) == BODY)

    def test_descriptor(self) -> None:
        """It has one of its own, and gives it back once."""
        self.assertEqual(open_descriptors(), self.before + 1)
        self.outlet.close()
        self.outlet.close()
        self.assertEqual((open_descriptors(), self.outlet.fileno()), (self.before, -1))

    def test_possible(self) -> None:
        """Only beside a plain stream transport with nothing in it."""
        self.assertFalse(DirectWriter.possible(Transport(self.reactor, self.ours)))
        transport = Server.__new__(Server)
        self.assertTrue(DirectWriter.possible(transport))
        transport.TLS = True
        self.assertFalse(DirectWriter.possible(transport))

    def test_written(self) -> None:
        """Whether a transport of Twisted's or of the ring has anything left to write."""
        transport = Server.__new__(Server)
        transport._tempDataBuffer, transport.dataBuffer, transport.offset = [], b"", 0
        self.assertTrue(DirectWriter.written(transport))
        transport.dataBuffer = b"x"
        self.assertFalse(DirectWriter.written(transport))
        transport.dataBuffer, transport._tempDataBuffer = b"", [b"x"]
        self.assertFalse(DirectWriter.written(transport))
        for flushed in (True, False):
            transport.flushed = flushed
            self.assertIs(DirectWriter.written(transport), flushed)
