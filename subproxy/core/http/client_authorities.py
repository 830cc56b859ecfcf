"""Who vouches for clients: the certificates of authorities, and whether a client must have one."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClientAuthorities:
    """
    The rule of a host for the certificates of its clients. Two are equal if they let in the same.

    @ivar certificates: those of the authorities, in DER.
    @ivar optional: a client may also show none; one that is not good is refused all the same.
    @ivar digest: of the certificates, 32 bytes.
    """

    certificates: tuple[bytes, ...] = field(repr=False, compare=False)
    optional: bool
    digest: bytes = field(repr=False)
