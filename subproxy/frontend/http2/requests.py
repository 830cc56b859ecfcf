"""
The requests on a connection of HTTP/2: what becomes of each, from its fields to its log line.

What moves bytes and looks at the clock is built on it: L{subproxy.frontend.http2.protocol}.
"""

from __future__ import annotations

from subproxy.errors import ClientError
from subproxy.frontend.connection import ClientConnection
from subproxy.frontend.context import FrontendContext
from subproxy.frontend.http2.connection import Http2Connection
from subproxy.frontend.http2.deferred_request import DeferredRequest
from subproxy.frontend.http2.ending import ENDINGS, Ending
from subproxy.frontend.http2.events import (
    BodyCame,
    GoawaySeen,
    Http2Event,
    RequestCame,
    StreamReset,
)
from subproxy.frontend.http2.frames import ErrorCode, Http2Error
from subproxy.frontend.http2.request_fields import (
    MalformedFields,
    read_request,
    read_trailers,
    unreadable_request,
)
from subproxy.frontend.http2.served_request import ServedRequest
from subproxy.frontend.http2.stream import Http2Stream, StreamState
from subproxy.frontend.http2.window import held_beyond
from subproxy.frontend.local_replies import answer_for_all, refuse


class Http2Requests(ClientConnection):
    """
    A connection, as its requests know it (L{subproxy.frontend.http2.served_request.IHttp2Shell}).

    @ivar connection: its machine.
    @ivar served: the requests under way, by the number of their stream.
    @ivar ending: how far it is with its end.
    """

    def __init__(self, context: FrontendContext, connection: Http2Connection) -> None:
        super().__init__(context)
        self.connection = connection
        self.served: dict[int, ServedRequest] = {}
        self._begun: list[ServedRequest] = []  # with a body, in this read
        self._later: dict[int, DeferredRequest] = {}
        self.ending = Ending.STAYS

    def wrote(self) -> None:
        """Something waits to be sent."""
        raise NotImplementedError

    def fail_connection(self, error: Http2Error) -> None:
        """The client broke a rule: tell it which, and close."""
        raise NotImplementedError

    def handle(self, event: Http2Event, now: float) -> None:
        """Do what C{event} asks for."""
        if isinstance(event, RequestCame):
            if self._later or self.connection.sender.crowded:
                self._later[event.stream.number] = DeferredRequest(event)
            else:
                self._request(event, now)
        elif isinstance(event, BodyCame):
            self._body_came(event)
        elif isinstance(event, StreamReset):
            self._gone(event.stream.number)
        elif isinstance(event, GoawaySeen) and self.ending is Ending.TOLD:
            self.ending = ENDINGS.move(self.ending, Ending.HEARD)

    def _request(self, event: RequestCame, now: float) -> None:
        """Make an exchange of a request."""
        context, stream = self.context, event.stream
        peer = self.peer
        if peer is None:
            peer = self.peer = self._meet()
        try:
            if event.fields is None:
                raise ClientError("the request head is too large", 431)
            passed = read_request(
                event.fields,
                event.ended,
                peer,
                context.limits,
                context.rules,
                self.connection.connects,
            )
        except MalformedFields:
            self.connection.reset(stream, ErrorCode.PROTOCOL_ERROR, now)
            return
        except ClientError as error:
            request = unreadable_request(event.fields or [], peer.address, context.rules.ids.make())
            served = self.served[stream.number] = ServedRequest(self, stream, request, now)
            refuse(served.client_stream, error)
            return
        head = passed.head
        rules = None if passed.for_us else context.dispatcher.site_rules(head)
        served = self.served[stream.number] = ServedRequest(self, stream, head, now, rules)
        if passed.for_us:
            answer_for_all(served.client_stream)
        elif head.upgrade is not None:
            served.ask_for_tunnel()
        elif event.ended:
            served.begin(now)
        elif rules is not None and rules.answer(head) is not None:
            # Its body is not waited for.
            served.dispatch(None)
        else:
            most = context.body_limit(rules)
            if most and head.length is not None and head.length > most:
                self.refuse(served, ClientError("the request body is too large", 413))
                return
            served.expect_body(most)
            self._begun.append(served)

    def _begin_bodies(self, now: float) -> None:
        """What came with the heads of requests has been read."""
        if self._begun:
            begun, self._begun = self._begun, []
            for served in begun:
                if self.served.get(served.stream.number) is served:
                    served.begin(now)
        beyond = held_beyond(self.connection.counts)
        if beyond and not self.connection.sender.crowded:
            for served in list(self.served.values()):
                beyond -= served.stop_collecting(now)
                if beyond <= 0:
                    break

    def _body_came(self, event: BodyCame) -> None:
        if event.stream.discards:
            self._unwanted_came(event.stream)
            return
        served = self.served.get(event.stream.number)
        if served is None:
            waits = self._later.get(event.stream.number)
            if waits is not None:
                waits.body_came(event)
            return
        trailers = event.trailers
        if trailers:
            if served.tunnel is not None:
                self.malformed(served)
                return
            try:
                trailers = read_trailers(trailers, self.context.rules, self.context.limits)
            except MalformedFields:
                self.malformed(served)
                return
        served.body_came(event.data, event.ended, trailers)

    def _unwanted_came(self, stream: Http2Stream) -> None:
        """Some of a body came behind an early answer: with the end of both it is over."""
        if stream.state is not StreamState.CLOSED:
            return
        served = self.served.pop(stream.number, None)
        if served is not None:
            served.forget()
        self.connection.nudge()

    # What a request asks for.

    def malformed(self, served: ServedRequest) -> None:
        """What the client sends of C{served} is not HTTP."""
        self._reset(served, ErrorCode.PROTOCOL_ERROR)

    def refuse(self, served: ServedRequest, error: ClientError) -> None:
        """The body of C{served} can't be had: answer that."""
        served.over()
        refuse(served.client_stream, error)

    def break_off_stream(self, served: ServedRequest) -> None:
        """The answer can't be completed: let the client see that."""
        lasts = served.tunnel is not None and served.tunnel.lasts
        # RFC 8441 section 5: as a reset of a connection.
        self._reset(served, ErrorCode.CANCEL if lasts else ErrorCode.INTERNAL_ERROR)

    def tunnel_over(self, served: ServedRequest) -> None:
        """Both halves of a tunnel have ended, ours first."""
        if self.served.pop(served.stream.number, None) is not None:
            served.client_stream.log(self.close_reason)
            served.over()

    def _reset(self, served: ServedRequest, code: ErrorCode) -> None:
        try:
            self.connection.reset(served.stream, code, self.context.monotonic())
        except Http2Error as error:
            self.fail_connection(error)
            return
        self._gone(served.stream.number)
        self.wrote()

    def _gone(self, number: int) -> None:
        """A stream was reset, by whichever side."""
        served = self.served.pop(number, None)
        if served is None:
            self._later.pop(number, None)
            return
        self._cancel(served)

    def _cancel(self, served: ServedRequest) -> None:
        """Nobody waits for an answer."""
        client_stream = served.client_stream
        served.over()
        client_stream.client_gone()
        served.client_stream.log(self.close_reason)

    def _cancel_all(self) -> None:
        served = [each for _, each in sorted(self.served.items())]
        self.served.clear()
        self._later.clear()
        self._begun.clear()
        for each in served:
            self._cancel(each)

    # What was sent.

    def _settle(self) -> None:
        """What was sent whole is over; of what was sent in part more may come."""
        connection = self.connection
        for stream in connection.sent():
            served = self.served.get(stream.number)
            if served is not None and served.tunnel is not None and served.tunnel.lasts:
                continue  # our half of it has ended
            if served is not None:
                served.client_stream.log(self.close_reason)
                served.over()
                if stream.client_sends:
                    served.answered_early(self.context.monotonic())
                else:
                    del self.served[stream.number]
                    served.forget()
        moved, connection.sender.moved = connection.sender.moved, []
        for stream in moved:
            served = self.served.get(stream.number)
            if served is not None and served.writable:
                served.client_stream.drained()

    def _go_on(self) -> None:
        """Requests that waited have their turn."""
        now = self.context.monotonic()
        try:
            while self._later and not self.connection.sender.crowded:
                waits = self._later.pop(next(iter(self._later)))
                if waits.request.stream.number in self.connection.streams:
                    self._request(waits.request, now)
                    if waits.has_body:
                        self._body_came(waits.body())
        except Http2Error as error:
            self.fail_connection(error)
            return
        self._begin_bodies(now)
