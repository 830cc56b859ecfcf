"""Exchanges on a connection of the wire, from their first frame to their end."""

from __future__ import annotations

from subproxy.wire import messages as m
from subproxy.wire.connection import (
    Violation,
)
from subproxy.wire.errors import (
    StateError,
)
from subproxy.wire.states import Half, Role
from tests.rigs.wire_case import GUEST, PROXY, WireTestCase
from tests.rigs.wire_pair import ConnectionPair, request, response


class ExchangeTests(WireTestCase):
    def setUp(self) -> None:
        self.pair = ConnectionPair()
        self.guest, self.proxy = self.pair.guest, self.pair.proxy

    def begin(self, number: int = 1, body: bytes | None = b"", **info: object) -> None:
        """The proxy makes a request, and the guest has it."""
        self.proxy.send(request(number, body, **info))
        self.pair.settle()
        self.assertEqual(request(number, body, **info), self.pair.take(GUEST)[-1])

    def test_inline(self) -> None:
        """A request and a response with their bodies, and all is over on both sides."""
        self.begin(1, b"question")
        self.assertEqual(
            (Half.DONE, Half.WAITING),
            (self.proxy.exchanges[1].ours, self.proxy.exchanges[1].theirs),
        )
        self.guest.send(response(1, b"answer", headers=[(b"a", b"b")]))
        self.assertEqual({}, self.guest.exchanges)
        self.pair.settle()
        self.assertEqual([response(1, b"answer", headers=[(b"a", b"b")])], self.pair.take(PROXY))
        self.assertEqual({}, self.proxy.exchanges)

    def test_interim(self) -> None:
        """Interim responses come before the final one."""
        self.begin()
        self.guest.send(response(1, status=100))
        self.guest.send(response(1, status=103, headers=[(b"link", b"x")]))
        self.guest.send(response(1, status=199))
        self.guest.send(response(1, status=200))
        self.pair.settle()
        self.assertEqual(
            [100, 103, 199, 200],
            [event.status for event in self.pair.take(PROXY)],  # type: ignore[union-attr]
        )
        self.assertEqual({}, self.proxy.exchanges)

    def test_interim_with_a_body(self) -> None:
        """An interim response has none."""
        self.begin()
        for body in (b"x", None, {}):
            self.local_error(
                "an interim response has no body", self.guest.send, response(1, body, 100)
            )
        why = "an interim response with a body"
        events = self.pair.to_proxy(response(1, b"x", 100).frame())
        self.assert_violation(self.proxy, events, 1, why)
        self.begin(2)
        events = self.pair.to_proxy(response(2, None, 199).frame())
        self.assert_violation(self.proxy, events, 2, why)

    def test_interim_after_the_head(self) -> None:
        """An interim response is not later than the final one."""
        self.begin()
        self.guest.send(response(1, None))
        self.local_error(
            "exchange 1: no INTERIM when STREAMING", self.guest.send, response(1, status=100)
        )
        self.pair.settle()
        self.pair.take(PROXY)
        events = self.pair.to_proxy(response(1, status=100).frame())
        self.assert_violation(self.proxy, events, 1, "no interim is allowed when streaming")

    def test_two_heads(self) -> None:
        """There is one final response."""
        self.begin()
        self.guest.send(response(1, None))
        self.local_error("exchange 1: no WHOLE when STREAMING", self.guest.send, response(1))
        self.pair.settle()
        self.pair.take(PROXY)
        events = self.pair.to_proxy(response(1).frame())
        self.assert_violation(self.proxy, events, 1, "no whole is allowed when streaming")

    def test_streams(self) -> None:
        """Bodies go both ways in pieces, with trailers at the end."""
        self.begin(1, None)
        self.proxy.write_body(1, b"one ")
        self.proxy.write_body(1, b"two")
        self.proxy.end_body(1, [(b"sum", b"7")])
        self.pair.settle()
        self.assertEqual(
            [m.Body(1, b"one "), m.Body(1, b"two"), m.End(1, [(b"sum", b"7")])],
            self.pair.take(GUEST),
        )
        self.assertIs(Half.DONE, self.guest.exchanges[1].theirs)
        self.guest.send(response(1, None))
        self.guest.write_body(1, b"three")
        self.assertIs(Half.STREAMING, self.guest.exchanges[1].ours)
        self.guest.end_body(1)
        self.assertEqual({}, self.guest.exchanges)
        self.pair.settle()
        self.assertEqual([response(1, None), m.Body(1, b"three"), m.End(1)], self.pair.take(PROXY))
        self.assertEqual({}, self.proxy.exchanges)

    def test_not_streaming(self) -> None:
        """Pieces belong to a streamed body that is under way."""
        self.begin(1, b"whole")
        self.local_error("exchange 1: no body when DONE", self.proxy.write_body, 1, b"x")
        self.local_error("exchange 1: no end when DONE", self.proxy.end_body, 1)
        self.local_error("exchange 1: no body when WAITING", self.guest.write_body, 1, b"x")
        self.local_error("exchange 1: no end when WAITING", self.guest.end_body, 1)
        self.local_error("exchange 2 is not under way", self.guest.write_body, 2, b"x")
        self.local_error("exchange 2 is not under way", self.guest.end_body, 2)
        self.local_error("exchange 2 is not under way", self.guest.send, response(2))
        self.assertEqual(b"", self.guest.data_to_send())

    def test_ended_but_waiting(self) -> None:
        """A body that has been ended takes no more, though its end has not gone yet."""
        self.begin(1, None)
        self.assertEqual(4464, self.proxy.write_body(1, bytes(70_000)))
        self.proxy.end_body(1)
        self.local_error("exchange 1: no body when STREAMING", self.proxy.write_body, 1, b"x")
        self.local_error("exchange 1: no end when STREAMING", self.proxy.end_body, 1)

    def test_pieces_for_a_whole_body(self) -> None:
        """A peer that goes on after a whole body breaks a rule of that exchange."""
        for frame, verb in (([b"body", 1, b"x"], "body"), ([b"end", 1], "end")):
            self.setUp()
            self.begin(1, b"whole")
            events = self.pair.to_guest(frame)
            self.assert_violation(self.guest, events, 1, f"no {verb} is allowed when done")
        for frame, verb in (([b"body", 1, b"x"], "body"), ([b"end", 1], "end")):
            self.setUp()
            self.begin()
            events = self.pair.to_proxy(frame)
            self.assert_violation(self.proxy, events, 1, f"no {verb} is allowed when waiting")

    def test_a_violation_leaves_the_others_alone(self) -> None:
        """The other exchanges of a connection go on, and the peer learns of its mistake."""
        self.begin(1)
        self.begin(2, None)
        self.feed_violation()
        self.pair.deliver(GUEST)
        self.assertEqual(
            [m.Abort(1, b"protocol", b"no body is allowed when waiting")], self.pair.take(GUEST)
        )
        self.assertEqual([2], list(self.guest.exchanges))
        self.proxy.write_body(2, b"x")
        self.pair.settle()
        self.assertEqual([m.Body(2, b"x")], self.pair.take(GUEST))

    def feed_violation(self) -> None:
        self.assertEqual(
            [Violation(1, "no body is allowed when waiting")],
            self.pair.to_proxy([b"body", 1, b"x"]),
        )

    def test_a_violation_is_told_behind_what_was_said(self) -> None:
        pair = ConnectionPair()
        pair.proxy.send(request(1, None))
        pair.settle()
        pair.proxy.send(m.Ping(b"1"))
        pair.to_proxy([b"body", 1, b"early"])
        verbs = [frame[0] for frame in pair.said(PROXY)]
        self.assertEqual([b"ping", b"abort"], verbs)

    def test_after_a_violation(self) -> None:
        """What is still under way for that exchange is ignored."""
        self.begin(1)
        self.feed_violation()
        frames = [response(1).frame(), [b"body", 1, b"x"], [b"end", 1], [b"abort", 1, b"error"]]
        self.assertEqual([], self.pair.to_proxy(*frames, [b"credit", 1, 5]))

    def test_numbers_grow(self) -> None:
        """A number is used once, and none goes back."""
        self.begin(3)
        self.local_error("exchange numbers grow", self.proxy.send, request(3))
        self.local_error("exchange numbers grow", self.proxy.send, request(2))
        self.assertEqual(3, self.proxy.last)
        events = self.pair.to_guest(request(3).frame())
        self.assert_broken(self.guest, events, StateError, "exchange 3 does not follow 3")

    def test_never_begun(self) -> None:
        """What concerns an exchange to come is an error of the connection."""
        for frame in (
            response(2).frame(),
            [b"body", 2, b"x"],
            [b"end", 2],
            [b"credit", 2, 1],
            [b"abort", 2, b"error"],
        ):
            self.setUp()
            self.begin(1)
            events = self.pair.to_proxy(frame)
            self.assert_broken(self.proxy, events, StateError, "exchange 2 was never begun")

    def test_early_response(self) -> None:
        """A complete response ends the exchange, whatever of the request is still to come."""
        self.begin(1, None)
        self.proxy.write_body(1, bytes(70_000))
        self.pair.settle()
        self.pair.take(GUEST)
        self.guest.send(response(1))
        self.assertEqual({}, self.guest.exchanges)
        self.pair.settle()
        self.assertEqual({}, self.proxy.exchanges)
        self.assertEqual(0, self.proxy.pending(1))
        self.assertEqual(
            [], self.pair.to_guest([b"body", 1, b"late"], [b"end", 1], [b"abort", 1, b"client"])
        )

    def test_streamed_response_before_the_request_is_complete(self) -> None:
        """An exchange goes on while its response does."""
        self.begin(1, None)
        self.guest.send(response(1, None))
        self.pair.settle()
        self.proxy.write_body(1, b"x")
        self.proxy.end_body(1)
        self.assertIn(1, self.proxy.exchanges)
        self.pair.settle()
        self.assertIn(1, self.guest.exchanges)
        self.guest.end_body(1)
        self.pair.settle()
        self.assertEqual({}, self.proxy.exchanges)

    def test_draining(self) -> None:
        """A draining proxy begins nothing new; a draining guest answers what crossed."""
        self.begin(1)
        self.guest.send(m.Drain())
        self.proxy.send(request(2))
        self.pair.settle()
        self.guest.send(response(1))
        self.guest.send(m.Abort(2, b"refused"))
        self.pair.settle()
        self.assertEqual({}, self.proxy.exchanges)
        self.proxy.send(m.Drain())
        self.local_error("no request when our side is DRAINING", self.proxy.send, request(3))
        self.pair.settle()
        self.pair.take(GUEST)
        events = self.pair.to_guest(request(3).frame())
        self.assert_broken(self.guest, events, StateError, "no request is allowed when draining")


