"""The body of an answer, if it is not too long."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss

from subproxy.response_body import read_body


class Response:
    """One whose body comes when the test says so."""

    def deliverBody(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport = StringTransport()
        protocol.makeConnection(self.transport)


class Broken(Exception):
    pass


class ReadBodyTests(SynchronousTestCase):
    def begin(self, **options: bool) -> Deferred[bytes]:
        self.response = Response()
        self.reasons: list[Failure] = []

        def broken(reason: Failure) -> Exception:
            self.reasons.append(reason)
            return Broken()

        return read_body(self.response, 5, broken, **options)

    def end(self, error: Exception) -> None:
        self.response.protocol.connectionLost(Failure(error))

    def test_whole(self) -> None:
        """In pieces, as many bytes as there may be."""
        found = self.begin()
        for piece in (b"ab", b"", b"cde"):
            self.response.protocol.dataReceived(piece)
        self.assertNoResult(found)
        self.assertFalse(self.response.transport.disconnecting)
        self.end(ResponseDone())
        self.assertEqual(self.successResultOf(found), b"abcde")

    def test_too_long(self) -> None:
        """The connection is closed at once, and it is broken even if that was its end."""
        found = self.begin()
        self.response.protocol.dataReceived(b"abcdef")
        self.assertTrue(self.response.transport.disconnecting)
        self.end(ResponseDone())
        self.failureResultOf(found, Broken)

    def test_cut_off(self) -> None:
        """What broke it is told; without a length it is so only where that was not allowed."""
        for error in (ResponseFailed([]), PotentialDataLoss()):
            found = self.begin()
            self.response.protocol.dataReceived(b"ab")
            self.end(error)
            self.failureResultOf(found, Broken)
            self.assertEqual([each.value for each in self.reasons], [error])
        found = self.begin(by_close=True)
        self.response.protocol.dataReceived(b"ab")
        self.end(PotentialDataLoss())
        self.assertEqual(self.successResultOf(found), b"ab")

    def test_given_up(self) -> None:
        """The connection is closed; what comes after that is nobody's."""
        found = self.begin()
        found.cancel()
        self.assertTrue(self.response.transport.disconnecting)
        self.failureResultOf(found, CancelledError)
        self.response.protocol.dataReceived(b"ab")
        self.end(ResponseDone())
        self.assertEqual(self.reasons, [])
