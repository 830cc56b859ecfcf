"""Answers that no guest gives: to what is no request, and to what is asked of the proxy itself."""

from __future__ import annotations

from subproxy.core.exchange import Exchange, RequestHead, State
from subproxy.core.fields import METHODS
from subproxy.errors import ClientError
from subproxy.frontend.responder import Responder

_SHOWN = 256


def unreadable(data: bytes, client: bytes, request_id: bytes) -> RequestHead:
    """What can be told of a head that can't be made a request of: C{data} begins with it."""
    line = data[:_SHOWN].partition(b"\r\n")[0].partition(b"\n")[0]
    method = b"HEAD" if line.startswith(b"HEAD ") else b""
    return RequestHead(method, line, b"", b"", [], client=client, request_id=request_id)


def refuse(responder: Responder, error: ClientError) -> None:
    """Answer with the page of C{error}, whether or not somebody has the request already."""
    if responder.exchange is None:
        responder.exchange = Exchange(responder.request, b"", responder)
    responder.exchange.fail(error)


def answer_for_all(responder: Responder) -> None:
    """C{OPTIONS *} asks about the server as a whole: the proxy speaks for itself."""
    exchange = responder.exchange = Exchange(responder.request, b"", responder)
    exchange.move(State.SENT)
    exchange.response_start(200, b"", [(b"Allow", b", ".join(sorted(METHODS)))], b"")
