"""Exchanges that the compiled path began: from here on as if they had begun the usual way."""

from __future__ import annotations

from typing import Any

from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection
from subproxy.wire.frames import encode
from subproxy.wire.limits import Limits
from subproxy.wire.states import Role
from tests.rigs.wire_case import GUEST, PROXY, WireTestCase
from tests.rigs.wire_pair import ConnectionPair, frames_of, request, response

GUESTS, PROXYS = Limits(frame=5000, window=1000), Limits(frame=4000, window=400)
ASKS = {"tunnel": b"websocket"}


def state(connection: WireConnection) -> tuple[Any, ...] | None:
    """All that is known of exchange 1; None if it is over."""
    exchange = connection.exchanges.get(1)
    if exchange is None:
        return None
    tunnel = exchange.tunnel
    return (
        exchange.number,
        (exchange.ours, exchange.theirs),
        (exchange.sending.available, exchange.sending.chunk, exchange.sending.pending),
        (exchange.receiving.size, exchange.receiving.left),
        tunnel and (tunnel.state, tunnel.sent, tunnel.received),
    )


class AdoptedTests(WireTestCase):
    def begin(self, role: Role) -> None:
        """Two ends of that role, both greeted: one for each way."""
        pairs = [ConnectionPair(GUESTS, PROXYS, bulk=True, tunnel=True) for _ in range(2)]
        self.usual, self.adopted = (pair.end(role) for pair in pairs)
        self.adopted.last = 1

    def send(self, message: m.Message) -> None:
        """The proxy says it in the usual way."""
        self.usual.send(message)
        self.usual.data_to_send()

    def same(self, *frames: list[Any]) -> None:
        """Both are in one state, now and behind each of C{frames}, and say and tell the same."""
        self.assertEqual(state(self.adopted), state(self.usual))
        for frame in frames:
            events = []
            for end in (self.usual, self.adopted):
                end.feed(encode(frame))
                events.append(end.next_event())
            self.assertEqual(*events)
            self.assertEqual(state(self.adopted), state(self.usual))
            self.assertEqual(self.adopted.data_to_send(), self.usual.data_to_send())

    def both(self, name: str, *arguments: Any) -> None:
        """Both do it, and say the same."""
        results = [getattr(end, name)(1, *arguments) for end in (self.usual, self.adopted)]
        self.assertEqual(*results)
        self.assertEqual(self.adopted.data_to_send(), self.usual.data_to_send())
        self.assertEqual(state(self.adopted), state(self.usual))

    def test_a_request_with_its_body(self) -> None:
        self.begin(PROXY)
        self.send(request(1, b"whole"))
        self.adopted.adopt(1)
        self.same(response(1, None).frame(), [b"body", 1, b"x" * 300])
        self.both("consumed", 200)
        self.same([b"end", 1])
        self.assertEqual({}, self.adopted.exchanges)

    def test_a_request_whose_body_goes_elsewhere(self) -> None:
        self.begin(PROXY)
        self.send(request(1, {b"token": b"t", b"length": 5}))
        self.adopted.adopt(1, whole=False)
        self.same([b"credit", 1, 3])
        self.both("write_body", b"abcde")
        self.both("end_body")
        self.same([b"credit", 1, 2], response(1).frame())
        self.assertEqual({}, self.adopted.exchanges)

    def test_a_request_that_came(self) -> None:
        self.begin(GUEST)
        self.usual.feed(request(1, b"whole").encode())
        self.usual.next_event()
        self.adopted.adopt_request(1)
        self.same()
        for end in (self.usual, self.adopted):
            end.send(response(1, None))
        self.both("write_body", b"x" * 500)
        self.both("end_body")
        self.same([b"credit", 1, 100])
        self.assertEqual({}, self.adopted.exchanges)

    def test_a_download(self) -> None:
        """One whose end has come is over."""
        for ended in (False, True):
            self.begin(PROXY)
            self.send(request(1))
            self.adopted.adopt(1)
            end: list[Any] = [b"end", 1, [], {b"length": 5}]
            for frame in (response(1, {b"length": 5}).frame(), end)[: 1 + ended]:
                self.usual.feed(encode(frame))
                self.usual.next_event()
            self.adopted.adopt_download(1, ended)
            self.same()
            self.assertEqual(ended, 1 not in self.adopted.exchanges)
        self.begin(PROXY)
        self.send(request(1))
        self.usual.feed(response(1, {b"length": 5}).encode())
        self.usual.next_event()
        self.adopted.adopt(1)
        self.adopted.adopt_download(1, False)
        self.same([b"body", 1, b"after all"])
        self.both("consumed", 200)
        self.same([b"end", 1])

    def test_a_tunnel(self) -> None:
        self.begin(PROXY)
        self.send(request(1, None, **ASKS))
        exchange = self.adopted.adopt_tunnel(1)
        self.assertIs(exchange, self.adopted.exchanges[1])
        self.same()
        self.both("write_body", b"early")
        self.same(response(1, None).frame(), [b"credit", 1, 9], [b"body", 1, b"answer"])
        self.both("end_body")
        self.same([b"end", 1])
        self.assertEqual({}, self.adopted.exchanges)

    def test_a_tunnel_through_which_bytes_have_passed(self) -> None:
        """Credit that is owed goes back when half of the window is consumed, not before."""
        self.begin(PROXY)
        self.send(request(1, None, **ASKS))
        usual = self.usual
        for message in (
            response(1, None),
            m.Credit(1, 1000),
            m.Body(1, b"12345"),
            m.Body(1, b"67"),
        ):
            usual.feed(message.encode())
            usual.next_event()
        usual.write_body(1, b"abc")
        usual.consumed(1, 2)
        usual.data_to_send()
        tunnel = self.adopted.adopt_tunnel(1)
        tunnel.resume_tunnel(sent=3, available=997, received=7, left=393, owed=5)
        self.same()
        self.both("consumed", 197)
        self.both("consumed", 1)
        self.same([b"body", 1, b"x"])
        for end in (self.usual, self.adopted):
            end.send(m.Connect(1, b"token"))
        self.both("move_body")
        self.same([b"move", 1, 8], [b"end", 1, [], {b"length": 8}])

    def test_what_follows_it_has_its_own_number(self) -> None:
        self.begin(PROXY)
        self.adopted.adopt(1)
        self.adopted.send(request(2))
        (frame,) = frames_of(self.adopted.data_to_send())
        self.assertEqual((b"request", 2), tuple(frame[:2]))
        self.assertEqual([1, 2], sorted(self.adopted.exchanges))
