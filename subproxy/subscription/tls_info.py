"""What a guest is told of a client's TLS, as C{info} of a request has it."""

from __future__ import annotations

import hashlib
from collections.abc import Container

from subproxy.core.http.client_tls import ClientTls
from subproxy.wire.fields import Info
from subproxy.wire.limits import MAX_CERTIFICATE


def tls_info(tls: ClientTls, told: Container[bytes]) -> Info:
    """
    The dictionary C{tls}.

    @param told: what was granted, of the names in C{register}.
    """
    found: Info = {b"version": tls.version}
    if tls.sni is not None and b"sni" in told:
        found[b"sni"] = tls.sni
    if tls.alpn is not None and b"alpn" in told:
        found[b"alpn"] = tls.alpn
    certificate = tls.certificate
    if certificate is not None and b"cert" in told:
        # The handshake has failed where it was not good.
        found[b"verified"] = True
        found[b"sha256"] = hashlib.sha256(certificate).digest()
        if len(certificate) <= MAX_CERTIFICATE:
            found[b"cert"] = certificate
    return found
