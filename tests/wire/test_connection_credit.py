"""Bodies under credit, and within what the peer takes."""

from __future__ import annotations

from subproxy.wire import messages as m
from subproxy.wire.errors import (
    TooLarge,
)
from subproxy.wire.limits import BODY_CHUNK, MAX_CREDIT, Limits
from subproxy.wire.states import Half
from tests.rigs.wire_case import GUEST, PROXY, WireTestCase, bodies
from tests.rigs.wire_pair import ConnectionPair, request, response


class CreditTests(WireTestCase):
    def start(self, guest: Limits | None = None, proxy: Limits | None = None) -> None:
        self.pair = ConnectionPair(guest, proxy)
        self.guest, self.proxy = self.pair.guest, self.pair.proxy

    def test_the_window_is_the_receivers(self) -> None:
        """Each direction has the window that its receiver said."""
        self.start(Limits(window=10), Limits(window=4))
        self.proxy.send(request(1, None))
        self.assertEqual(2, self.proxy.write_body(1, b"0123456789AB"))
        self.assertEqual(2, self.proxy.pending(1))
        self.pair.settle()
        self.guest.send(response(1, None))
        self.assertEqual(6, self.guest.write_body(1, b"0123456789"))
        self.assertEqual(7, self.guest.write_body(1, b"A"))
        self.assertEqual(0, self.guest.pending(2))
        self.assertEqual([b"0123"], bodies(self.pair.said(GUEST)))

    def test_grants(self) -> None:
        """Credit goes back when half of the window is consumed, and what waited goes."""
        self.start(Limits(window=10))
        self.proxy.send(request(1, None))
        self.proxy.write_body(1, b"0123456789ABCDE")
        self.proxy.end_body(1, [(b"t", b"1")])
        self.pair.settle()
        self.assertEqual(b"0123456789", self.pair.take(GUEST)[1].data)  # type: ignore[union-attr]
        self.guest.consumed(1, 4)
        self.assertEqual(b"", self.guest.data_to_send())
        self.guest.consumed(1, 1)
        self.pair.deliver(PROXY)
        self.assertEqual([m.Credit(1, 5)], self.pair.take(PROXY))
        self.pair.settle()
        self.assertEqual([m.Body(1, b"ABCDE"), m.End(1, [(b"t", b"1")])], self.pair.take(GUEST))
        self.guest.consumed(1, 10)
        self.assertEqual(b"", self.guest.data_to_send())

    def test_no_grant_for_what_is_not_streamed(self) -> None:
        """Who consumed a whole body, or one that is over, grants nothing."""
        self.start(Limits(window=2))
        self.proxy.send(request(1, b"whole"))
        self.pair.settle()
        self.guest.consumed(1, 5)
        self.guest.consumed(7, 5)
        self.assertEqual(b"", self.guest.data_to_send())

    def test_end_waits_for_the_body(self) -> None:
        """An end without anything that waits goes at once, a later one when all has gone."""
        self.start(Limits(window=3))
        self.proxy.send(request(1, None))
        self.proxy.write_body(1, b"abcd")
        self.proxy.end_body(1)
        self.assertEqual([b"request", b"body"], [frame[0] for frame in self.pair.said(PROXY)])
        self.assertIs(Half.STREAMING, self.proxy.exchanges[1].ours)
        self.pair.to_proxy([b"credit", 1, 1])
        self.assertEqual([[b"body", 1, b"d"], [b"end", 1, [], {}]], self.pair.said(PROXY))
        self.assertIs(Half.DONE, self.proxy.exchanges[1].ours)
        self.assertIsNone(self.proxy.exchanges[1].ending)
        self.pair.to_proxy([b"credit", 1, 1])
        self.assertEqual(b"", self.proxy.data_to_send())

    def test_a_response_that_ends_on_credit_is_over(self) -> None:
        """The last byte of a response may wait; with its end the exchange is over."""
        self.start(proxy=Limits(window=1))
        self.proxy.send(request(1))
        self.pair.settle()
        self.guest.send(response(1, None))
        self.guest.write_body(1, b"ab")
        self.guest.end_body(1)
        self.assertIn(1, self.guest.exchanges)
        self.pair.to_guest([b"credit", 1, 1])
        self.assertEqual({}, self.guest.exchanges)

    def test_more_than_credit(self) -> None:
        """More body than credit is an error of the exchange; exactly as much is none."""
        why = "more body than there was credit for"
        self.start(Limits(window=3), Limits(window=2))
        self.proxy.send(request(1, None))
        self.pair.settle()
        self.pair.take(GUEST)
        self.assertEqual([m.Body(1, b"abc")], self.pair.to_guest([b"body", 1, b"abc"]))
        self.assert_violation(self.guest, self.pair.to_guest([b"body", 1, b"d"]), 1, why)
        self.proxy.send(request(2, None))
        self.pair.settle()
        self.pair.take(GUEST)
        self.assert_violation(self.guest, self.pair.to_guest([b"body", 2, b"abcd"]), 2, why)
        self.pair.settle()
        self.proxy.send(request(3))
        self.pair.settle()
        self.pair.to_proxy(response(3, None).frame(), [b"body", 3, b"ab"])
        self.assert_violation(self.proxy, self.pair.to_proxy([b"body", 3, b"c"]), 3, why)

    def test_expect(self) -> None:
        """The body of a request that expects waits until the guest wants it."""
        self.start(Limits(window=10))
        self.proxy.send(request(1, None, expect=True))
        self.assertEqual(3, self.proxy.write_body(1, b"abc"))
        self.pair.settle()
        self.assertEqual(1, len(self.pair.take(GUEST)))
        self.guest.consumed(1, 0)
        self.pair.settle()
        self.assertEqual([m.Credit(1, 10)], self.pair.take(PROXY))
        self.assertEqual([m.Body(1, b"abc")], self.pair.take(GUEST))
        self.assertEqual(0, self.proxy.pending(1))

    def test_expect_overrun(self) -> None:
        """A proxy that does not wait breaks a rule."""
        self.start()
        self.pair.to_guest(request(1, None, expect=True).frame())
        events = self.pair.to_guest([b"body", 1, b"a"])
        self.assert_violation(self.guest, events, 1, "more body than there was credit for")

    def test_expect_false(self) -> None:
        """A request that says that it does not expect has its whole window."""
        self.start()
        self.proxy.send(request(1, None, expect=False))
        self.assertEqual(0, self.proxy.write_body(1, b"abc"))
        self.pair.settle()
        self.assertEqual(m.Body(1, b"abc"), self.pair.take(GUEST)[-1])

    def test_expect_is_the_requests(self) -> None:
        """The response's window has nothing to do with it."""
        self.start()
        self.proxy.send(request(1, None, expect=True))
        self.pair.settle()
        self.guest.send(response(1, None))
        self.assertEqual(0, self.guest.write_body(1, b"abc"))

    def test_more_credit_than_a_window_holds(self) -> None:
        """That is an error of the exchange; a full window is none."""
        self.start(Limits(window=5))
        self.proxy.send(request(1, None))
        self.proxy.send(request(2, None))
        self.pair.settle()
        self.assertEqual(1, len(self.pair.to_proxy([b"credit", 1, MAX_CREDIT - 5])))
        why = "more credit than a window can hold"
        self.assert_violation(self.proxy, self.pair.to_proxy([b"credit", 1, 1]), 1, why)
        self.assertEqual([2], list(self.proxy.exchanges))

    def test_credit_that_crosses_with_the_end(self) -> None:
        """Credit for a body that has been sent is of no use, and no error."""
        self.start()
        self.proxy.send(request(1, b"whole"))
        self.pair.settle()
        self.pair.take(GUEST)
        self.assertEqual([m.Credit(1, 7)], self.pair.to_proxy([b"credit", 1, 7]))
        self.assertEqual(b"", self.proxy.data_to_send())

    def test_credit_before_the_head(self) -> None:
        """Credit may be granted for a body that has not begun."""
        self.start(proxy=Limits(window=1))
        self.proxy.send(request(1))
        self.pair.settle()
        self.pair.to_guest([b"credit", 1, 4])
        self.guest.send(response(1, None))
        self.assertEqual(1, self.guest.write_body(1, b"012345"))

    def test_only_streams_are_consumed(self) -> None:
        """Nothing is granted for a body that came whole, has ended, or never came."""
        self.start(Limits(window=4))
        self.proxy.send(request(1, b"whole"))
        self.proxy.send(request(2, None))
        self.proxy.write_body(2, b"abcd")
        self.proxy.end_body(2)
        self.pair.settle()
        for number in (1, 2, 3):
            self.guest.consumed(number, 4)
        self.assertEqual([], self.pair.said(GUEST))


