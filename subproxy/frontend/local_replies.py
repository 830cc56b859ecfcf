"""Answers that no guest gives: to what is no request, and to what is asked of the proxy itself."""

from __future__ import annotations

from subproxy.core.exchange import Exchange, ExchangeState
from subproxy.core.http.fields import METHODS
from subproxy.errors import ClientError
from subproxy.frontend.client_stream import ClientStream


def refuse(client_stream: ClientStream, error: ClientError) -> None:
    """Answer with the page of C{error}, whether or not somebody has the request already."""
    if client_stream.exchange is None:
        client_stream.exchange = Exchange(client_stream.request, b"", client_stream)
    client_stream.exchange.fail(error)


def answer_for_all(client_stream: ClientStream) -> None:
    """C{OPTIONS *} asks about the server as a whole: the proxy speaks for itself."""
    exchange = client_stream.exchange = Exchange(client_stream.request, b"", client_stream)
    exchange.move(ExchangeState.SENT)
    exchange.response_start(200, b"", [(b"Allow", b", ".join(sorted(METHODS)))], b"")
