"""One request that goes to the program, over one connection, and its response."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import cast

from guest.core.errors import RequestFailed
from guest.core.request import Request
from guest.core.response import Response
from guest.sidecar.connection import ProgramConnection, ProgramGone
from guest.sidecar.fields import end_to_end, has_length
from guest.sidecar.pool import ConnectionPool
from guest.sidecar.response_reader import AnswerEnd, AnswerHead
from guest.sidecar.tunnel import ProgramTunnel
from guest.sidecar.upload import BodyUpload
from subproxy.wire.fields import Headers

_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}


def unusual_reason(head: AnswerHead) -> bytes | None:
    """The reason phrase of a response, if it is not the one that its status has anyway."""
    return None if _PHRASES.get(head.status) == head.reason else head.reason or None


class ProgramResponse(Response):
    """A response of the program."""

    __slots__ = ()

    def checked(self) -> int | None:
        """
        As L{Response.checked}.

        @raise RequestFailed: HTTP or the wire do not allow it.
        """
        try:
            return super().checked()
        except ValueError as error:
            raise RequestFailed(f"the program's response can't be passed on: {error}") from None


class ProgramExchange:
    """One request on one connection, which is given back, or closed, when it is over."""

    def __init__(
        self, pool: ConnectionPool, connection: ProgramConnection, request: Request
    ) -> None:
        self._pool = pool
        self._connection = connection
        self._request = request
        self._upload: BodyUpload | None = None
        self._over = False
        self.trailers: Headers = []

    @property
    def taken(self) -> bool:
        """Whether some of the request's body can't be had again."""
        return self._upload is not None and self._upload.taken

    async def ask(self, head: bytes, whole: bytes | None) -> Response:
        """
        Send the request, and wait for the head of the response.

        @param head: of the request.
        @param whole: its body; None: that comes in pieces.
        @raise ProgramGone: there is no response.
        """
        connection, request = self._connection, self._request
        connection.begin(request.method, request.tunnel is not None)
        connection.write(head + whole if whole else head)
        if whole is None:
            told = request.header(b"content-length")
            length = int(told) if told else None
            self._upload = BodyUpload(request, connection, length, request.expects)
        return await self.answer()

    async def answer(self) -> Response:
        """
        Wait for the head of the response to a request that has been sent.

        @raise ProgramGone: there is no response.
        """
        connection = self._connection
        try:
            while (found := cast("AnswerHead", await connection.next())).status < 200:
                if found.status == 101:
                    self._over = True
                    return ProgramTunnel(connection, self._request).response(found)
                self._interim(found)
        except BaseException:
            self.give_up()
            raise
        return self._response(found)

    def _interim(self, head: AnswerHead) -> None:
        if head.status == 100:
            if self._upload is not None:
                self._upload.go_on()
            return
        try:
            self._request.interim(head.status, end_to_end(head.headers))
        except ValueError as error:
            raise ProgramGone(f"an interim response that can't be passed on: {error}") from None

    def _response(self, head: AnswerHead) -> Response:
        headers = end_to_end(head.headers)
        reason = unusual_reason(head)
        if not self._connection.complete:
            body = ProgramBody(self)
            return ProgramResponse(head.status, headers, body, lambda: self.trailers, reason)
        data, end = self._connection.rest()
        self._finish(end)
        if self._request.method == b"HEAD" and not has_length(headers):
            # Bytes would be given a length, and nobody knows that of the GET.
            return ProgramResponse(head.status, headers, iter(()), (), reason)
        return ProgramResponse(head.status, headers, data, end.trailers, reason)

    async def piece(self) -> bytes | None:
        """
        The next piece of the body; None at its end.

        @raise RequestFailed: it breaks off.
        """
        try:
            event = await self._connection.next()
        except ProgramGone as error:
            self.give_up()
            raise RequestFailed(str(error)) from None
        if isinstance(event, AnswerEnd):
            self._finish(event)
            return None
        return cast("bytes", event)

    def _finish(self, end: AnswerEnd) -> None:
        self._over = True
        self.trailers = end.trailers
        upload = self._upload
        if upload is not None:
            upload.cancel()
        if self._connection.finish(upload is None or upload.complete):
            self._pool.give_back(self._connection)

    def give_up(self) -> None:
        """Nobody takes the rest; nothing happens if there is none."""
        if not self._over:
            self._over = True
            if self._upload is not None:
                self._upload.cancel()
            self._connection.abort()


class ProgramBody(AsyncIterator[bytes]):
    """The body of a response, as the program sends it and the client takes it."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: ProgramExchange) -> None:
        self._exchange = exchange

    async def __anext__(self) -> bytes:
        piece = await self._exchange.piece()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """It is taken no further."""
        self._exchange.give_up()
