"""
Which certificate a client is shown, by the name that it asks for: one or two look-ups, however many
certificates there are.

Exact name, then wildcard, then the default, if there is one.
"""

from __future__ import annotations

from collections.abc import Iterable

from subproxy.core.http.host_names import parent
from subproxy.frontend.tls.certificate import Certificate


class CertificateIndex:
    """
    Certificates by name; does not change.

    Where several have one name, the first one has it that is valid, and of those, or if none is,
    the one that expires last.

    @param certificates: all, in the order of their files.
    @param default: what is shown where no name fits, or none was said.
    @param now: seconds since the epoch.
    @param spare: others, which have only the names that none of C{certificates} has.
    """

    __slots__ = ("_exact", "_wildcards", "default")

    def __init__(
        self,
        certificates: Iterable[Certificate] = (),
        default: Certificate | None = None,
        now: float = 0.0,
        spare: Iterable[Certificate] = (),
    ) -> None:
        self.default = default
        self._exact: dict[bytes, Certificate] = {}
        self._wildcards: dict[bytes, Certificate] = {}
        for each in certificates:
            for name in each.names.exact:
                _put(self._exact, name, each, now)
            for name in each.names.wildcards:
                _put(self._wildcards, name, each, now)
        for each in spare:
            for name in each.names.exact:
                self._exact.setdefault(name, each)
            for name in each.names.wildcards:
                self._wildcards.setdefault(name, each)

    def find(self, name: bytes | None, address: bytes = b"") -> Certificate | None:
        """
        The certificate for a client; None: none fits, and there is no default.

        @param name: what it asks for, in lower case without a final dot; None if it says nothing.
        @param address: the IP address that it has dialled: what it means if it says nothing.
        """
        if name is None:
            return self._exact.get(address, self.default)
        found = self._exact.get(name)
        if found is None:
            found = self._wildcards.get(parent(name), self.default)
        return found


def _put(
    table: dict[bytes, Certificate], name: bytes, certificate: Certificate, now: float
) -> None:
    there = table.setdefault(name, certificate)
    if there is not certificate and _rank(certificate, now) > _rank(there, now):
        table[name] = certificate


def _rank(certificate: Certificate, now: float) -> tuple[bool, float]:
    return certificate.is_valid(now), certificate.not_after
