"""What a client offers for a WebSocket, beside the handshake that the proxy has checked."""

from __future__ import annotations

try:
    from guest.core.message_deflate import MessageDeflate
except ImportError as error:
    raise ImportError(
        "WebSockets need wsproto: pip install 'subscription-proxy-vsock[websocket]'"
    ) from error

from subproxy.wire.fields import Headers


def offered_subprotocols(headers: Headers) -> list[str]:
    """The subprotocols that a client offers, in its order (RFC 6455 section 11.3.4)."""
    return [
        part.strip().decode("latin-1")
        for name, value in headers
        if name.lower() == b"sec-websocket-protocol"
        for part in value.split(b",")
        if part.strip()
    ]


def agreed_deflate(headers: Headers) -> tuple[MessageDeflate, bytes] | None:
    """The extension for compressed messages, if it is offered (RFC 7692), and what to say."""
    for name, value in headers:
        if name.lower() != b"sec-websocket-extensions":
            continue
        for offer in value.decode("latin-1").split(","):
            kind, *parameters = (part.strip() for part in offer.split(";"))
            names = [parameter.split("=")[0].rstrip() for parameter in parameters]
            # Another parameter, or one that comes twice, is a reason to decline (section 7.1).
            if kind != MessageDeflate.name or not _PARAMETERS.issuperset(names):
                continue
            if len(set(names)) != len(names):
                continue
            extension = MessageDeflate()
            try:
                said = extension.accept(offer.strip())
            except ValueError:
                continue  # a number that is none
            if said is None or said is False:
                continue
            text = f"{extension.name}; {said}" if isinstance(said, str) and said else extension.name
            return extension, text.encode("latin-1")
    return None


_PARAMETERS = frozenset(
    {
        "client_max_window_bits",
        "client_no_context_takeover",
        "server_max_window_bits",
        "server_no_context_takeover",
    }
)
