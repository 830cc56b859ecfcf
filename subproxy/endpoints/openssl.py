"""
pyOpenSSL, which Twisted imports wherever it is installed, only where it is used.

With cryptography it is 13 MB of memory and a tenth of a start, and most proxies use neither: their
TLS, if any, is another library's. So Twisted's transports are imported as if it were not there, and
are given what they lack when an endpoint may ask for it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

NAME = "OpenSSL"
USERS = ("twisted.internet.tcp", "twisted.internet.posixbase", "twisted.internet.endpoints")
"""Modules of Twisted that import it if they can, and which a proxy cannot do without."""

SSL = "twisted.internet.ssl"
TLS = "twisted.protocols.tls"


class PostponedOpenSSL:
    """
    Whether Twisted's modules lack it.

    @ivar postponed: they do.
    """

    def __init__(self) -> None:
        self.postponed = False

    def postpone(self) -> None:
        """
        Import Twisted's transports without pyOpenSSL, unless somebody has imported either already.

        It can be imported after that as ever.
        """
        if NAME in sys.modules or any(user in sys.modules for user in USERS):
            return
        sys.modules[NAME] = None  # type: ignore[assignment]
        try:
            for user in USERS:
                import_module(user)
        finally:
            del sys.modules[NAME]
        self.postponed = True

    def provide(self) -> None:
        """Give Twisted's modules what they lack of it, if it was postponed and is installed."""
        if not self.postponed:
            return
        self.postponed = False
        try:
            ssl, tls, sni = (import_module(name) for name in (SSL, TLS, "twisted.protocols._sni"))
            error = import_module("OpenSSL.SSL").Error
        except ImportError:
            return
        endpoints: Any = import_module("twisted.internet.endpoints")
        for name in (
            *("Certificate", "CertificateOptions", "KeyPair", "PrivateCertificate"),
            *("optionsForClientTLS", "trustRootFromCertificates"),
        ):
            setattr(endpoints, name, getattr(ssl, name))
        for name in ("SNIConnectionCreator", "autoReloadingDirectoryOfPEMs"):
            setattr(endpoints, name, getattr(sni, name))
        endpoints._TLSServerEndpoint = sni.TLSServerEndpoint
        endpoints._TLSMemoryBIOFactory = endpoints.TLSMemoryBIOFactory = tls.TLSMemoryBIOFactory
        endpoints.SSLError = error
        posixbase: Any = import_module("twisted.internet.posixbase")
        posixbase.tls = posixbase._tls = tls
        posixbase.ssl = posixbase._ssl = ssl


openssl = PostponedOpenSSL()
"""That of this process."""
