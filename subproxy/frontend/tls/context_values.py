"""What contexts of OpenSSL have in common, by whatever way they are made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.frontend.tls.certificate import Certificate

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
