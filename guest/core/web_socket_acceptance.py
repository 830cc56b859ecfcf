"""How an application takes a WebSocket. Imports no framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from wsproto.extensions import Extension

from guest.core.errors import WebSocketClosed
from guest.core.request import Request
from guest.core.response import Fields, Response, field_list
from guest.core.runtime import Runtime
from guest.core.tunnel import Acceptance, TunnelConnection
from guest.core.web_socket import FAILED, MESSAGE_LIMIT, WebSocket
from guest.core.web_socket_handshake import agreed_deflate, offered_subprotocols


def accept_fields(
    request: Request, subprotocol: str | None, headers: Fields, compress: bool = True
) -> tuple[list[tuple[bytes, bytes]], list[Extension]]:
    """
    What the response says that accepts a WebSocket, and the extensions that were agreed upon.

    @raise ValueError: the subprotocol was not offered.
    """
    fields = field_list(headers)
    if subprotocol is not None:
        if subprotocol not in offered_subprotocols(request.headers):
            raise ValueError(f"the subprotocol {subprotocol!r} was not offered")
        fields.append((b"Sec-WebSocket-Protocol", subprotocol.encode("ascii")))
    agreed = agreed_deflate(request.headers) if compress else None
    if agreed is None:
        return fields, []
    extension, said = agreed
    fields.append((b"Sec-WebSocket-Extensions", said))
    return fields, [extension]


class WebSocketAcceptance(Acceptance):
    """
    Takes a WebSocket, and has it served by a coroutine function.

    When that returns, the WebSocket is closed with 1000; with 1011 if it raises.
    """

    def __init__(
        self,
        serve: Callable[[WebSocket], Awaitable[None]],
        *,
        subprotocol: str | None = None,
        headers: Fields = (),
        message_limit: int = MESSAGE_LIMIT,
        compress: bool = True,
        bulk: bool = False,
    ) -> None:
        """
        Take it.

        @param subprotocol: one that the client has offered (L{offered_subprotocols}).
        @param headers: of the response that changes the protocol.
        @param message_limit: bytes of the longest message that is taken, uncompressed; a longer one
            ends the WebSocket with 1009.
        @param compress: take permessage-deflate (RFC 7692) if the client offers it.
        @param bulk: much will pass: let it have a connection of its own from the start, where the
            proxy has such.
        """
        self._serve = serve
        self._subprotocol = subprotocol
        self._headers = headers
        self._limit = message_limit
        self._compress = compress
        self._bulk = bulk

    def begin(
        self, runtime: Runtime, connection: TunnelConnection
    ) -> tuple[Response, Callable[[], Coroutine[Any, Any, None]]]:
        """See L{Acceptance}."""
        fields, extensions = accept_fields(
            connection.request, self._subprotocol, self._headers, self._compress
        )
        web_socket = WebSocket(runtime, connection, self._subprotocol, extensions, self._limit)

        async def run() -> None:
            reading = runtime.start(web_socket.run())
            runtime.when_done(reading, lambda error: _read(runtime, error))
            try:
                await self._serve(web_socket)
            except WebSocketClosed:
                pass  # the client has left: nobody need catch that
            except (Exception, runtime.cancelled):
                await web_socket.close(FAILED)
                raise
            await web_socket.close()

        return connection.accepted(fields, bulk=self._bulk), run


def _read(runtime: Runtime, error: BaseException | None) -> None:
    if error is not None and not isinstance(error, runtime.cancelled):
        runtime.log.failure("a WebSocket failed", error)
