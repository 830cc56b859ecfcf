"""One connection to the program, on asyncio: a request at a time, with back-pressure both ways."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import Callable
from typing import cast

from guest.sidecar.response_reader import AnswerEnd, AnswerHead, BadResponse, ResponseReader
from guest.sidecar.states import CLIENT_CONNECTION_TRANSITIONS, ClientConnectionState

MOST_HELD = 65_536
"""Bytes of a response that may wait for who takes it."""

_READ = 65_536

Event = AnswerHead | AnswerEnd | bytes
State = ClientConnectionState


class ProgramGone(Exception):
    """The program has closed the connection, or says what is no HTTP; for a person."""


class ProgramConnection(asyncio.Protocol):
    """
    A connection that carries requests to the program, one after the other.

    @ivar state: see L{guest.sidecar.states}.
    @ivar written: some of the current request has been written.
    @ivar answered: some of the response to it has come.
    @ivar requests: how many requests it has carried before this one.
    @ivar observer: is called when some of a response has come, or the connection is closed: in the
        place of L{next}, for who does not wait in a coroutine.
    """

    transport: asyncio.Transport

    def __init__(
        self, loop: asyncio.AbstractEventLoop, gone: Callable[[ProgramConnection], object]
    ) -> None:
        """
        Begin idle.

        @param gone: called when it is closed while it is idle.
        """
        self.state = State.IDLE
        self.written = self.answered = False
        self.requests = -1
        self._loop = loop
        self.observer: Callable[[], object] | None = None
        self._gone = gone
        self._reader = ResponseReader()
        self._paused = False
        self._tcp: socket.socket | None = None
        self._error: ProgramGone | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._full: asyncio.Future[None] | None = None

    # For who sends a request.

    @property
    def complete(self) -> bool:
        """Whether all of the response is here."""
        return self._reader.complete

    @property
    def idle_limit(self) -> float | None:
        """For how many seconds the program keeps an idle connection, if it says."""
        return self._reader.idle_limit

    def usable(self) -> bool:
        """
        Whether a request may be written, by a look at the socket itself.

        That the program has closed may be known to the kernel, and not to the event loop yet.
        """
        if self.state is not State.IDLE or self.transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def begin(self, method: bytes, upgrades: bool = False) -> None:
        """A request follows; with C{upgrades}, one that asks for another protocol."""
        self._move(State.ASKING)
        self.written = self.answered = False
        self.requests += 1
        self._reader.begin(method, upgrades)

    def write(self, data: bytes) -> None:
        """Send some of the request; what is written to a connection that is gone is dropped."""
        if not self.transport.is_closing():
            self.written = True
            self.transport.write(data)

    def write_end(self) -> None:
        """All of a tunnel has been written."""
        if not self.transport.is_closing() and self.transport.can_write_eof():
            self.transport.write_eof()

    async def drain(self) -> None:
        """
        Wait until there is room for more of the request.

        @raise ProgramGone: there never will be.
        """
        while self._full is not None or (self.transport.is_closing() and self._error is None):
            if self._full is not None:
                await self._full
            else:  # why, we hear in the next turn
                await asyncio.sleep(0)
        if self._error is not None:
            raise self._error

    async def next(self) -> Event:
        """
        What comes next of the response.

        @raise ProgramGone: nothing more will.
        """
        reader = self._reader
        while not reader.events:
            if self._error is not None:
                raise self._error
            self._waiter = waiter = self._loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None
        event = reader.take()
        if self._paused and reader.held < MOST_HELD // 2 and self.state is not State.CLOSED:
            self._paused = False
            self.transport.resume_reading()
        return event

    @property
    def told(self) -> bool:
        """Whether L{next} has something to say at once."""
        return bool(self._reader.events) or self._error is not None

    def whole(self) -> tuple[AnswerHead, bytes, AnswerEnd] | None:
        """The response, if all of it is here, and nothing was before it; otherwise None."""
        events = self._reader.events
        if self.state is not State.ANSWERED or cast("AnswerHead", events[0]).status < 200:
            return None
        head = cast("AnswerHead", self._reader.take())
        return head, *self.rest()

    def rest(self) -> tuple[bytes, AnswerEnd]:
        """What there is of a response that is complete, but for its head."""
        *pieces, end = self._reader.take_all()
        return b"".join(cast("list[bytes]", pieces)), cast("AnswerEnd", end)

    def finish(self, sent: bool) -> bool:
        """
        The response has been taken.

        @param sent: all of the request has been written.
        @return: whether the connection is idle now; otherwise it is closed.
        """
        if sent and self._reader.reusable and self.state is State.ANSWERED:
            self._move(State.IDLE)
            if self._paused:
                self._paused = False
                self.transport.resume_reading()
            return True
        self.abort()
        return False

    def close(self) -> None:
        """Close, behind what was written."""
        if self.state is not State.CLOSED:
            self._close(ProgramGone("the tunnel is over"))
        self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self.state is not State.CLOSED:
            self._close(ProgramGone("the connection was given up"))
            self.transport.abort()

    def _move(self, state: State) -> None:
        if state not in CLIENT_CONNECTION_TRANSITIONS[self.state]:
            raise AssertionError(f"{self.state} to {state}")
        self.state = state

    def _close(self, error: ProgramGone) -> None:
        idle = self.state is State.IDLE
        self._move(State.CLOSED)
        self._error = self._error or error
        self.resume_writing()
        self._wake()
        if idle:
            self._gone(self)

    def _wake(self) -> None:
        if self.observer is not None:
            self.observer()
            return
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # Of asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The program has taken it."""
        self.transport = cast("asyncio.Transport", transport)
        found = transport.get_extra_info("socket")
        if found is not None and found.family in (socket.AF_INET, socket.AF_INET6):
            self._tcp = found

    def data_received(self, data: bytes) -> None:
        """Some of a response; what comes unasked ends the connection."""
        if self.state is State.ASKING:
            self._move(State.ANSWERING)
            self.answered = True
        elif self.state is State.IDLE:
            self._close(ProgramGone("the program spoke unasked"))
            self.transport.abort()
            return
        try:
            self._reader.feed(data)
        except BadResponse as error:
            if self.state is not State.CLOSED:
                self._close(ProgramGone(str(error)))
                self.transport.abort()
            return
        if self._reader.held > MOST_HELD and not self._paused and not self._reader.complete:
            self._paused = True
            self.transport.pause_reading()
        if self._tcp is not None and not self._reader.complete:
            self._acknowledge(self._tcp)
        self._came()

    @staticmethod
    def _acknowledge(tcp: socket.socket) -> None:
        """
        Let the program know now that we have what it has sent, and not after 40 ms (tcp(7)).

        One without TCP_NODELAY sends nothing more before that: what it writes head first, and then
        the body, would be as late.
        """
        with contextlib.suppress(OSError):
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _came(self) -> None:
        if self._reader.complete and self.state is State.ANSWERING:
            self._move(State.ANSWERED)
        self._wake()

    def eof_received(self) -> bool:
        """The program sends no more, and has no use for more."""
        if self.state is State.CLOSED:
            return False
        try:
            self._reader.eof()
        except BadResponse as error:
            self._close(ProgramGone(str(error)))
            return False
        self._came()
        if self.state is State.IDLE:
            self._close(ProgramGone("the program closed the connection"))
        # Of a tunnel the client's half goes on.
        return self._reader.raw

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, perhaps while we wrote: then an early answer may not have been read."""
        if exc is not None and self._error is None and not self._reader.complete:
            self._read_rest()
        if self._error is None:
            self._close(ProgramGone(f"the connection to the program broke: {exc or 'closed'}"))

    def _read_rest(self) -> None:
        # A program that answers early and closes resets us: our write fails, and the event loop
        # closes without reading. What had come before the reset is in the kernel still.
        descriptor = self.transport.get_extra_info("socket").fileno()
        with contextlib.suppress(OSError):
            while not self._reader.complete and (data := os.read(descriptor, _READ)):
                self.data_received(data)
                if self._error is not None:
                    return

    def pause_writing(self) -> None:
        """Enough of the request waits."""
        if self._full is None:
            self._full = self._loop.create_future()

    def resume_writing(self) -> None:
        """There is room."""
        full, self._full = self._full, None
        if full is not None and not full.done():
            full.set_result(None)
