"""The numbers of protocol version 1 (docs/protocol.md, "Limits")."""

from __future__ import annotations

from subproxy.wire.values import value_class

VERSION = 1
PORT = 12345
"""The well-known vsock port, unless configured otherwise."""

MAX_LENGTH_DIGITS = 7
MAX_DEPTH = 8
MAX_ELEMENTS = 1024
"""Most elements of one frame: of lists, and keys and values, at any depth. The largest message,
with 128 header fields, has about 400."""
MAX_HEADERS = 128
"""Most fields in one header or trailer section."""
MAX_HEADER_BYTES = 65_536
"""Most bytes in one header or trailer section, names and values together."""
MAX_PATTERN = 1024
"""Most bytes in one host or path pattern."""
MAX_NAME = 128
"""Most bytes in an application name, an instance id, a code, a nonce or a token."""
MAX_REASON = 1024
"""Most bytes in a reason for a person."""
MAX_INTERIM = 16_384
"""Most bytes of all interim responses of one exchange: names, values, and for each..."""
INTERIM_COST = 128
"""... so many."""
MAX_NUMBER = 2**53 - 1
"""Largest integer: what every language has exactly."""
MAX_CREDIT = 2**31 - 1
"""Largest window; and the most that one C{credit} grants."""
MAX_WEIGHT = 1000
DEFAULT_WEIGHT = 100
MAX_TUNNELS = 8
"""Most upgrade tokens in C{hello}."""
MAX_TUNNEL_TOKEN = 32
"""Most bytes of one."""
MAX_PROCESSES = 1024
"""Most processes of one proxy."""
MAX_HOPS = 2
"""Most proxies that pass a request on: a host's, then a worker's."""
MAX_TLS_NAMES = 8
"""Most names in a list of what is told of TLS."""
MAX_CERTIFICATE = 65_536
"""Most bytes of a client's certificate that is passed on."""
BODY_CHUNK = 16_384
"""What a sender puts into one C{body} frame at most, so that exchanges take turns."""
BODY_OVERHEAD = 64
"""More than what a C{body} frame has beside its data."""


@value_class
class Limits:
    """
    What one side takes from the other; said in C{hello} and C{welcome}.

    @ivar frame: bytes of the longest frame that it accepts, without the length prefix.
    @ivar window: bytes of body that it takes, per exchange, before it grants more.
    @ivar inline: bytes of the longest body that may ride in a C{request} or C{response}.
    """

    frame: int = 262_144
    window: int = 65_536
    inline: int = 65_536
