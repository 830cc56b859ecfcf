"""
One certificate with its chain and its key: read of PEM, and checked whole.

What was checked is what is used: nothing is read of a file again later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final

from subproxy.core.http.host_names import HostNames

MAX_FILE: Final = 1 << 20
"""Bytes of a file that is read."""

_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.S)
_NAME: Final = re.compile(rb"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")

DAY: Final = 86400.0


class CertificateError(Exception):
    """It can't be used; the text says why, to a person."""


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """
    A certificate that can be shown.

    @ivar names: whom it is good for.
    @ivar chain: it and those that vouch for it, in DER, it first.
    @ivar key: its private key, PKCS #8 in DER.
    @ivar not_before: seconds since the epoch.
    @ivar not_after: likewise.
    @ivar issuer: who has signed it, for people.
    """

    names: HostNames
    chain: tuple[bytes, ...] = field(repr=False)
    key: bytes = field(repr=False)
    not_before: float
    not_after: float
    issuer: str

    def days_left(self, now: float) -> float:
        """Days until it expires; below 0 if it has."""
        return (self.not_after - now) / DAY

    def is_valid(self, now: float) -> bool:
        """Whether C{now} is between its dates."""
        return self.not_before <= now <= self.not_after


def read_certificate(pem: bytes, key: bytes = b"") -> Certificate:
    """
    The certificate that C{pem} holds, with its chain, and with its key where C{key} does not.

    @raise CertificateError: it can't be used.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    blocks = [(match[1], match[0]) for match in _BLOCK.finditer(pem)]
    found = [text for kind, text in blocks if kind == b"CERTIFICATE"]
    if not found:
        raise CertificateError("there is no certificate in it")
    keys = [text for kind, text in blocks if kind.endswith(b"PRIVATE KEY")]
    keys += [match[0] for match in _BLOCK.finditer(key) if match[1].endswith(b"PRIVATE KEY")]
    if not keys:
        raise CertificateError("there is no private key for it")
    chain = []
    for number, text in enumerate(found):
        try:
            chain.append(x509.load_pem_x509_certificate(text))
        except ValueError as error:
            which = "the certificate" if not number else f"certificate {number + 1} of the chain"
            raise CertificateError(f"{which} cannot be read: {_short(error)}") from None
    leaf = chain[0]
    private = _private_key(keys[0])
    try:
        public = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError as error:
        raise CertificateError(f"its kind of key is not known: {_short(error)}") from None
    own = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if own != public:
        raise CertificateError("the key is not that of the (first) certificate")
    return Certificate(
        _names(leaf),
        tuple(each.public_bytes(Encoding.DER) for each in chain),
        private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
        leaf.issuer.rfc4514_string(),
    )


def _private_key(pem: bytes) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"ENCRYPTED" in pem:
        raise CertificateError("the key is encrypted: nobody is here to be asked for a password")
    try:
        # That its numbers fit each other costs a hundred times the rest, and a handshake finds out.
        found = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"the key cannot be read: {_short(error)}") from None
    if not hasattr(found, "sign"):
        raise CertificateError("its kind of key signs nothing")
    return found


def _names(leaf: Any) -> HostNames:
    from cryptography import x509

    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [each.encode("latin-1") for each in found.get_values_for_type(x509.DNSName)]
        names += [str(each).encode() for each in found.get_values_for_type(x509.IPAddress)]
    except x509.ExtensionNotFound:
        # Browsers have stopped to read it there; private authorities have not stopped to write it.
        common = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names = [str(each.value).encode("ascii", "replace") for each in common]
    except (ValueError, UnicodeError) as error:
        raise CertificateError(f"its names cannot be read: {_short(error)}") from None
    good = [each.lower().rstrip(b".") for each in names]
    good = [each for each in good if _NAME.fullmatch(each) or _is_address(each)]
    if not good:
        raise CertificateError("it names no host")
    return HostNames(good)


def _is_address(name: bytes) -> bool:
    try:
        ip_address(name.decode("ascii"))
    except ValueError:
        return False
    return True


def _short(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__
