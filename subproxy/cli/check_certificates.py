"""What C{subproxy check} says of certificates: what a proxy that starts now would find."""

from __future__ import annotations

import time
from collections.abc import Iterator

from subproxy.config.settings import Settings
from subproxy.frontend.tls.certificate_reader import CertificateReader, NamedFileUnusable
from subproxy.frontend.tls.certificate_store import CertificateState


class CertificatesUnusable(Exception):
    """A proxy with these certificates does not start; the text says why."""


def certificate_notes(settings: Settings) -> Iterator[str]:
    """
    A line for each file in a folder of certificates that is no good, or won't be for long.

    @raise CertificatesUnusable: one that is named is no good.
    """
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise CertificatesUnusable("--https wants the package cryptography") from None
    reader = CertificateReader(settings.certificates, time.time)
    reader.read()
    try:
        reader.check(settings.certificates)
    except NamedFileUnusable as error:
        raise CertificatesUnusable(f"--certificates={error.path}: {error.why}") from None
    for path, why in reader.unread.items():
        yield f"{path} can't be looked into: {why}"
    now = reader.now()
    for path, held in reader.store.held.items():
        state = held.state(now)
        if state is not CertificateState.GOOD:
            yield f"{path}: {held.problem or state.value}"
    if settings.certificates and not any(held.certificate for held in reader.store.held.values()):
        yield f"no usable certificate in {', '.join(reader.paths)}"
