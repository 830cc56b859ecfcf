"""What a certificate calls a host."""

from __future__ import annotations

from cryptography import x509


class HostCertificateError(Exception):
    """A file cannot be used; the text says which and why, for a person."""


def host_name(certificate: x509.Certificate) -> str:
    """
    What a certificate calls a host: its first DNS name, in lower case.

    @raise HostCertificateError: it has none.
    """
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = found.value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        names = []
    if not names:
        raise HostCertificateError("the certificate has no DNS name")
    return names[0].lower()
