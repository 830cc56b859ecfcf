"""What a worker tells its parent of the guests that it has, and of their conduct."""

from __future__ import annotations

from collections.abc import Callable

from subproxy.app.machine_routes import MachineRoutes
from subproxy.app.peer_links import PeerLinks
from subproxy.core.access.penalties import PenaltyBox
from subproxy.core.balancing.member import Member
from subproxy.core.routing.route import Route
from subproxy.subscription.guest_observer import GuestObserver
from subproxy.workers import messages as msg
from subproxy.workers.messages import ChannelMessage


class WorkerReports(GuestObserver):
    """Tells the parent, and the other workers, what becomes of guests."""

    def __init__(
        self,
        send: Callable[[ChannelMessage], None],
        links: PeerLinks,
        machines: MachineRoutes,
    ) -> None:
        """
        No guest is known so far.

        @param send: tells the parent.
        @param links: to the other workers.
        @param machines: routes of machines, as this worker knows them.
        """
        self._send = send
        self._links = links
        self._machines = machines
        self._numbers: dict[Member, int] = {}
        self._last = 0

    def subscribed(self, member: Member) -> None:
        """See L{GuestObserver}: its number is what the parent calls it by."""
        self._last += 1
        self._numbers[member] = self._last
        self._machines.subscribed(member)
        self._send(
            msg.Subscribed(
                self._last,
                member.identity,
                member.application.decode("latin-1"),
                member.worker,
                member.instance.decode("latin-1"),
            )
        )

    def left(self, member: Member) -> None:
        """See L{GuestObserver}."""
        number = self._numbers.pop(member, None)
        if number is not None:
            self._links.left(member)
            self._machines.left(member)
            self._send(msg.Left(number))

    def served(self, member: Member, route: Route, served: bool) -> None:
        """See L{GuestObserver}."""
        number = self._numbers.get(member)
        if number is not None:
            host, path = route.words()[:2]
            self._links.served(member, route, served)
            self._send(msg.RouteServed(number, host, path, served, route.passthrough))

    def closed(self, identity: str) -> None:
        """See L{GuestObserver}."""
        self._send(msg.Closed(identity))


class ReportedPenalties(PenaltyBox):
    """Counts offences as ever, and tells the parent what counts for all workers."""

    __slots__ = ("_send",)

    def __init__(self, send: Callable[[ChannelMessage], None]) -> None:
        super().__init__()
        self._send = send

    def record_offence(self, identity: str, now: float) -> float:
        """See L{PenaltyBox.record_offence}; the parent counts it for all workers."""
        self._send(msg.Conduct(identity, "offence"))
        return super().record_offence(identity, now)

    def penalty(self, identity: str, now: float) -> float:
        """None: the parent has let it wait before it passed it on."""
        return 0.0

    def refund_dial(self, identity: str) -> None:
        """See L{PenaltyBox.refund_dial}: dials are the parent's."""
        self._send(msg.Conduct(identity, "refund"))
