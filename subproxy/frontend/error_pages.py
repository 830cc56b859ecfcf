"""What a client is told when there is no answer: a short plain text with the request id."""

from __future__ import annotations

from subproxy.core.http.fields import METHODS, PHRASES
from subproxy.core.http.response import ResponseHead
from subproxy.core.printable import printable
from subproxy.errors import ClientError, MachineStarting, ProxyError, Unauthorized, UpgradeRequired
from subproxy.frontend.starting_page import REFRESH, STARTING_HEADERS, starting_page

_ALLOW = b", ".join(sorted(METHODS))

_OF_ALL = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
    # The address may have the token of a link, and a browser asks for an icon by itself.
    (b"Referrer-Policy", b"no-referrer"),
)


def error_page(error: ProxyError, method: bytes, request_id: bytes) -> tuple[ResponseHead, bytes]:
    """
    The response for C{error}.

    The client's own faults are explained to it. Of a guest's faults it learns the kind
    alone: the details are for the log.

    What belongs to a connection of HTTP/1.1 is among its fields: HTTP/2 has none of it.

    @param method: that of the request: HEAD gets no body.
    @return: its head, and its body.
    """
    if isinstance(error, MachineStarting):
        return _starting(error, request_id)
    status = error.status if 400 <= error.status <= 599 and error.status != 499 else 500
    phrase = PHRASES.get(status, b"Error")
    reason = error.reason if isinstance(error, ClientError) else _kind(error)
    body = b"%d %b\n%b\nrequest id: %b\n" % (
        status,
        phrase,
        printable(reason).encode("ascii"),
        request_id or b"-",
    )
    headers = [(b"Content-Type", b"text/plain; charset=utf-8"), *_OF_ALL]
    if error.retry_after is not None:
        headers.append((b"Retry-After", b"%d" % error.retry_after))
    if status == 405:
        headers.append((b"Allow", _ALLOW))
    elif isinstance(error, UpgradeRequired):
        # RFC 6455 section 4.4; RFC 9110 section 15.5.22, and section 7.8 for the option.
        headers.append((b"Sec-WebSocket-Version", b"13"))
        headers += [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")]
    elif isinstance(error, Unauthorized):
        # RFC 7617 section 2.
        headers.append((b"WWW-Authenticate", b'Basic realm="private", charset="UTF-8"'))
    return ResponseHead(status, phrase, headers, len(body), method == b"HEAD"), body


def _starting(error: MachineStarting, request_id: bytes) -> tuple[ResponseHead, bytes]:
    body = starting_page(request_id)
    headers = [
        *STARTING_HEADERS,
        *_OF_ALL,
        (b"Retry-After", b"%d" % (error.retry_after or REFRESH)),
    ]
    return ResponseHead(error.status, PHRASES[error.status], headers, len(body)), body


def _kind(error: ProxyError) -> str:
    return (type(error).__doc__ or "").strip().partition("\n")[0]
