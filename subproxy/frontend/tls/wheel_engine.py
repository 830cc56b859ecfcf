"""
TLS by the libssl that cryptography's wheel has within it, where the system has none that serves.

Such a wheel gives no symbols away, but its module of cffi has pointers to what pyOpenSSL calls.
That is less than there is: what is missing is said at the start. Contexts are made by cffi, since
each serves many connections; these call by pointers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.frontend.tls._memory_connection import MemoryTlsConnection
from subproxy.frontend.tls._openssl import NAMES
from subproxy.frontend.tls._wheel_libssl import MEMORY_NAMES, WheelContext, load
from subproxy.frontend.tls.certificate import Certificate, CertificateError
from subproxy.frontend.tls.context_values import (
    CRL_CHECK_CHAIN,
    MODES,
    OPTIONS,
    PARTIAL_CHAIN,
    POST_QUANTUM,
    SUITES,
    alpn_list,
    session_scope,
)
from subproxy.frontend.tls.interfaces import ITlsConnection, ITlsListener, LibraryUnavailable
from subproxy.frontend.tls.python_engine import CIPHERS, RENEW
from subproxy.frontend.tls.trial_handshake import try_library

OTHER_NAMES: Final = {"SSL_get1_peer_certificate": "SSL_get_peer_certificate"}
"""What is there under its older name."""


class WheelEngine:
    """
    The wheel's libssl, see L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}.

    A context has its own keys of tickets, which nobody else can have, and so is made anew.

    @raise LibraryUnavailable: there is none, or it can't be used.
    """

    renew_contexts = RENEW

    def __init__(self) -> None:
        self._lib, self._ffi = _bindings()
        load(_addresses(self._lib, self._ffi))
        self._version = int(self._lib.OpenSSL_version_num())
        text = self._ffi.string(self._lib.OpenSSL_version(0)).decode("utf-8", "replace")
        self.name = f"cryptography's libssl ({text})"
        try_library(self)

    @property
    def lacks(self) -> tuple[str, ...]:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        found = [
            "ticket keys change every 12 hours, and sessions end with them",
            "each worker has its own",
        ]
        if self._version < POST_QUANTUM:
            found.append("no X25519MLKEM768")
        return tuple(found)

    def context(
        self,
        certificate: Certificate,
        protocols: tuple[bytes, ...],
        authorities: ClientAuthorities | None = None,
    ) -> WheelContext:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        lib = self._lib
        lib.ERR_clear_error()
        made = lib.SSL_CTX_new(lib.TLS_server_method())
        self._check(made)
        address = int(self._ffi.cast("uintptr_t", made))
        # Whatever fails from here on, it is freed.
        context = WheelContext(address, alpn_list(protocols), authorities is not None)
        lib.SSL_CTX_set_min_proto_version(made, lib.TLS1_2_VERSION)
        lib.SSL_CTX_set_mode(made, MODES)
        # Sessions are in their tickets, and nowhere else.
        lib.SSL_CTX_set_session_cache_mode(made, lib.SSL_SESS_CACHE_OFF)
        lib.SSL_CTX_set_options(made, OPTIONS)
        lib.SSL_CTX_set_timeout(made, int(RENEW))
        self._check(lib.SSL_CTX_set_cipher_list(made, CIPHERS.encode("ascii")))
        self._check(lib.SSL_CTX_set_ciphersuites(made, SUITES))
        scope = session_scope(certificate, authorities)
        self._check(lib.SSL_CTX_set_session_id_context(made, scope, len(scope)))
        self._use(made, certificate)
        if authorities is not None:
            self._ask_clients(made, authorities)
        return context

    def share_tickets(self, keys: bytes) -> None:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}: it takes none."""

    @property
    def connect(self) -> Callable[[WheelContext, ITlsListener], ITlsConnection]:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        return MemoryTlsConnection

    def _use(self, made: Any, certificate: Certificate) -> None:
        lib = self._lib
        leaf, *chain = [
            self._read(lib.d2i_X509_bio, der, lib.X509_free) for der in certificate.chain
        ]
        self._check(lib.SSL_CTX_use_certificate(made, leaf))
        for each in chain:
            lib.X509_up_ref(each)  # one for it, and one for us
            self._check(lib.SSL_CTX_add_extra_chain_cert(made, each))
        key = self._read(lib.d2i_PrivateKey_bio, certificate.key, lib.EVP_PKEY_free)
        self._check(lib.SSL_CTX_use_PrivateKey(made, key))
        self._check(lib.SSL_CTX_check_private_key(made))

    def _ask_clients(self, made: Any, authorities: ClientAuthorities) -> None:
        lib = self._lib
        store = lib.SSL_CTX_get_cert_store(made)
        for der in authorities.certificates:
            found = self._read(lib.d2i_X509_bio, der, lib.X509_free)
            self._check(lib.X509_STORE_add_cert(store, found))
            self._check(lib.SSL_CTX_add_client_CA(made, found))
        for der in authorities.revoked:
            listed = self._read(lib.d2i_X509_CRL_bio, der, lib.X509_CRL_free)
            self._check(lib.X509_STORE_add_crl(store, listed))
        flags = PARTIAL_CHAIN | (CRL_CHECK_CHAIN if authorities.revoked else 0)
        self._check(lib.X509_STORE_set_flags(store, flags))
        needed = 0 if authorities.optional else lib.SSL_VERIFY_FAIL_IF_NO_PEER_CERT
        lib.SSL_CTX_set_verify(made, lib.SSL_VERIFY_PEER | needed, self._ffi.NULL)

    def _read(self, reader: Any, der: bytes, free: Any) -> Any:
        """What C{reader} makes of C{der}; freed by C{free} when nobody has it any more."""
        lib, ffi = self._lib, self._ffi
        held = ffi.from_buffer(der)
        bio = ffi.gc(lib.BIO_new_mem_buf(held, len(der)), lib.BIO_free)
        found = reader(bio, ffi.NULL)
        self._check(found)
        return ffi.gc(found, free)

    def _check(self, good: Any) -> None:
        if good in (self._ffi.NULL, 0):
            lib = self._lib
            text = lib.ERR_reason_error_string(lib.ERR_peek_error())
            lib.ERR_clear_error()
            said = "unknown"
            if text != self._ffi.NULL:
                said = self._ffi.string(text).decode("utf-8", "replace")
            raise CertificateError(f"the TLS library does not take it: {said}")


def _bindings() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.bindings._rust import _openssl

        return _openssl.lib, _openssl.ffi
    except (ImportError, AttributeError) as error:
        raise LibraryUnavailable(f"cryptography has no bindings: {error}") from None


def _addresses(lib: Any, ffi: Any) -> dict[str, int]:
    found = {}
    for name in (*NAMES, *MEMORY_NAMES):
        there = OTHER_NAMES.get(name, name)
        try:
            pointer = ffi.addressof(lib, there)
        except AttributeError:
            raise LibraryUnavailable(f"cryptography's libssl has no {there}") from None
        found[name] = int(ffi.cast("uintptr_t", pointer))
    return found
