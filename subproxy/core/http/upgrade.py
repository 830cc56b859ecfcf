"""
What protocol a client wants to change to, and whether it asks for that properly.

C{Upgrade} and C{Connection: upgrade} (RFC 9110 section 7.8), extended C{CONNECT} of HTTP/2 (RFC
8441), and the client's side of the WebSocket handshake (RFC 6455 section 4.2.1). A server is free
to ignore an C{Upgrade}: so whether it is wanted is found out first, by whom the request goes to,
and only then is a fault one.

Compiled a second time: L{subproxy.fastpath._request_head} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace
from string import ascii_letters
from typing import Final

from subproxy.core.http.fields import DIGITS, TOKEN
from subproxy.errors import BadRequest, ClientError, UpgradeRequired
from subproxy.wire.values import value_class

try:
    # hashlib loads libcrypto, which would be at the first WebSocket: 5 MB that nothing else of it
    # needs, and a descriptor, of which there may be none then.
    from _sha1 import sha1  # type: ignore[import-not-found, unused-ignore]
except ImportError:  # a Python that was built without
    from hashlib import sha1

WEBSOCKET: Final = b"websocket"

TLS: Final = b"tls"
"""What a tunnel is for that passes through the TLS of a client (docs/protocol.md)."""

MOST_PROTOCOLS: Final = 8
"""How many protocols one C{Upgrade} may name; of one with more none is looked at."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 section 1.3."""

_BASE64: Final = b"+/" + DIGITS + ascii_letters.encode()


@value_class
class Upgrade:
    """
    A change of protocol that a client asks for.

    @ivar protocols: their names, in lower case, without versions that were not named; what the
        client likes best is first.
    @ivar key: the C{Sec-WebSocket-Key}; empty where there is none, or more than one.
    @ivar fault: what is wrong with the WebSocket handshake, if it is that which is wanted.
    @ivar connects: it is an extended CONNECT: without the change there is no request.
    @ivar passthrough: no client has asked for it: its TLS is to be passed through.
    """

    protocols: tuple[bytes, ...]
    key: bytes = b""
    fault: ClientError | None = None
    connects: bool = False
    passthrough: bool = False

    def agreed(self, tokens: frozenset[bytes]) -> bytes | None:
        """The first of the protocols that is among C{tokens}, as it is spelled there; or None."""
        known = {token.lower(): token for token in tokens}
        return next((known[name] for name in self.protocols if name in known), None)

    def of(self, allowed: frozenset[bytes]) -> Upgrade | None:
        """
        The same with none but the C{allowed} protocols, in lower case; None if nothing is left to
        ask for, and the request is one without it.
        """
        left = tuple(name for name in self.protocols if name in allowed)
        if left == self.protocols or self.passthrough:
            return self
        return replace(self, protocols=left) if left or self.connects else None


PASSTHROUGH: Final = Upgrade((TLS,), connects=True, passthrough=True)
"""That of a connection whose TLS is passed through."""


def requested_upgrade(
    method: bytes, fields: Iterable[tuple[bytes, bytes]], size: int | None
) -> Upgrade | None:
    """
    What a request of HTTP/1.1 whose C{Connection} lists C{upgrade} asks for.

    @param fields: all its fields, without white space around the values.
    @param size: bytes of its body; None if that is not known. With a body there is no upgrade: the
        bytes behind it would be of two protocols.
    @return: None if it asks for nothing that could be one.
    """
    if size != 0:
        return None
    names: list[bytes] = []
    keys: list[bytes] = []
    versions: list[bytes] = []
    for name, value in fields:
        lower = name.lower()
        if lower == b"upgrade":
            names += (part.strip(b" \t").lower() for part in value.split(b","))
        elif lower == b"sec-websocket-key":
            keys.append(value)
        elif lower == b"sec-websocket-version":
            versions.append(value)
    names = [name for name in names if name]
    if not names or len(names) > MOST_PROTOCOLS or any(map(_malformed, names)):
        return None
    if WEBSOCKET not in names:
        return Upgrade(tuple(names))
    key = keys[0] if len(keys) == 1 else b""
    return Upgrade(tuple(names), key, _handshake_fault(method, keys, versions))


def connect_upgrade(protocol: bytes, fields: Iterable[tuple[bytes, bytes]]) -> Upgrade:
    """
    What an extended C{CONNECT} of HTTP/2 asks for (RFC 8441 sections 4 and 5).

    There is no key: that a server has read the handshake is shown by its answer.

    @param protocol: the C{:protocol}.
    @param fields: all its fields, in lower case.
    @raise BadRequest: C{protocol} is none.
    """
    name = protocol.lower()
    if _malformed(name):
        raise BadRequest("the protocol is not one")
    fault = None
    if name == WEBSOCKET:
        fault = _version_fault([value for key, value in fields if key == b"sec-websocket-version"])
    return Upgrade((name,), b"", fault, True)


def websocket_key(request_id: bytes) -> bytes:
    """
    A C{Sec-WebSocket-Key} for applications behind us that want one, where the client has none.

    That it is a nonce means nothing between us and them.
    """
    return b64encode(sha1(request_id + _GUID).digest()[:16])


def websocket_accept(key: bytes) -> bytes:
    """The C{Sec-WebSocket-Accept} that proves that C{key} was read (RFC 6455 section 4.2.2)."""
    return b64encode(sha1(key + _GUID).digest())


def _malformed(name: bytes) -> bool:
    """Whether it is no C{protocol-name ["/" protocol-version]}."""
    return any(not part or part.translate(None, TOKEN) for part in name.split(b"/", 1))


def _handshake_fault(method: bytes, keys: list[bytes], versions: list[bytes]) -> ClientError | None:
    if method != b"GET":
        return BadRequest("a WebSocket is asked for with GET")
    fault = _version_fault(versions)
    if fault is not None:
        return fault
    if len(keys) != 1 or not _is_nonce(keys[0]):
        return BadRequest("Sec-WebSocket-Key is not 16 bytes in base64")
    return None


def _version_fault(versions: list[bytes]) -> ClientError | None:
    if versions != [b"13"]:
        return UpgradeRequired("the only Sec-WebSocket-Version that is known is 13")
    return None


def _is_nonce(key: bytes) -> bool:
    """
    Whether C{key} is 16 bytes in base64.

    Which bits pad its last digit is not looked at: the key that RFC 6455 itself shows (section 4.1)
    has others than an encoder would write.
    """
    return key[22:] == b"==" and not key[:22].translate(None, _BASE64)
