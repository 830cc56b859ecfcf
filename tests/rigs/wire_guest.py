"""A guest in a hundred lines on the wire alone, with the application of the vectors."""

from __future__ import annotations

from typing import Any

from subproxy.wire import messages as m
from subproxy.wire.connection import Broken, Violation, WireConnection, limits_info
from subproxy.wire.limits import Limits
from subproxy.wire.states import Half, Role


class VectorGuest:
    """
    Answers like the application of tests/vectors/README.md.

    @ivar connection: the wire.
    """

    def __init__(self, settings: dict[str, int] | None = None) -> None:
        limits = Limits(**(settings or {}))
        self.connection = WireConnection(Role.GUEST, limits)
        self._requests: dict[int, m.Request] = {}
        self._bodies: dict[int, list[bytes]] = {}
        self._stopping = False
        info = {b"application": b"vectors", b"instance": b"0", **limits_info(limits)}
        self.connection.send(m.Hello(info))
        self.connection.send(m.Register(1, rb"blog\.example", b"/.*"))

    # What the runner calls.

    def send(self, data: bytes) -> None:
        self.connection.feed(data)
        while (event := self.connection.next_event()) is not None:
            self._event(event)
        self._bye_when_idle()

    def receive(self) -> bytes:
        return self.connection.data_to_send()

    def closed(self) -> bool:
        return self.connection.ours.name == "DONE"

    def stop(self) -> None:
        self.connection.send(m.Drain())
        self._stopping = True
        self._bye_when_idle()

    # What happens.

    def _bye_when_idle(self) -> None:
        if self._stopping and not self.connection.exchanges and not self.closed():
            self.connection.send(m.Bye())

    def _event(self, event: Any) -> None:
        match event:
            case m.Ping():
                self.connection.send(m.Pong(event.nonce))
            case m.Drain():
                self._stopping = True
            case m.Bye() if not self.closed():
                self.connection.send(m.Bye())
            case m.Request():
                self._request(event)
            case m.Body():
                self._body(event.exchange, event.data)
            case m.End():
                self._end(event.exchange, event.trailers)
            case m.Abort() | Violation():
                self._requests.pop(event.exchange, None)
            case Broken():
                self._requests.clear()

    def _request(self, request: m.Request) -> None:
        number = request.exchange
        match request.target:
            case b"/echo" | b"/stream":
                self._requests[number] = request
                self._bodies[number] = []
                if request.target == b"/stream":
                    self.connection.send(m.Response(number, 200, [], {}, None))
                if request.body is not None:
                    assert isinstance(request.body, bytes)
                    if request.body:
                        self._body(number, request.body)
                    self._end(number, [])
                elif request.info.get(b"expect"):
                    self.connection.consumed(number, 0)
            case b"/fields":
                # Its field is too long for a proxy that takes little.
                self.connection.send(m.Abort(number, b"error", b"too long a head"))
            case b"/wait":
                pass
            case b"/break":
                self.connection.send(m.Response(number, 200, [], {}, None))
                self.connection.write_body(number, b"half")
                self.connection.send(m.Abort(number, b"error", b"it breaks"))
            case _:
                self._respond(number, [(b"content-type", b"text/plain")], b"hello\n")

    def _respond(self, number: int, headers: m.Headers, body: bytes) -> None:
        if len(body) <= self.connection.peer_limits.inline:
            self.connection.send(m.Response(number, 200, headers, {}, body))
            return
        self.connection.send(m.Response(number, 200, headers, {}, None))
        self.connection.write_body(number, body)
        self.connection.end_body(number)

    def _body(self, number: int, data: bytes) -> None:
        request = self._requests.get(number)
        if request is None:
            return
        if request.target == b"/stream":
            self.connection.write_body(number, data)
        else:
            self._bodies[number].append(data)
        if self.connection.exchanges[number].theirs is Half.STREAMING:
            self.connection.consumed(number, len(data))

    def _end(self, number: int, trailers: m.Headers) -> None:
        request = self._requests.pop(number, None)
        if request is None:
            return
        if request.target == b"/stream":
            self.connection.end_body(number, trailers)
        else:
            self._respond(number, [], b"".join(self._bodies.pop(number)))
