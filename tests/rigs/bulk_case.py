"""A guest with data connections, for tests of the bodies that go over them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.exchange import Exchange
from subproxy.wire import messages as m
from tests.rigs.world import Guest, RecordingSink, World

SIZE = 100_000
BODY = bytes(range(250)) * 400


class BulkTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest: Guest = self.world.serving(bulk=True)

    def begun(
        self, length: int | None = SIZE, method: bytes = b"GET"
    ) -> tuple[Exchange, RecordingSink, int]:
        """A request that the guest has answered with a head."""
        exchange, sink = self.world.ask(method)
        self.guest.pump()
        (request,) = self.guest.take(m.Request)
        body = {} if length is None else {b"length": length}
        self.guest.say(m.Response(request.exchange, 200, [], {}, body))
        return exchange, sink, request.exchange

    def token(self) -> bytes:
        (connect,) = self.guest.take(m.Connect)
        token: bytes = connect.token
        return token

    def end(
        self, number: int, length: int | None = None, trailers: m.Headers | None = None
    ) -> None:
        info = {} if length is None else {b"length": length}
        self.guest.wire.end_body(number, trailers or [], info)
        self.guest.pump()
