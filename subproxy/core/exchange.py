"""
One request and its response, whatever carries them: the meeting point of frontend and channel.

The life of an exchange is the table C{TRANSITIONS}; what is not in it does not happen.
The rest of this module is bookkeeping: the body counted against its length,
and who is told what.

What is noted of one that is taken from its guest is compiled a second time:
L{subproxy.fastpath._connection} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from zope.interface import Attribute, Interface

from subproxy.core.fast_enum import fast_enum
from subproxy.core.http.fields import INTERIM_COST, MAX_INTERIM
from subproxy.core.http.request import Headers, RequestHead
from subproxy.core.http.response import (
    ResponseHead,
    check_interim,
    check_response,
    check_trailers,
)
from subproxy.core.http.server_timing import server_timing
from subproxy.core.states import TransitionTable
from subproxy.errors import GuestMisbehaved, ProxyError

if TYPE_CHECKING:
    from subproxy.core.balancing.admission import Ticket
    from subproxy.core.balancing.member import Member, Pool
    from subproxy.core.interfaces import IResponseSink, IUpstreamRequest
    from subproxy.core.sites.site_request import SiteRequest
    from subproxy.core.sites.site_rules import SiteRules

__all__ = [
    "Exchange",
    "ExchangeState",
    "Headers",
    "IChannel",
    "IDispatcher",
    "RequestHead",
    "ResponseHead",
]


@fast_enum
class ExchangeState(Enum):
    """Where an exchange is in its life."""

    NEW = auto()
    """Not yet given to any guest: made, waiting in a queue, or taken back for a retry."""
    SENT = auto()
    """A guest has the request, and may be executing it."""
    RESPONDING = auto()
    """The final response head has gone to the frontend: no retry from here."""
    REQUESTING = auto()
    """Of a tunnel: the guest's half has ended, the client's has not."""
    DONE = auto()
    """Answered, failed or cancelled; nothing more happens."""


TRANSITIONS: TransitionTable[ExchangeState] = TransitionTable(
    {
        ExchangeState.NEW: {ExchangeState.SENT, ExchangeState.DONE},
        ExchangeState.SENT: {ExchangeState.NEW, ExchangeState.RESPONDING, ExchangeState.DONE},
        ExchangeState.RESPONDING: {ExchangeState.REQUESTING, ExchangeState.DONE},
        ExchangeState.REQUESTING: {ExchangeState.DONE},
        ExchangeState.DONE: (),
    }
)


ACCEPTED: Final = ResponseHead(200, b"", [])
"""What is kept of the response that has begun a tunnel, which may last: the same for all."""


@dataclass(slots=True, eq=False)
class Exchange:
    """
    One request and its response.

    The frontend calls the C{request_*}, C{response_consumed} and C{cancel} methods, the
    channel the C{response_*}, C{pause_request}, C{resume_request} and C{lost} methods.

    @ivar request: the head.
    @ivar body: the whole request body, held (so that it can be replayed), or None
        if it is streamed.
    @ivar sink: the frontend.
    @ivar dispatcher: who chose, and decides what happens if the choice fails.
    @ivar carrier: the channel's side, while a guest has it.
    @ivar member: the subscriber that has it, or had it last.
    @ivar holder: the subscriber that counts it as in flight now.
    @ivar pool: the pool that it was routed to.
    @ivar attempts: how many guests have been given it.
    @ivar streamed: bytes of streamed request body that have gone to a guest.
    @ivar response: the response head, once there is one, without its fields.
    @ivar received: bytes of response body so far.
    @ivar interim: what its interim responses have cost of what they may.
    @ivar tried: the subscribers that have failed it, though they are there.
    @ivar ticket: its place in a queue, while it waits for a subscriber.
    @ivar ended: the streamed request body is complete.
    @ivar queued: seconds that it has waited for a subscriber.
    @ivar wake: seconds that it has waited for a machine to come up.
    @ivar guest: seconds that those guests had it from which it was taken again.
    @ivar given: when the guest that has it, or had it last, was given it, in monotonic seconds; 0:
        none was, or it was taken from it.
    @ivar taken_from: the subscribers that had it, and from which it was taken again.
    @ivar tunnel: the protocol to which the guest has agreed to change; None of any other exchange.
    @ivar site: what the rules of a site make of it; None where there are none.
    """

    request: RequestHead
    body: bytes | None
    sink: IResponseSink
    dispatcher: IDispatcher | None = None
    state: ExchangeState = ExchangeState.NEW
    carrier: IUpstreamRequest | None = None
    member: Member | None = None
    holder: Member | None = None
    pool: Pool | None = None
    attempts: int = 0
    streamed: int = 0
    response: ResponseHead | None = None
    received: int = 0
    interim: int = 0
    tried: tuple[Member, ...] = ()
    ticket: Ticket | None = None
    ended: bool = False
    queued: float = 0.0
    wake: float = 0.0
    guest: float = 0.0
    given: float = 0.0
    taken_from: tuple[Member, ...] = ()
    tunnel: bytes | None = None
    error: ProxyError | None = None
    site: SiteRequest | None = None

    def move(self, state: ExchangeState) -> None:
        """
        Go to C{state}.

        @raise AssertionError: the table does not allow it: a bug of ours.
        """
        self.state = TRANSITIONS.move(self.state, state)

    @property
    def forwarded(self) -> RequestHead:
        """The head as a guest sees it."""
        return self.request if self.site is None else self.site.forwarded

    @property
    def held(self) -> bool:
        """Whether all of the request body can still be given to another guest."""
        return self.body is not None or not (self.streamed or self.ended)

    # What the frontend calls.

    def request_data(self, data: bytes) -> None:
        """More request body came from the client."""
        if self.carrier is not None:
            self.streamed += len(data)
            self.carrier.sendBody(data)

    def request_end(self, trailers: Headers) -> None:
        """The request body is complete."""
        self.ended = True
        carrier = self.carrier
        if self.state is ExchangeState.REQUESTING:
            self._finish(None)
        if carrier is not None:
            if trailers and self.site is not None:
                trailers = self.site.trailers(trailers)
            carrier.endBody(trailers)

    def response_consumed(self, amount: int) -> None:
        """C{amount} bytes of response body have left for the client."""
        if self.carrier is not None:
            self.carrier.consumed(amount)

    def cancel(self, error: ProxyError) -> None:
        """Nobody waits for the answer any more (the client left, or a deadline passed)."""
        if self.state is not ExchangeState.DONE:
            self.error = error
            self._finish(error)

    # What the channel calls.

    def taken(self, member: Member, carrier: IUpstreamRequest) -> None:
        """A guest is being given the request."""
        self.move(ExchangeState.SENT)
        self.attempts += 1
        self.member = member
        self.carrier = carrier

    def pause_request(self) -> None:
        """The guest wants no more body for now."""
        self.sink.requestPaused()

    def resume_request(self) -> None:
        """The guest has room for more body."""
        self.sink.requestResumed()

    def response_interim(self, status: int, headers: Headers) -> int:
        """
        An interim response came.

        @return: how many bytes of it wait, since the client does not take what is written.
        @raise GuestMisbehaved: it is not one that HTTP allows here, or there are too many.
        """
        head = check_interim(status, headers)
        size = sum(len(name) + len(value) for name, value in headers)
        self.interim += INTERIM_COST + size
        if self.interim > MAX_INTERIM:
            raise GuestMisbehaved("too many interim responses, or too large")
        if not self.sink.supports_interim:
            return 0
        return self.sink.interimReceived(head.status, head.headers)

    def response_start(
        self,
        status: int,
        reason: bytes,
        headers: Headers,
        body: bytes | None,
        length: int | None = None,
        *,
        large: bool = False,
    ) -> None:
        """
        The final response began.

        @param body: the whole body, or None if it is streamed.
        @param length: the length of a streamed body, where the guest told it beside the head.
        @param large: the guest has said that the body is, of whatever length.
        @raise GuestMisbehaved: the response is not valid HTTP, or the body not of its length.
        """
        head = check_response(self.request.method, status, reason, headers)
        if body is not None:
            body = b"" if head.bodiless else body
            if head.length is not None and not head.bodiless and head.length != len(body):
                raise GuestMisbehaved(
                    f"a body of {len(body)} bytes, where content-length says {head.length}"
                )
            self.received = len(body)
        elif head.bodiless:
            body = b""
        elif length is not None:
            if head.length is not None and head.length != length:
                raise GuestMisbehaved(
                    f"a body of {length} bytes, where content-length says {head.length}"
                )
            head.length = length
        head.large = large
        if self.site is not None:
            head.headers = self.site.answered(head.headers, self.pool, self.member)
            if self.site.rules.server_timing and self.given and self.dispatcher is not None:
                guest = self.guest + self.dispatcher.now() - self.given
                head.headers = [*head.headers, server_timing(self.queued, self.wake, guest)]
        self.move(ExchangeState.RESPONDING)
        if self.wake and self.dispatcher is not None:
            self.dispatcher.woken(self)
        # Its fields are written, and need no room while the client takes what follows.
        self.response = ResponseHead(
            head.status, head.reason, [], head.length, head.bodiless, head.nominated
        )
        self.sink.responseStarted(head, body)
        if body is not None and self.state is ExchangeState.RESPONDING:
            self._finish(None)

    def tunnel_start(self, status: int, headers: Headers, protocol: bytes) -> None:
        """
        The guest changes to C{protocol}: bytes follow, both ways.

        It may last, and so is no load any more that its subscriber is judged by.

        @raise GuestMisbehaved: the head is not valid HTTP.
        """
        head = check_response(self.request.method, status, b"", headers)
        head.length = None
        if self.site is not None:
            head.headers = self.site.answered(head.headers, self.pool, self.member)
        self.move(ExchangeState.RESPONDING)
        self.response = ACCEPTED
        self.tunnel = protocol
        if self.dispatcher is not None:
            if self.wake:
                self.dispatcher.woken(self)
            self.dispatcher.tunnel_started(self)
        self.sink.tunnelStarted(head, protocol)

    def response_data(self, data: bytes) -> None:
        """
        More of a streamed response body came.

        @raise GuestMisbehaved: more than its length.
        """
        head = self.response
        assert head is not None
        self.received += len(data)
        if head.length is not None and self.received > head.length:
            raise GuestMisbehaved(f"more body than content-length said ({head.length})")
        self.sink.bodyReceived(data)

    def response_moved(self, amount: int) -> None:
        """C{amount} bytes of the response body went to the client, not through our hands."""
        self.received += amount

    def request_moved(self, amount: int) -> None:
        """C{amount} bytes of the request body went to the guest, not through our hands."""
        self.streamed += amount

    def response_end(self, trailers: Headers) -> None:
        """
        The streamed response body is complete.

        @raise GuestMisbehaved: less than its length, or trailers that HTTP does not allow.
        """
        head = self.response
        assert head is not None
        trailers = check_trailers(trailers, head.nominated)
        if head.length is not None and self.received != head.length:
            raise GuestMisbehaved(
                f"a body of {self.received} bytes, where content-length says {head.length}"
            )
        self.sink.responseEnded(trailers)
        if self.state is not ExchangeState.RESPONDING:
            return
        if self.tunnel is not None and not self.ended:
            self.move(ExchangeState.REQUESTING)
        else:
            self._finish(None)

    def fail(self, error: ProxyError) -> None:
        """There is no (further) answer: tell the frontend."""
        if self.state is ExchangeState.DONE:
            return
        self.error = error
        sink = self.sink
        self._finish(error)
        sink.responseFailed(error)

    def waited(self, now: float) -> Ticket | None:
        """It waits no longer in the queue where it did, if it did: return its place there."""
        ticket, self.ticket = self.ticket, None
        if ticket is None:
            return None
        if ticket.wakes:
            self.wake += now - ticket.arrived
        else:
            self.queued += now - ticket.arrived
        return ticket

    def goes_to(self, member: Member) -> bool:
        """See L{subproxy.core.waiting_request.WaitingRequest}: the dispatcher gives it."""
        return False

    def waits(self, ticket: Ticket) -> None:
        """Likewise."""
        self.ticket = ticket

    def as_exchange(self) -> Exchange:
        """Likewise: it is one."""
        return self

    def released(self, now: float) -> None:
        """The guest no longer has it: it may be given to another."""
        self.move(ExchangeState.NEW)
        if self.member is not None:
            self.taken_from += (self.member,)
        if self.given:
            self.guest += now - self.given
            self.given = 0.0
        self.carrier = None
        if self.body is None:
            self.sink.requestPaused()

    def _finish(self, error: ProxyError | None) -> None:
        self.move(ExchangeState.DONE)
        if error is not None:
            # It is kept for the log, and would keep the frames that it came through: a cycle.
            error.__traceback__ = error.__context__ = None
        carrier, self.carrier = self.carrier, None
        if carrier is not None and error is not None:
            carrier.cancel(error)
        if self.dispatcher is not None:
            self.dispatcher.finished(self)


class IDispatcher(Interface):
    """Finds who answers an exchange."""

    now = Attribute("A function: monotonic seconds.")

    def dispatch(exchange: Exchange) -> None:
        """
        Route C{exchange}, choose a subscriber and hand it over, now or later.

        Never raises: what cannot be served comes back as
        L{IResponseSink.responseFailed}, possibly before this method returns.
        """

    def woken(exchange: Exchange) -> None:
        """C{exchange}, which has waited for a machine, is answered."""

    def tunnel_started(exchange: Exchange) -> None:
        """C{exchange} has become a tunnel: give back what it held of its subscriber."""

    def site_rules(request: RequestHead) -> SiteRules | None:
        """The rules of sites for C{request}, which L{dispatch} will go by; None for none."""

    def finished(exchange: Exchange) -> None:
        """C{exchange} is done, well or badly: give back what it held of its subscriber."""


class IChannel(Interface):
    """A live subscription, as the dispatcher sees it: C{Member.channel}."""

    identity = Attribute("The identity of the VM, as a string.")
    tunnels = Attribute("How many tunnels it has, those that wait for an answer among them.")

    def send(exchange: Exchange) -> None:
        """Number C{exchange}, frame it and send it; sets C{exchange.carrier}."""
