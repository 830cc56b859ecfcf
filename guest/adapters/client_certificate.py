"""What an application is told of a client's TLS: the extension of ASGI, and variables of WSGI."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from subproxy.wire.fields import Info
from subproxy.wire.info import tls

VERSIONS: Final = {b"1.2": 0x0303, b"1.3": 0x0304}
"""The numbers that versions of TLS have on the wire."""


def asgi_tls(info: Info) -> dict[str, Any]:
    """
    C{extensions["tls"]} of a scope, by the page "ASGI TLS Extension".

    The proxy has the server's certificate and knows the cipher suite: neither is told here.
    C{client_cert_name} is None where the package C{cryptography} is not installed.
    """
    found = tls(info)
    assert found is not None
    chain: tuple[str, ...] = ()
    name = None
    if found.verified and found.cert is not None:
        text, name = _read(found.cert)
        chain = (text,)
    return {
        "server_cert": None,
        "client_cert_chain": chain,
        "client_cert_name": name,
        "client_cert_error": None,
        "tls_version": VERSIONS.get(found.version),
        "cipher_suite": None,
    }


def wsgi_tls(info: Info) -> dict[str, str]:
    """Variables of an environment, by the names of Apache's mod_ssl."""
    found = tls(info)
    assert found is not None
    environ = {
        "SSL_PROTOCOL": "TLSv" + found.version.decode("latin-1"),
        "SSL_CLIENT_VERIFY": "SUCCESS" if found.verified else "NONE",
    }
    if found.sni is not None:
        environ["SSL_TLS_SNI"] = found.sni.decode("latin-1")
    if found.verified and found.cert is not None:
        text, name = _read(found.cert)
        environ["SSL_CLIENT_CERT"] = text
        if name is not None:
            environ["SSL_CLIENT_S_DN"] = name
    return environ


@lru_cache(256)
def _read(certificate: bytes) -> tuple[str, str | None]:
    """A certificate in PEM, and whose it is (RFC 4514)."""
    import ssl  # which few need

    text = ssl.DER_cert_to_PEM_cert(certificate)
    try:
        from cryptography import x509
    except ImportError:
        return text, None
    try:
        return text, x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    except ValueError:
        return text, None
