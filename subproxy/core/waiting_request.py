"""Who waits in a queue of L{subproxy.core.balancing.admission}: what its ticket holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from subproxy.core.balancing.admission import Ticket
    from subproxy.core.balancing.member import Member
    from subproxy.core.exchange import Exchange


class WaitingRequest(Protocol):
    """
    An L{Exchange}; or a request of the compiled path, which becomes one if anything happens to it
    but that its turn comes, or that the guest which gets it then gives it back.
    """

    def goes_to(self, member: Member) -> bool:
        """
        Its turn has come: it is given to C{member}, which has been charged with it.

        @return: whether it has gone; else nothing was done, and it is to go as an exchange.
        """

    def waits(self, ticket: Ticket) -> None:
        """It was taken from a guest, and waits for another one by C{ticket}."""

    def as_exchange(self) -> Exchange:
        """What it is as an exchange, from now on: its ticket holds that, too."""
