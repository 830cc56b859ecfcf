"""Answers that no guest gives: to what is no request, and to what is asked of the proxy itself."""

from __future__ import annotations

from dataclasses import replace

from subproxy.core.exchange import Exchange, ExchangeState
from subproxy.core.http.fields import METHODS
from subproxy.core.sites.link_token import target_without_token
from subproxy.errors import ClientError
from subproxy.frontend.client_stream import ClientStream


def refuse(client_stream: ClientStream, error: ClientError) -> None:
    """Answer with the page of C{error}, whether or not somebody has the request already."""
    if client_stream.exchange is None:
        request = client_stream.request
        # For the log: no rules of a site have taken the token of a link out.
        target = target_without_token(request.target)
        if target != request.target:
            request = replace(request, target=target)
        client_stream.exchange = Exchange(request, b"", client_stream)
    client_stream.exchange.fail(error)


def answer_for_all(client_stream: ClientStream) -> None:
    """C{OPTIONS *} asks about the server as a whole: the proxy speaks for itself."""
    exchange = client_stream.exchange = Exchange(client_stream.request, b"", client_stream)
    exchange.move(ExchangeState.SENT)
    exchange.response_start(200, b"", [(b"Allow", b", ".join(sorted(METHODS)))], b"")
