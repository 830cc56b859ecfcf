"""Who vouches for clients: the certificates of authorities, and whether a client must have one."""

from __future__ import annotations

from dataclasses import field

from subproxy.wire.values import value_class


@value_class
class ClientAuthorities:
    """
    The rule of a host for the certificates of its clients. Two are equal if they let in the same.

    @ivar certificates: those of the authorities, in DER.
    @ivar optional: a client may also show none; one that is not good is refused all the same.
    @ivar digest: of the certificates and of the lists, 32 bytes.
    @ivar revoked: lists of the certificates that they have revoked, in DER (RFC 5280 section 5).
        If there is one, each authority of a chain needs a list that is in force.
    """

    certificates: tuple[bytes, ...] = field(repr=False, compare=False)
    optional: bool
    digest: bytes = field(repr=False)
    revoked: tuple[bytes, ...] = field(default=(), repr=False, compare=False)