class PeerLimitTests(WireTestCase):
    def test_inline(self) -> None:
        """A longer body than the peer takes inline is a mistake; of a peer, of its exchange."""
        pair = ConnectionPair(Limits(inline=3), Limits(inline=2))
        why = "a longer body than the peer takes inline"
        self.local_error(why, pair.proxy.send, request(1, b"abcd"))
        self.assertEqual(0, pair.proxy.last)
        pair.proxy.send(request(1, b"abc"))
        pair.settle()
        self.local_error(why, pair.guest.send, response(1, b"abc"))
        pair.guest.send(response(1, b"ab"))
        pair.settle()
        why = "a longer body than may be inline"
        pair.take(PROXY)
        pair.proxy.send(request(2))
        pair.settle()
        pair.take(GUEST)
        self.assert_violation(pair.proxy, pair.to_proxy(response(2, b"abc").frame()), 2, why)
        events = pair.to_guest(request(3, b"abcd").frame())
        self.assert_violation(pair.guest, events, 3, why)

    def test_frame(self) -> None:
        """A longer frame than the peer takes is refused before anything has changed."""
        pair = ConnectionPair(Limits(frame=1024), Limits(frame=1025))
        size = next(
            n for n in range(1024) if len(request(1, bytes(n)).encode()) == 4 + 1 + 1024 + 1
        )
        body = bytes(size)
        longer = request(1, body + b"x")
        error = self.assertRaises(TooLarge, pair.proxy.send, longer)
        self.assertEqual("1031 bytes, where frames of 1024 are taken", str(error))
        self.assertEqual(
            (0, {}, b""), (pair.proxy.last, pair.proxy.exchanges, pair.proxy.data_to_send())
        )
        pair.proxy.send(request(1, body))
        pair.settle()
        self.assertEqual([request(1, body)], pair.take(GUEST))

    def test_long_frame(self) -> None:
        """Likewise one with a body that is not copied, and so is written in pieces."""
        pair = ConnectionPair(Limits(frame=60_000, inline=60_000))
        size = next(
            n for n in range(59_000, 60_000) if len(request(1, bytes(n)).encode()) == 60_007
        )
        error = self.assertRaises(TooLarge, pair.proxy.send, request(1, bytes(size + 1)))
        self.assertEqual("60008 bytes, where frames of 60000 are taken", str(error))
        pair.proxy.send(request(1, bytes(size)))
        pair.settle()
        self.assertEqual([request(1, bytes(size))], pair.take(GUEST))

    def test_body_frames_fit(self) -> None:
        """Pieces are as long as the peer takes, and no longer."""
        pair = ConnectionPair(Limits(frame=1024), Limits(frame=1025))
        pair.proxy.send(request(1, None))
        pair.proxy.write_body(1, bytes(3000))
        pair.deliver(GUEST)
        pair.guest.send(response(1, None))
        pair.guest.write_body(1, bytes(3000))
        pair.settle()
        sizes = [len(event.data) for event in pair.take(GUEST)[1:]]  # type: ignore[union-attr]
        self.assertEqual([960, 960, 960, 120], sizes)
        sizes = [len(event.data) for event in pair.take(PROXY)[1:]]  # type: ignore[union-attr]
        self.assertEqual([961, 961, 961, 117], sizes)

    def test_body_frames_take_turns(self) -> None:
        """However much the peer takes, a piece is not longer than a chunk."""
        pair = ConnectionPair(Limits(frame=9_999_999, window=1_000_000))
        pair.proxy.send(request(1, None))
        pair.proxy.write_body(1, bytes(40_000))
        sizes = [len(data) for data in bodies(pair.said(PROXY))]
        self.assertEqual([BODY_CHUNK, BODY_CHUNK, 40_000 - 2 * BODY_CHUNK], sizes)

    def test_trailers(self) -> None:
        """Trailers that are too long for the peer are refused, and the body can still be ended."""
        pair = ConnectionPair(Limits(frame=1024))
        pair.proxy.send(request(1, None))
        self.assertRaises(TooLarge, pair.proxy.end_body, 1, [(b"t", bytes(1024))])
        self.assertIs(Half.STREAMING, pair.proxy.exchanges[1].ours)
        pair.proxy.end_body(1)
        self.assertEqual([b"request", b"end"], [frame[0] for frame in pair.said(PROXY)])
