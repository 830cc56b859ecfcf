"""Certificates and lists of revoked ones, given to Python's C{ssl}, which takes a file of PEM."""

from __future__ import annotations

import os
from base64 import encodebytes
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ssl

CERTIFICATE: Final = "CERTIFICATE"
REVOKED: Final = "X509 CRL"
"""What blocks of PEM are called."""


def load_blocks(context: ssl.SSLContext, label: str, blocks: Iterable[bytes]) -> None:
    """
    Believe C{blocks}, in DER, each of which is a C{label} (RFC 7468).

    @raise ssl.SSLError: one of them is none.
    """
    text = b"".join(
        b"-----BEGIN %b-----\n%b-----END %b-----\n" % (name, encodebytes(each), name)
        for name in (label.encode("ascii"),)
        for each in blocks
    )
    file = os.memfd_create("subproxy-authorities", os.MFD_CLOEXEC)
    try:
        with open(file, "wb", closefd=False) as whole:
            whole.write(text)
        context.load_verify_locations(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
