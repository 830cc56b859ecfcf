"""What contexts of OpenSSL have in common, by whatever way they are made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.frontend.tls.certificate import Certificate

MODES: Final = 0x08 | 0x10
"""A certificate without others is shown alone; no buffers while idle."""

SUITES: Final = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
"""
Of TLS 1.3, the one that is chosen first in front, as browsers have it, where OpenSSL begins with
the second: a handshake hashes by its SHA-384, for which processors have no instructions.
"""

OPTIONS: Final = (
    1 << 17  # no compression
    | 1 << 21  # ChaCha20 first, for who has it first
    | 1 << 22  # else our order of ciphers
    | 1 << 30  # no renegotiation
)

PARTIAL_CHAIN: Final = 0x80000
"""Whom an operator believes need not have signed itself."""

CRL_CHECK_CHAIN: Final = 0xC
"""Lists of what is revoked are asked about each certificate of a chain."""

POST_QUANTUM: Final = 0x30500000
"""The version since which X25519MLKEM768 is offered by default."""


def alpn_list(protocols: Iterable[bytes]) -> bytes:
    """Names of protocols as OpenSSL wants them, each behind a byte with its length."""
    return b"".join(bytes([len(each)]) + each for each in protocols)


def session_scope(certificate: Certificate, authorities: ClientAuthorities | None) -> bytes:
    """Within what a session is resumed: the same certificate, and the same rule for clients."""
    scope = hashlib.sha256(certificate.chain[0])
    if authorities is not None:
        scope.update(authorities.digest + bytes([authorities.optional]))
    return scope.digest()
