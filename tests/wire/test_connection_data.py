"""Data connections, and bodies that go over them, as the wire sees them."""

from __future__ import annotations

from subproxy.wire import messages as m
from subproxy.wire.errors import (
    StateError,
)
from subproxy.wire.states import Half, Side
from tests.rigs.wire_case import GUEST, PROXY, WireTestCase
from tests.rigs.wire_pair import HELLO, WELCOME, ConnectionPair, request, response


class DataConnectionTests(WireTestCase):
    def test_connect(self) -> None:
        """After connect the bytes of a guest are no frames any more."""
        pair = ConnectionPair(greet=False)
        pair.guest.send(m.Connect(5, b"token"))
        data = pair.guest.data_to_send()
        self.assertEqual([m.Connect(5, b"token")], pair.feed(PROXY, data + b"raw", [3]))
        self.assertIs(Side.DATA, pair.proxy.theirs)
        pair.proxy.feed(b" bytes")
        self.assertIsNone(pair.proxy.next_event())
        self.assertEqual(b"raw bytes", pair.proxy.rest())
        pair.proxy.feed(b"4:1:a,]")
        self.assertIsNone(pair.proxy.next_event())
        self.assertEqual(b"4:1:a,]", pair.proxy.rest())
        self.assertEqual(b"", pair.proxy.rest())

    def test_the_guest_reads_raw_bytes_too(self) -> None:
        """The first connect is answered with the same; then a guest takes no frames."""
        pair = ConnectionPair(greet=False)
        pair.guest.send(m.Connect(5, b"token"))
        self.local_error("no connect when our side is DATA", pair.guest.send, m.Connect(5, b"t"))
        pair.deliver(PROXY)
        pair.proxy.send(m.Connect(5, b"token"))
        pair.feed(GUEST, pair.proxy.data_to_send() + b"xyz")
        self.assertEqual([m.Connect(5, b"token")], pair.take(GUEST))
        self.assertIsNone(pair.guest.next_event())
        self.assertEqual(b"xyz", pair.guest.rest())
        self.local_error("no hello when our side is DATA", pair.guest.send, m.Hello(HELLO))
        self.local_error("no bye when our side is DATA", pair.guest.send, m.Bye())

    def test_no_answer_unasked(self) -> None:
        """A connect of the proxy's that begins a connection is none that a guest has asked for."""
        for before in ([], [m.Hello({**HELLO})]):
            pair = ConnectionPair(greet=False)
            for message in before:
                pair.guest.send(message)
            events = pair.to_guest([b"connect", 1, b"token"])
            self.assert_broken(pair.guest, events, StateError, "no connect is allowed before ours")
        pair = ConnectionPair(greet=False)
        pair.to_proxy([b"connect", 1, b"token"])
        self.local_error("no welcome before hello", pair.proxy.send, m.Welcome(WELCOME))

    def test_frames_after_all(self) -> None:
        """A body that was to go over a data connection may come in frames: both directions."""
        pair = ConnectionPair(bulk=True)
        pair.proxy.send(request(1, {b"token": b"t", b"length": 5}))
        pair.settle()
        self.assertEqual(0, pair.proxy.exchanges[1].sending.available)
        pair.guest.consumed(1, 0)
        pair.settle()
        self.assertEqual([m.Credit(1, 65_536)], pair.take(PROXY)[-1:])
        self.assertEqual(0, pair.proxy.write_body(1, b"hello"))
        pair.proxy.end_body(1)
        pair.settle()
        self.assertEqual([m.Body(1, b"hello"), m.End(1)], pair.take(GUEST)[-2:])
        pair.guest.send(response(1, {b"length": 3}))
        pair.guest.write_body(1, b"abc")
        self.assertIs(Half.STREAMING, pair.guest.exchanges[1].ours)
        pair.guest.end_body(1)
        pair.settle()
        self.assertEqual([m.Body(1, b"abc"), m.End(1)], pair.take(PROXY)[-2:])

    def test_nothing_after_all(self) -> None:
        """
        One that no data connection carries, and that turns out to be empty, tells so; not one
        whose length is known, and that is said to have ended before it is on its way.
        """
        pair = ConnectionPair(bulk=True)
        pair.proxy.send(request(1))
        pair.settle()
        pair.guest.send(response(1, {}))
        pair.guest.end_body(1, [], pair.guest.framed_end(1))
        pair.settle()
        self.assertEqual([m.End(1, [], {b"length": 0})], pair.take(PROXY)[-1:])
        pair.proxy.send(request(2))
        pair.settle()
        pair.guest.send(response(2, {b"length": 3}))
        pair.guest.end_body(2)
        pair.settle()
        self.assertEqual([m.End(2)], pair.take(PROXY)[-1:])

    def test_end_with_the_length(self) -> None:
        """The end of a body over a data connection says how long it was."""
        pair = ConnectionPair(bulk=True)
        pair.proxy.send(request(1))
        pair.settle()
        pair.guest.send(response(1, {}))
        pair.guest.end_body(1, [(b"a", b"b")], {b"length": 9})
        pair.settle()
        self.assertEqual([m.End(1, [(b"a", b"b")], {b"length": 9})], pair.take(PROXY)[-1:])
        self.local_error("exchange 1 is not under way", pair.guest.end_body, 1)

    def test_not_later(self) -> None:
        """A subscription does not become a data connection."""
        pair = ConnectionPair()
        events = pair.to_proxy([b"connect", 1, b"token"])
        self.assert_broken(pair.proxy, events, StateError, "no connect is allowed when open")

    def test_bulk_that_was_not_offered(self) -> None:
        """Without bulk in welcome, a body over a data connection is an error of the exchange."""
        why = "data connections were not offered"
        pair = ConnectionPair()
        self.assertFalse(pair.proxy.bulk or pair.guest.bulk)
        self.local_error(why, pair.proxy.send, request(1, {}))
        pair.proxy.send(request(1))
        pair.settle()
        self.local_error(why, pair.proxy.send, m.Connect(1, b"token"))
        self.local_error(why, pair.guest.send, response(1, {}))
        self.assertIs(Half.WAITING, pair.guest.exchanges[1].ours)
        self.assert_violation(pair.proxy, pair.to_proxy([b"response", 1, 200, [], {}, {}]), 1, why)
        pair = ConnectionPair()
        events = pair.to_guest([b"request", 1, b"PUT", b"/", [], {}, {b"length": 1}])
        self.assert_violation(pair.guest, events, 1, why)
        pair.to_guest(request(2).frame())
        self.assert_violation(pair.guest, pair.to_guest([b"connect", 2, b"t"]), 2, why)

    def test_bulk_that_was_offered(self) -> None:
        """With it, there is a head, perhaps connect, and then end."""
        pair = ConnectionPair(bulk=True)
        self.assertTrue(pair.proxy.bulk)
        self.assertTrue(pair.guest.bulk)
        pair.proxy.send(request(1, {b"length": 5}))
        pair.proxy.send(m.Connect(1, b"token"))
        pair.settle()
        first, second = pair.take(GUEST)
        self.assertEqual(request(1, {b"length": 5}), first)
        self.assertEqual(m.Connect(1, b"token"), second)
        self.assertIs(Half.BULK, pair.guest.exchanges[1].theirs)
        self.assertEqual([m.End(1)], pair.to_guest([b"end", 1]))
        pair.guest.send(response(1, {}))
        pair.settle()
        self.assertIs(Half.BULK, pair.proxy.exchanges[1].theirs)
        self.assertEqual(
            [response(1, {}), m.End(1)], pair.to_proxy([b"end", 1]) or pair.take(PROXY)
        )
        self.assertNotIn(1, pair.proxy.exchanges)
        self.local_error("exchange 1 is not under way", pair.proxy.send, m.Connect(1, b"token"))
