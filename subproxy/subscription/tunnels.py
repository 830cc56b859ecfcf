"""
Which tunnels a virtual machine may have, and how many it has: what the policy says of them.

Compiled a second time: L{subproxy.fastpath._guest_tunnels} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from typing import Protocol

from subproxy.core.access.policy import Policy, Quotas
from subproxy.core.http.upgrade import TLS, WEBSOCKET, Upgrade
from subproxy.errors import NotImplementedHere, TooManyTunnels


class HasPolicy(Protocol):
    """Where the policy is, which a reload changes, and what this process has of its quotas."""

    @property
    def policy(self) -> Policy:
        """The one in force."""

    def quotas(self, identity: str) -> Quotas:
        """How much C{identity} may use here: its share, or whatever it likes if it is a peer."""


class Tunnels:
    """
    The tunnels of all virtual machines, by their identity.

    @ivar policies: where the policy is.
    @ivar open: how many each has that has any, those that wait for an answer among them.
    """

    def __init__(self, policies: HasPolicy) -> None:
        self.policies = policies
        self.open: dict[str, int] = {}

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.open.values())

    def agreed(self, identity: str, tokens: frozenset[bytes], upgrade: Upgrade) -> bytes | None:
        """
        Which protocol C{identity} changes to, as it has spelled that.

        @param tokens: those that it takes.
        @param upgrade: what a client asks for.
        @return: None for no tunnel.
        @raise ClientError: the client does not ask as that protocol wants it, or asks for nothing
            but what there is not.
        """
        token = None
        if tokens:
            policy = self.policies.policy
            if not upgrade.passthrough:
                allowed = policy.upgrades(identity)
            else:
                allowed = frozenset({TLS} if policy.passes_through(identity) else ())
            token = upgrade.agreed(frozenset(each for each in tokens if each.lower() in allowed))
        if token is None and upgrade.connects:
            raise NotImplementedHere("the application does not speak that protocol")
        if token is not None and token.lower() == WEBSOCKET and upgrade.fault is not None:
            raise upgrade.fault
        return token

    def opened(self, identity: str) -> None:
        """
        Count one more.

        @raise TooManyTunnels: C{identity} has all that it may have.
        """
        count = self.count(identity)
        if count >= self.policies.quotas(identity).tunnels:
            raise TooManyTunnels()
        self.open[identity] = count + 1

    def closed(self, identity: str) -> None:
        """Count one less."""
        count = self.open.pop(identity) - 1
        if count:
            self.open[identity] = count

    def count(self, identity: str) -> int:
        """How many C{identity} has, those that wait for an answer among them."""
        return self.open.get(identity, 0)
