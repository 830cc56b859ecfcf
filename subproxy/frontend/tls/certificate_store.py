"""
The certificates in force, and which of two is: that of a file, or the last good one that it had.

No I/O: whoever reads the files tells what they hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from subproxy.frontend.tls.certificate import DAY, Certificate, CertificateError
from subproxy.frontend.tls.certificate_files import CertificateFiles
from subproxy.frontend.tls.certificate_index import CertificateIndex

SOON: Final = 14.0
"""Days that are left when an operator is told that a certificate is about to expire."""


class CertificateState(Enum):
    """What is to be said of a certificate's files."""

    GOOD = "good"
    """What they hold is in force."""
    SOON = "expires soon"
    """Likewise, and not for much longer."""
    EXPIRED = "expired"
    """Likewise, and no client will believe it."""
    NOT_YET = "not valid yet"
    """Likewise, so far."""
    KEPT = "kept"
    """They hold something that is no good: what they held before is in force."""
    REMOVED = "removed"
    """They are gone: what they held is in force until a reload, or until others cover its names."""
    UNUSABLE = "unusable"
    """They hold something that is no good, and have never held anything else."""


@dataclass(slots=True, eq=False)
class HeldCertificate:
    """
    What is known of one certificate's files.

    @ivar certificate: what is in force; None if nothing is.
    @ivar problem: why what they hold now is not in force; empty if it is.
    @ivar waiting: what they hold, where that is not valid yet.
    @ivar removed: they are gone.
    """

    files: CertificateFiles
    certificate: Certificate | None = None
    problem: str = ""
    waiting: Certificate | None = None
    removed: bool = False

    def state(self, now: float) -> CertificateState:
        """What is to be said of it at C{now}, in seconds since the epoch."""
        certificate = self.certificate
        if certificate is None:
            return CertificateState.UNUSABLE
        if self.removed:
            return CertificateState.REMOVED
        if self.problem:
            return CertificateState.KEPT
        if now > certificate.not_after:
            return CertificateState.EXPIRED
        if now < certificate.not_before:
            return CertificateState.NOT_YET
        soon = certificate.days_left(now) < min(SOON, _lifetime(certificate) / 3)
        return CertificateState.SOON if soon else CertificateState.GOOD


def _lifetime(certificate: Certificate) -> float:
    """Days between its dates: those of some are six."""
    return (certificate.not_after - certificate.not_before) / DAY


class CertificateStore:
    """
    All certificates, by the path of their file.

    @ivar held: what is known of each, in the order of the files.
    @ivar index: what is in force, by name.
    """

    def __init__(self) -> None:
        self.held: dict[str, HeldCertificate] = {}
        self.index = CertificateIndex()

    def update(
        self,
        found: Sequence[CertificateFiles],
        read: Mapping[str, Certificate | CertificateError],
        now: float,
    ) -> None:
        """
        Put in force what is good of what was found.

        @param found: all files that there are.
        @param read: what was read of those that were new or have changed.
        @param now: seconds since the epoch.
        """
        held: dict[str, HeldCertificate] = {}
        for files in found:
            known = self.held.pop(files.path, None) or HeldCertificate(files)
            known.files, known.removed = files, False
            self._decide(known, read.get(files.path), now)
            held[files.path] = known
        names = set()
        for each in held.values():
            if each.certificate is not None:
                names |= {*each.certificate.names.exact, *each.certificate.names.wildcards}
        for path, gone in self.held.items():
            if gone.certificate is not None:
                own = gone.certificate.names
                if (own.exact | own.wildcards) - names or (
                    gone.files.is_default and not any(e.files.is_default for e in held.values())
                ):
                    gone.removed, gone.problem, gone.waiting = True, "its file is gone", None
                    held[path] = gone
        self.held = held
        self._make_index(now)

    def _decide(
        self, held: HeldCertificate, read: Certificate | CertificateError | None, now: float
    ) -> None:
        if isinstance(read, CertificateError):
            held.problem, held.waiting = str(read), None
            return
        new = held.waiting if read is None else read
        if new is None:
            return
        there = held.certificate
        if there is not None and there.is_valid(now) and not new.is_valid(now):
            early = now < new.not_before
            held.problem = "it is not valid yet" if early else "it has expired"
            held.waiting = new if early else None
        else:
            held.certificate, held.problem, held.waiting = new, "", None

    def forget_removed(self, now: float) -> list[str]:
        """Let nothing be in force of which the files are gone; their paths."""
        gone = [path for path, each in self.held.items() if each.removed]
        for path in gone:
            del self.held[path]
        if gone:
            self._make_index(now)
        return gone

    def _make_index(self, now: float) -> None:
        # Those whose files are gone come last, and have only what no other one has.
        held = sorted(self.held.values(), key=lambda each: each.removed)
        default = [each.certificate for each in held if each.files.is_default and each.certificate]
        self.index = CertificateIndex(
            [each.certificate for each in held if each.certificate and not each.removed],
            default[0] if default else None,
            now,
            [each.certificate for each in held if each.certificate and each.removed],
        )