class AbortTests(WireTestCase):
    def setUp(self) -> None:
        self.pair = ConnectionPair()
        self.guest, self.proxy = self.pair.guest, self.pair.proxy
        self.proxy.send(request(1, None))
        self.pair.settle()
        self.pair.take(GUEST)

    def test_either_side(self) -> None:
        """Either ends an exchange, and the other is told."""
        for role in Role:
            self.setUp()
            self.pair.end(role).send(m.Abort(1, b"error", b"because"))
            self.assertEqual({}, self.pair.end(role).exchanges)
            self.pair.settle()
            self.assertEqual([m.Abort(1, b"error", b"because")], self.pair.take(role.peer))
            self.assertEqual({}, self.pair.end(role.peer).exchanges)

    def test_crossing(self) -> None:
        """An abort that crosses with a response: the one is ignored, and so is the other."""
        self.proxy.send(m.Abort(1, b"client"))
        self.guest.send(response(1, b"late"))
        self.pair.settle()
        self.assertEqual([], self.pair.take(PROXY))
        self.assertEqual([], self.pair.take(GUEST))

    def test_crossing_aborts(self) -> None:
        """Two aborts that cross are both ignored."""
        self.proxy.send(m.Abort(1, b"client"))
        self.guest.send(m.Abort(1, b"error"))
        self.pair.settle()
        self.assertEqual(([], []), (self.pair.take(PROXY), self.pair.take(GUEST)))

    def test_what_waits_is_dropped(self) -> None:
        """Nothing more is sent for it, whatever credit comes."""
        self.guest.send(response(1, None))
        self.guest.write_body(1, bytes(100_000))
        self.guest.end_body(1)
        self.pair.settle()
        self.guest.send(m.Abort(1, b"error"))
        self.assertEqual([[b"abort", 1, b"error", b""]], self.pair.said(GUEST))
        self.assertEqual([], self.pair.to_guest([b"credit", 1, 50_000]))
        self.assertEqual(b"", self.guest.data_to_send())

    def test_over_already(self) -> None:
        """To abort what is over says nothing; to abort what never began is a mistake."""
        self.guest.send(response(1))
        self.guest.data_to_send()
        self.guest.send(m.Abort(1, b"error"))
        self.assertEqual(b"", self.guest.data_to_send())
        self.local_error("exchange 2 was never begun", self.guest.send, m.Abort(2, b"error"))
