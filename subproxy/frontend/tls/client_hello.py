"""
The first message of a TLS client, as far as it must be read before a certificate is chosen.

RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3. It is read here, and not in a callback of the
TLS library, so that a connection has its certificate's own context from the first byte: its ticket
keys, and what else a host's rules may be. Whatever is wrong in the message, but for what is told
here, is for the library to refuse.

Compiled a second time: L{subproxy.frontend.tls._client_hello} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_HELLO: Final = 16384
"""Bytes of the message; with keys of post-quantum groups it has two thousand."""

MAX_RECORDS: Final = 64
"""Records that it may come in."""

_HANDSHAKE: Final = 0x16
_CLIENT_HELLO: Final = 0x01
_SERVER_NAME: Final = 0
_HEADER: Final = 5
_RANDOM: Final = 34  # the version, and 32 bytes
_METHODS: Final = (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"DELE", b"PATC", b"CONN", b"PRI ")


class NotTls(Exception):
    """
    What a client sends is no TLS that could be served.

    @ivar http: it is HTTP in clear text.
    """

    def __init__(self, reason: str, http: bool = False) -> None:
        super().__init__(reason)
        self.http = http


@dataclass(frozen=True, slots=True)
class ClientHello:
    """
    What of it is asked for.

    @ivar name: the host that the client wants (SNI), in lower case without a final dot; None if it
        does not say.
    """

    name: bytes | None


def read_client_hello(data: bytes) -> ClientHello | None:
    """
    Read it off the beginning of what a client has sent.

    @param data: all that has come so far.
    @return: None if more of it must come first.
    @raise NotTls: it will never be one.
    """
    if data and data[0] != _HANDSHAKE:
        if len(data) < 4 and any(each.startswith(data) for each in _METHODS):
            return None
        http = data[:4] in _METHODS
        raise NotTls("it speaks HTTP in clear text" if http else "it does not speak TLS", http)
    message = hello_message(data)
    return None if message is None else ClientHello(_server_name(message))


def hello_message(data: bytes) -> bytes | None:
    """
    The body of the message, out of its records; None if it is not whole.

    @raise NotTls: it will never be one.
    """
    if len(data) < _HEADER + 4:
        return None
    at, gathered = 0, b""
    for _ in range(MAX_RECORDS):
        if len(data) < at + _HEADER:
            return None
        if data[at] != _HANDSHAKE or data[at + 1] != 3:
            raise NotTls("its first message is no ClientHello")
        size = data[at + 3] << 8 | data[at + 4]
        if size > MAX_HELLO or not size:
            raise NotTls("a record of its first message has no good length")
        gathered += data[at + _HEADER : at + _HEADER + size]
        at += _HEADER + size
        if len(gathered) >= 4:
            whole = 4 + int.from_bytes(gathered[1:4], "big")
            if gathered[0] != _CLIENT_HELLO or whole > MAX_HELLO:
                raise NotTls("its first message is no ClientHello that could be served")
            if len(gathered) >= whole:
                return gathered[4:whole]
    raise NotTls("its first message comes in too many pieces")


def hello_extensions(message: bytes) -> dict[int, bytes]:
    """
    The extensions of the body of a message, by their numbers; of two alike the first.

    Those before what is malformed, if anything is.
    """
    size = len(message)
    at = _RANDOM
    for length in (1, 2, 1):  # session id, cipher suites, compression methods
        if size < at + length:
            return {}
        at += length + int.from_bytes(message[at : at + length], "big")
        if at > size:
            return {}
    at += 2
    found: dict[int, bytes] = {}
    while at + 4 <= size:
        kind = message[at] << 8 | message[at + 1]
        end = at + 4 + (message[at + 2] << 8 | message[at + 3])
        if end > size:
            break
        found.setdefault(kind, message[at + 4 : end])
        at = end
    return found


def _server_name(message: bytes) -> bytes | None:
    """The name that is asked for; None also where the message is malformed."""
    names = hello_extensions(message).get(_SERVER_NAME)
    return None if names is None else _host_name(names)


def _host_name(names: bytes) -> bytes | None:
    """The first name of a list, which is the only one that there may be."""
    if len(names) < 5 or names[2] != 0:
        return None
    length = names[3] << 8 | names[4]
    name = names[5 : 5 + length].lower()
    name = name.removesuffix(b".")
    return name if length and len(names) >= 5 + length and name else None
