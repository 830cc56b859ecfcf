"""
Reads the authorities of C{client-ca}, and what they have revoked (C{client-crl}): the files that
sites name.
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from subproxy.config.site_files import SiteFileError, read_file
from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.frontend.tls.pem_blocks import CERTIFICATE, REVOKED, load_blocks

MAX_FILE: Final = 1 << 20
"""Bytes of a file that is read."""


class ClientCaError(ValueError):
    """What a site names are no authorities; the text says why, to a person."""


@dataclass(frozen=True, slots=True)
class ClientCaFiles:
    """
    Files of PEM that name authorities.

    @ivar optional: a client may also show no certificate.
    @ivar lists: files with what they have revoked.
    """

    paths: tuple[str, ...]
    optional: bool
    lists: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """See L{subproxy.config.site_files.SiteFiles}."""
        return (*self.paths, *self.lists)

    def read_rule(self) -> ClientAuthorities:
        """See L{subproxy.config.site_files.SiteFiles}."""
        try:
            return read_authorities(self)
        except ClientCaError as error:
            raise SiteFileError("client-ca", f"client-ca: {error}") from None


def read_authorities(files: ClientCaFiles) -> ClientAuthorities:
    """
    What the files hold.

    @raise ClientCaError: one of them cannot be read, or has not what it should have.
    """
    found: list[bytes] = []
    for path in files.paths:
        found += _blocks(path, CERTIFICATE, "certificate")
    lists: list[bytes] = []
    for path in files.lists:
        lists += _blocks(path, REVOKED, "list of revoked certificates")
    return _authorities(tuple(dict.fromkeys(found)), files.optional, tuple(dict.fromkeys(lists)))


@lru_cache(1024)
def _authorities(
    certificates: tuple[bytes, ...], optional: bool, lists: tuple[bytes, ...]
) -> ClientAuthorities:
    """One object for equal ones, so that a reload which changes nothing is seen to."""
    digest = sha256(b"".join(sha256(each).digest() for each in sorted(certificates)))
    for each in sorted(lists):
        digest.update(sha256(each).digest())
    return ClientAuthorities(certificates, optional, digest.digest(), lists)


def _blocks(path: str, label: str, what: str) -> list[bytes]:
    """
    What stands in the blocks of a file that are called C{label}, in DER.

    @param what: what each is, for a person.
    """
    import ssl  # of those who ask for certificates

    data = read_file(path, MAX_FILE, ClientCaError)
    pattern = rf"-----BEGIN {label}-----(.*?)-----END {label}-----".encode()
    texts = re.findall(pattern, data, re.S)
    if not texts:
        raise ClientCaError(f"{path}: there is no {what} in it")
    try:
        found = [b64decode(b"".join(each.split()), validate=True) for each in texts]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_blocks(context, label, found)
    except (ssl.SSLError, ValueError) as error:
        raise ClientCaError(f"{path}: a {what} in it cannot be read: {error}") from None
    return found
