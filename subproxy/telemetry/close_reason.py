"""Why the connection of a client was closed: what the logs can tell, in one word."""

from __future__ import annotations

from enum import Enum

from subproxy.core.fast_enum import fast_enum


@fast_enum
class CloseReason(Enum):
    """Who closed, or what made the proxy close. How it closes then is the frontend's."""

    CLIENT_CLOSED = "client-closed"
    """The client closed or reset it, and the transport said so."""
    CLIENT_DONE = "client-done"
    """The client will send no more, and has its answers."""
    CLIENT_LEFT = "client-left"
    """The client sent a FIN under an answer, and that counts as leaving."""
    CLIENT_RESET = "client-reset"
    """The client reset it while it was not read from: found by a look."""
    SOCKET_BROKE = "socket-broke"
    """The socket took no more of a body that was moved past the transport."""
    SLOW_READER = "slow-reader"
    """The client took its answer more slowly than the slowest rate."""
    ANSWER_UNTAKEN = "answer-untaken"
    """The client was idle behind an answer that it had not taken from the kernel."""
    EARLY_DATA = "early-data"
    """The client went on in another protocol before it was told that the proxy does, too."""
    TUNNEL_IDLE = "tunnel-idle"
    """Nothing passed through its tunnel for long."""
    TRUNCATED = "truncated"
    """The answer under way could not be completed, which the client must see."""
    LAST_ANSWER = "last-answer"
    """The answer before said that it is the last."""
    LINGER_TIMEOUT = "linger-timeout"
    """The client kept sending behind its last answer."""
    KEEPALIVE_TIMEOUT = "keepalive-timeout"
    """No request came for long."""
    PROXY_HEADER = "proxy-header"
    """What came is no PROXY header, or came too slowly."""
    TLS_HANDSHAKE = "tls-handshake"
    """What came is no handshake that could be answered, or came too slowly."""
    HTTP2_ERROR = "http2-error"
    """The client broke a rule of HTTP/2, or did something too often."""
    TOO_MANY = "too-many-connections"
    """There were as many connections as there may be."""
    DRAINING = "draining"
    """No request was under way when the proxy began to stop."""
    SHUTDOWN = "shutdown"
    """The proxy stopped, whatever was under way."""
