"""
Has a client that closed its half left, or does it wait for its answer?

A TCP client that closes and one that only half-closes send the same FIN. What tells them apart
is what they do with the next byte: the one that left resets the connection. So a
client that is quiet behind its FIN while its answer takes time is sent a byte of HTTP that
means nothing, an unsolicited C{100 (Continue)}, which every HTTP/1.1 client must be able
to skip (RFC 9110 section 15.2). If the connection is reset, the guest is told at once.

HTTP/1.0 knows no interim responses, so of its clients this is not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from subproxy.frontend.response_writer import CONTINUE
from subproxy.frontend.tcp_info import is_reset

if TYPE_CHECKING:
    from subproxy.frontend.http1 import Http1Protocol
    from subproxy.frontend.responder import Responder

PATIENCE = 0.04
"""Seconds that an answer may take before the client is asked."""

_SOON = 0.02
_LATER = 1.0
_SOON_LOOKS = 10


class Departure:
    """
    Watches one half-closed connection until its answer begins.

    @param connection: the connection.
    @param responder: the answer that is waited for.
    """

    def __init__(self, connection: Http1Protocol, responder: Responder) -> None:
        self._connection = connection
        self._responder = responder
        self._looks = 0

    def watch(self, clock: IReactorTime) -> None:
        """Begin."""
        self._clock = clock
        clock.callLater(PATIENCE, self._ask)

    def _ask(self) -> None:
        if self._connection.waitsFor(self._responder):
            self._connection.write(CONTINUE)
            self._clock.callLater(_SOON, self._look)

    def _look(self) -> None:
        if not self._connection.waitsFor(self._responder):
            return
        if is_reset(self._connection.transport):
            self._connection.abort()
            return
        self._looks += 1
        self._clock.callLater(_SOON if self._looks < _SOON_LOOKS else _LATER, self._look)
