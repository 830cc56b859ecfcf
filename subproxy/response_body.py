"""The body of an answer that an C{Agent} gets, if it is not too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss


def read_body(
    response: Any,
    most: int,
    broken: Callable[[Failure], BaseException | Failure],
    *,
    by_close: bool = False,
) -> Deferred[bytes]:
    """
    Read the body of C{response}, an L{IResponse<twisted.web.iweb.IResponse>}.

    @param most: bytes of it; its connection is closed when there are more.
    @param broken: what the Deferred fails with where the body is cut off, or too long.
    @param by_close: an answer without a length, which ends with its connection, is whole.
    @return: fires once; to cancel it closes the connection.
    """
    collector = _BodyCollector(most, broken, by_close)
    response.deliverBody(collector)
    return collector.whole


class _BodyCollector(Protocol):
    def __init__(
        self, most: int, broken: Callable[[Failure], BaseException | Failure], by_close: bool
    ) -> None:
        self.whole: Deferred[bytes] = Deferred(lambda _: self._abort())
        self._most = most
        self._broken = broken
        self._ends = (ResponseDone, PotentialDataLoss) if by_close else (ResponseDone,)
        self._data = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > self._most or self.whole.called:
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if len(self._data) <= self._most and reason.check(*self._ends):
            self.whole.callback(bytes(self._data))
        else:
            self.whole.errback(self._broken(reason))

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()
