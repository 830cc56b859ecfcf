"""
Has a client that closed its half left, or does it wait for its answer?

When its FIN came says that, or does not: L{subproxy.frontend.half_close}. What settles it is what
the client does with the next byte: the one that left resets the connection. So what is written
behind a FIN is followed by a look for a reset; and a client that is quiet behind its FIN while
its answer takes time is sent a byte of HTTP that means nothing, an unsolicited C{100 (Continue)},
which every HTTP/1.1 client must be able to skip (RFC 9110 section 15.2).

HTTP/1.0 knows no interim responses, so of its clients this is not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from subproxy.frontend.half_close import Fin, HalfClose, time_left
from subproxy.frontend.hangup import Hangup, hangup
from subproxy.frontend.http1.response_writer import CONTINUE
from subproxy.frontend.tcp_info import quiet_for
from subproxy.telemetry.close_reason import CloseReason

PATIENCE = 0.04
"""Seconds that an answer may take before the client is asked."""

SOON = 0.02
"""Seconds between two looks for a reset behind what was written."""

LATER = 0.25
"""The same, when none has come for a while."""

SOON_LOOKS = 10


class ProbedAnswer(Protocol):
    """
    The answer under way.

    @ivar sent: bytes of body that were written.
    """

    sent: int

    @property
    def supports_interim(self) -> bool:
        """The client understands interim responses."""

    @property
    def has_length(self) -> bool:
        """The client can tell whether its body is whole."""

    def body_came(self) -> None:
        """The client is not to be asked for its body any more."""


class ProbedConnection(Protocol):
    """
    The connection of the client.

    @ivar transport: its transport.
    @ivar writable: the client takes what is written.
    """

    transport: Any
    writable: bool

    @property
    def answering(self) -> ProbedAnswer | None:
        """The answer under way, of which something is still to be written."""

    @property
    def waits(self) -> bool:
        """Whether nothing of that has been written."""

    def write(self, data: bytes) -> None:
        """Write to the client."""

    def close(self, reason: CloseReason) -> None:
        """Close it, since the client has left."""


class DisconnectProbe:
    """
    Watches one connection from its client's FIN on, until the answer under way has ended.

    @param connection: the connection.
    @param option: whether clients may half-close.
    @param clock: what calls later.
    @param monotonic: the time, in seconds.
    """

    __slots__ = (
        "_behind",
        "_call",
        "_clock",
        "_connection",
        "_looks",
        "_monotonic",
        "_option",
        "_sent",
        "_since",
        "_watched",
    )

    def __init__(
        self,
        connection: ProbedConnection,
        option: HalfClose,
        clock: IReactorTime,
        monotonic: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._option = option
        self._clock = clock
        self._monotonic = monotonic
        self._watched: ProbedAnswer | None = None
        self._behind = False  # the FIN came behind the head of that
        self._call: IDelayedCall | None = None
        self._looks = 0
        self._since = 0.0  # when the guest sent something, or the client had not taken it
        self._sent = -1

    def came(self, behind: bool) -> None:
        """
        The client's FIN is here; may be told again.

        @param behind: it came behind the head of the answer under way.
        """
        connection = self._connection
        answer = connection.answering
        if answer is None or answer is self._watched:
            return
        self._watched = answer
        self._behind = behind
        self._looks = 0
        self._since = self._monotonic()
        self._sent = answer.sent
        left = self._time_left(answer)
        if left <= 0:
            connection.close(CloseReason.CLIENT_LEFT)
        elif connection.waits:
            self._again(PATIENCE, self._ask)
        else:
            self._again(min(SOON, left), self._look)

    def wrote(self) -> None:
        """Something was written: a reset may come back."""
        self._looks = 0
        if self._watched is not None and self._connection.answering is self._watched:
            self._again(SOON, self._look)

    def stop(self) -> None:
        """The connection is gone."""
        self._watched = None
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _ask(self) -> None:
        connection, answer = self._connection, self._watched
        if answer is None or connection.answering is not answer:
            return
        if connection.waits and answer.supports_interim:
            answer.body_came()
            connection.write(CONTINUE)
        self._again(SOON, self._look)

    def _look(self) -> None:
        connection, answer = self._connection, self._watched
        if answer is None or connection.answering is not answer:
            return
        left = self._time_left(answer)
        if left <= 0:
            connection.close(CloseReason.CLIENT_LEFT)
            return
        if hangup(connection.transport) is Hangup.RESET:
            connection.close(CloseReason.CLIENT_RESET)
            return
        self._looks += 1
        self._again(min(left, SOON if self._looks < SOON_LOOKS else LATER), self._look)

    def _again(self, seconds: float, what: Callable[[], None]) -> None:
        """Call C{what} in so many seconds, unless something is due before that."""
        call = self._call
        if call is not None and call.active():
            if call.getTime() <= self._clock.seconds() + seconds:
                return
            call.cancel()
        self._call = self._clock.callLater(seconds, what)

    def _time_left(self, answer: ProbedAnswer) -> float:
        """See L{time_left}."""
        connection = self._connection
        now = self._monotonic()
        # Of what was before the FIN the kernel alone knows.
        idle = quiet_for(connection.transport)
        if answer.sent != self._sent or not connection.writable or idle == 0:
            self._sent = answer.sent
            self._since = now
            idle = 0.0
        quiet = max(now - self._since, idle or 0.0)
        fin = Fin.BEHIND_HEAD if self._behind else Fin.BEFORE_HEAD
        return time_left(self._option, fin, answer.has_length, quiet)
