"""Reads the authorities of C{client-ca}: the files that sites name, when sites are put in force."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from subproxy.config.site_files import SiteFileError
from subproxy.core.http.client_authorities import ClientAuthorities

MAX_FILE: Final = 1 << 20
"""Bytes of a file that is read."""

_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


class ClientCaError(ValueError):
    """What a site names are no authorities; the text says why, to a person."""


@dataclass(frozen=True, slots=True)
class ClientCaFiles:
    """
    Files of PEM that name authorities.

    @ivar optional: a client may also show no certificate.
    """

    paths: tuple[str, ...]
    optional: bool

    def read_rule(self) -> ClientAuthorities:
        """See L{subproxy.config.site_files.SiteFiles}."""
        try:
            return read_authorities(self)
        except ClientCaError as error:
            raise SiteFileError("client-ca", f"client-ca: {error}") from None


def read_authorities(files: ClientCaFiles) -> ClientAuthorities:
    """
    What the files hold.

    @raise ClientCaError: one of them cannot be read, or is no list of certificates.
    """
    found: list[bytes] = []
    for path in files.paths:
        found += _certificates(path)
    return _authorities(tuple(dict.fromkeys(found)), files.optional)


@lru_cache(1024)
def _authorities(certificates: tuple[bytes, ...], optional: bool) -> ClientAuthorities:
    """One object for equal ones, so that a reload which changes nothing is seen to."""
    digest = sha256(b"".join(sha256(each).digest() for each in sorted(certificates)))
    return ClientAuthorities(certificates, optional, digest.digest())


def _certificates(path: str) -> list[bytes]:
    import ssl  # of those who ask for certificates

    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ClientCaError(f"{path}: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise ClientCaError(f"{path} is longer than {MAX_FILE} bytes")
    try:
        found = [ssl.PEM_cert_to_DER_cert(each) for each in _BLOCK.findall(data.decode("latin-1"))]
        if not found:
            raise ClientCaError(f"{path}: there is no certificate in it")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=b"".join(found))
    except (ssl.SSLError, ValueError) as error:
        if isinstance(error, ClientCaError):
            raise
        raise ClientCaError(f"{path}: a certificate in it cannot be read: {error}") from None
    return found
