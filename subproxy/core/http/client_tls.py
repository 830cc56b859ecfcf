"""What is known of one connection over TLS: which hosts it may be used for, and whose it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.core.http.host_names import HostNames

VERSIONS: Final = {"TLSv1.2": b"1.2", "TLSv1.3": b"1.3"}
"""What guests are told of a version, by what OpenSSL calls it."""

HostRule = Callable[[bytes], ClientAuthorities | None]
"""What a host, spelt for routing, asks of the certificates of its clients; None: nothing."""


class ClientTls:
    """
    One connection; what was agreed upon is known when its handshake is done.

    RFC 9110 section 7.4: a client may use a connection for every host that the certificate covers
    which it was shown. Another one is misdirected (421), and so is one that asks for another
    certificate of the client's, or for none.

    @param names: those of the certificate.
    @param sni: the host that the client asked for in its handshake, covered or not; None for none.
    @param authorities: who had to vouch for the client; None: it was not asked for a certificate.
    @param rule: what other hosts ask for.
    @param passthrough: whether the TLS of a host is a guest's: that host is never asked for here.
    @ivar version: C{1.2} or C{1.3}.
    @ivar alpn: the protocol that was agreed upon; None for none.
    @ivar certificate: the client's, in DER, which one of C{authorities} vouches for; None for none.
    """

    __slots__ = (
        "_names",
        "_passthrough",
        "_rule",
        "alpn",
        "authorities",
        "certificate",
        "sni",
        "version",
    )

    def __init__(
        self,
        names: HostNames,
        sni: bytes | None,
        authorities: ClientAuthorities | None = None,
        rule: HostRule | None = None,
        passthrough: Callable[[bytes], object] | None = None,
    ) -> None:
        self._names = names
        self._rule = rule
        self._passthrough = passthrough
        self.sni = sni
        self.authorities = authorities
        self.version = b""
        self.alpn: bytes | None = None
        self.certificate: bytes | None = None

    def agreed(self, version: bytes, alpn: bytes | None, certificate: bytes | None) -> None:
        """The handshake is done."""
        self.version = version
        self.alpn = alpn
        self.certificate = certificate

    def serves(self, host: bytes) -> bool:
        """Whether C{host}, spelt for routing, may be asked for."""
        sni = self.sni
        if sni is not None and host != sni and not self._names.covers(_address(host)):
            return False
        if self._passthrough is not None and self._passthrough(host):
            return False
        # Asked each time: the rule may have changed since.
        return self._rule is None or self._rule(host) == self.authorities


def _address(host: bytes) -> bytes:
    """C{host}; an IPv6 literal without its brackets, as certificates have it."""
    return host[1:-1] if host[:1] == b"[" else host
