"""
The newest version of TLS that a client offers, read off its first message.

RFC 8446 section 4.2.1. It is wanted only where TLS is passed through: elsewhere the library says
what was agreed upon.
"""

from __future__ import annotations

from typing import Final

from subproxy.frontend.tls.client_hello import hello_extensions, hello_message

_SUPPORTED_VERSIONS: Final = 43
_VERSIONS: Final = {0x0304: b"1.3", 0x0303: b"1.2", 0x0302: b"1.1", 0x0301: b"1.0"}
"""By their numbers on the wire; others are reserved, or nobody's yet (GREASE, RFC 8701)."""

OLDEST: Final = b"1.0"


def offered_version(data: bytes) -> bytes:
    """
    Read it off the beginning of what a client has sent, which has a whole ClientHello.

    @return: C{1.0} to C{1.3}.
    """
    message = hello_message(data) or b""
    legacy = int.from_bytes(message[:2], "big")
    said = hello_extensions(message).get(_SUPPORTED_VERSIONS)
    if said is None:
        # TLS 1.3 is offered by its extension alone.
        return _VERSIONS.get(min(legacy, 0x0303), OLDEST)
    listed = said[1 : 1 + said[0]] if said else b""
    numbers = (int.from_bytes(listed[at : at + 2], "big") for at in range(0, len(listed) - 1, 2))
    return max((_VERSIONS[each] for each in numbers if each in _VERSIONS), default=OLDEST)
