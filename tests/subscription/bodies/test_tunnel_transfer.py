"""Tunnels over data connections: accepted for one at once, or moved to one on their way."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.upgrade import Upgrade
from subproxy.errors import GuestGone, GuestMisbehaved, GuestSlow
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.subscription.tunnel_request import SMALL
from subproxy.wire import messages as m
from subproxy.wire.connection import Violation
from subproxy.wire.limits import Limits
from tests.rigs.data_line import Line
from tests.rigs.examples import examples
from tests.rigs.world import Guest, World

ASKS = Upgrade((b"websocket",))


class TunnelTransferCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self, tunnel: int = 10, window: int = 100) -> None:
        """A world with a guest that takes tunnels, and owes the answer to one of C{window}."""
        self.world = World(SubscriptionSettings(tunnel=tunnel))
        self.guest: Guest = self.world.serving(
            limits=Limits(window=window), bulk=True, tunnel=[b"websocket"]
        )
        self.exchange, self.sink = self.world.ask(b"GET", upgrade=ASKS)
        self.guest.pump()
        (request,) = self.guest.take(m.Request)
        self.assertEqual(b"websocket", request.info[b"tunnel"])
        self.number = request.exchange

    def accept(self, body: dict[bytes, object] | None = None) -> None:
        self.guest.say(m.Response(self.number, 200, [], {}, body))
        self.assertEqual(b"websocket", self.sink.tunnel)

    def grant(self) -> None:
        self.guest.wire.consumed(self.number, 0)
        self.guest.pump()

    def line(self) -> Line:
        """The data connection that was asked for, claimed."""
        self.guest.pump()
        (connect,) = self.guest.take(m.Connect)
        line = Line(self.world)
        line.connect(self.number, connect.token)
        return line

    def claimed(self, line: Line, raw: bytes = b"") -> None:
        """C{line} was answered, and C{raw} came behind that."""
        data = line.take()
        self.assertTrue(data.endswith(raw), data)
        self.assertIn(b"7:connect,", data[: len(data) - len(raw)])

    def say_raw(self, message: m.Message) -> None:
        """The guest sends C{message}, whatever its own end of the wire thinks of that."""
        self.guest.protocol.dataReceived(message.encode())

    def ends(self) -> list[m.End]:
        self.guest.pump()
        return self.guest.take(m.End)

    def left(self) -> bool:
        """Nothing is kept of it."""
        subscription = self.guest.protocol.subscription
        assert subscription is not None
        tunnels = self.world.factory.context.tunnels
        return not len(subscription.channel) and not tunnels.count("vm:1")


class DirectTests(TunnelTransferCase):
    def test_both_ways(self) -> None:
        """Not a byte in frames; what came before there was a connection waited."""
        self.accept({})
        self.exchange.request_data(b"early")
        self.assertTrue(self.sink.paused)
        line = self.line()
        self.claimed(line, b"early")
        self.assertFalse(self.sink.paused)
        self.exchange.request_data(b"later")
        self.assertEqual(b"later", line.take())
        line.say(b"from the guest")
        self.assertEqual(b"from the guest", self.sink.body)
        self.guest.pump()
        self.assertEqual([], self.guest.take(m.Body))

    def test_bytes_behind_the_claim(self) -> None:
        self.accept({})
        (connect,) = self.guest.take(m.Connect)
        line = Line(self.world)
        line.connect(self.number, connect.token, b"at once")
        self.assertEqual(b"at once", self.sink.body)

    def test_ends(self) -> None:
        """Each half with its length; the guest closes the connection."""
        for first in ("client", "guest"):
            self.begin()
            self.accept({})
            line = self.line()
            self.exchange.request_data(b"12345")
            line.say(b"123")
            for who in (first, "guest" if first == "client" else "client"):
                if who == "client":
                    self.exchange.request_end([])
                    self.assertEqual([m.End(self.number, [], {b"length": 5})], self.ends())
                else:
                    self.guest.wire.end_body(self.number, [], {b"length": 3})
                    self.guest.pump()
                    self.assertTrue(self.sink.complete)
            self.assertTrue(self.left())
            self.assertFalse(line.closed)
            line.lose()

    def test_an_end_before_the_claim(self) -> None:
        self.accept({})
        self.exchange.request_data(b"all")
        self.exchange.request_end([])
        self.assertEqual([], self.ends())
        line = self.line()
        self.claimed(line, b"all")
        self.assertEqual([m.End(self.number, [], {b"length": 3})], self.ends())

    def test_an_end_before_its_bytes(self) -> None:
        """It overtakes them, on another connection."""
        self.accept({})
        line = self.line()
        self.guest.wire.end_body(self.number, [], {b"length": 4})
        self.guest.pump()
        self.assertFalse(self.sink.complete)
        line.say(b"1234")
        self.assertTrue(self.sink.complete)

    def test_more_than_its_end_says(self) -> None:
        for early in (False, True):
            self.begin()
            self.accept({})
            line = self.line()
            if early:
                line.say(b"12345")
            self.guest.wire.end_body(self.number, [], {b"length": 4})
            self.guest.pump()
            if not early:
                line.say(b"12345")
            self.assertIsInstance(self.sink.error, GuestMisbehaved)
            self.assertTrue(line.closed)
            self.assertTrue(self.left())

    def test_a_guest_that_does_not_dial(self) -> None:
        self.accept({})
        self.world.advance(3)
        self.assertIsInstance(self.sink.error, GuestSlow)
        self.assertTrue(self.left())

    def test_a_break(self) -> None:
        """The connection ends before both halves have."""
        self.accept({})
        line = self.line()
        line.lose()
        self.assertIsInstance(self.sink.error, GuestGone)
        self.assertTrue(self.left())

    def test_a_close_that_overtakes_the_end(self) -> None:
        """That is on another connection: it has a moment, and must be of what has come."""
        for told in (3, 4, None):
            self.begin()
            self.accept({})
            line = self.line()
            self.exchange.request_end([])
            line.say(b"123")
            line.lose()
            self.assertIsNone(self.sink.error)
            if told is not None:
                self.guest.wire.end_body(self.number, [], {b"length": told})
                self.guest.pump()
            else:
                self.world.advance(2)
            self.assertEqual(told == 3, self.sink.complete)
            self.assertEqual(told != 3, isinstance(self.sink.error, GuestGone))
            self.assertTrue(self.left())
            self.world.advance(3)

    def test_a_client_that_takes_nothing(self) -> None:
        """The guest is not read from, beyond what is held."""
        self.accept({})
        line = self.line()
        line.say(b"x" * 65_536)
        self.assertEqual("paused", line.transport.producerState)
        self.exchange.response_consumed(65_536)
        self.assertEqual("producing", line.transport.producerState)

    def test_a_guest_that_takes_nothing(self) -> None:
        self.accept({})
        line = self.line()
        line.protocol.pauseProducing()
        self.exchange.request_data(b"x")
        self.assertTrue(self.sink.paused)
        line.protocol.resumeProducing()
        self.assertFalse(self.sink.paused)

    def test_the_client_leaves(self) -> None:
        self.accept({})
        line = self.line()
        self.exchange.cancel(GuestGone())
        self.assertTrue(line.closed)
        self.assertTrue(self.left())

    def test_a_spent_connection_carries_nothing_more(self) -> None:
        self.accept({})
        line = self.line()
        self.exchange.request_end([])
        self.guest.wire.end_body(self.number, [], {b"length": 0})
        self.guest.pump()
        line.say(b"more")
        self.assertTrue(line.closed)

    def test_a_spent_connection_that_stays_is_closed(self) -> None:
        self.accept({})
        line = self.line()
        self.exchange.request_end([])
        self.guest.wire.end_body(self.number, [], {b"length": 0})
        self.guest.pump()
        self.world.advance(61)
        self.assertTrue(line.closed)


class MoveTests(TunnelTransferCase):
    def moving(self) -> Line:
        """One that the guest has claimed a data connection for: the client's half has moved."""
        self.accept()
        self.grant()
        self.exchange.request_data(b"0123456789")
        self.guest.pump()
        self.guest.take(m.Body)
        line = self.line()
        self.guest.pump()
        self.assertEqual([m.Move(self.number, 10)], self.guest.take(m.Move))
        self.claimed(line)
        return line

    def test_when(self) -> None:
        """After so many bytes of either half, in pieces that are not small, once."""
        for half in ("request", "response"):
            self.begin()
            self.accept()
            self.grant()
            for size in (9, 10, 9, 10):
                if half == "request":
                    self.exchange.request_data(b"x" * size)
                else:
                    self.guest.wire.write_body(self.number, b"x" * size)
                self.guest.pump()
            self.assertEqual(1, len(self.guest.take(m.Connect)))

    def test_small_pieces(self) -> None:
        """However many, they are best off where they are."""
        self.begin(tunnel=10_000, window=65_536)
        self.accept()
        self.grant()
        for _ in range(10):
            self.exchange.request_data(b"x" * (SMALL - 1))
            self.guest.pump()
        self.assertEqual([], self.guest.take(m.Connect))
        for _ in range(3):
            self.exchange.request_data(b"x" * SMALL)
            self.guest.pump()
        self.assertEqual(1, len(self.guest.take(m.Connect)))

    def test_never(self) -> None:
        self.begin(tunnel=0)
        self.accept()
        self.grant()
        self.exchange.request_data(b"x" * 100)
        self.guest.pump()
        self.assertEqual([], self.guest.take(m.Connect))

    def test_both_halves(self) -> None:
        """In frames up to C{move}, then raw; nothing is lost, and nothing out of order."""
        line = self.moving()
        self.exchange.request_data(b"raw")
        self.assertEqual(b"raw", line.take())
        line.say(b"too early for its move")
        self.guest.wire.write_body(self.number, b"in frames, ")
        self.guest.pump()
        self.assertEqual(b"in frames, ", self.sink.body)
        self.guest.wire.move_body(self.number)
        self.guest.pump()
        self.assertEqual(b"in frames, too early for its move", self.sink.body)
        line.say(b"!")
        self.guest.wire.end_body(self.number, [], {b"length": 34})
        self.exchange.request_end([])
        self.assertEqual([m.End(self.number, [], {b"length": 13})], self.ends())
        self.assertTrue(self.sink.complete)
        self.assertEqual(b"in frames, too early for its move!", self.sink.body)
        self.assertTrue(self.left())

    def test_what_waited_for_credit(self) -> None:
        """It is the first to go, and so is an end that waited behind it."""
        self.begin(window=10)
        self.accept()
        self.grant()
        self.exchange.request_data(b"0123456789abc")
        self.exchange.request_data(b"def")
        self.exchange.request_end([])
        line = self.line()
        self.claimed(line, b"abcdef")
        self.guest.pump()
        self.assertEqual([m.Move(self.number, 10)], self.guest.take(m.Move))
        self.assertEqual([m.End(self.number, [], {b"length": 16})], self.ends())

    def test_a_half_that_has_ended_does_not_move(self) -> None:
        self.accept()
        self.grant()
        self.exchange.request_data(b"0123456789")
        self.exchange.request_end([])
        line = self.line()
        self.guest.pump()
        self.assertEqual([], self.guest.take(m.Move))
        self.guest.wire.move_body(self.number)
        self.guest.wire.end_body(self.number, [], {b"length": 2})
        self.guest.pump()
        line.say(b"ok")
        self.assertTrue(self.sink.complete)
        self.assertEqual(b"ok", self.sink.body)
        self.assertTrue(self.left())

    def test_the_guest_ends_in_frames(self) -> None:
        """Before it moves: its half needs no length, and never comes raw."""
        line = self.moving()
        self.guest.wire.write_body(self.number, b"ok")
        self.guest.wire.end_body(self.number)
        self.guest.pump()
        self.assertTrue(self.sink.complete)
        self.exchange.request_data(b"raw")
        self.exchange.request_end([])
        self.assertEqual([m.End(self.number, [], {b"length": 13})], self.ends())
        self.assertEqual(b"raw", line.take())
        self.assertTrue(self.left())
        self.assertFalse(line.closed)

    def test_a_guest_that_does_not_dial(self) -> None:
        """It stays in frames."""
        self.accept()
        self.grant()
        self.exchange.request_data(b"0123456789")
        self.world.advance(2.5)
        self.assertIsNone(self.sink.error)
        self.exchange.request_data(b"more")
        self.guest.pump()
        self.assertEqual(b"more", self.guest.take(m.Body)[-1].data)
        self.exchange.request_end([])
        self.guest.wire.end_body(self.number)
        self.guest.pump()
        self.assertTrue(self.left())

    def test_a_move_before_the_claim(self) -> None:
        """There is nothing that the rest could come by: offered, or lapsed."""
        for wait in (0.0, 5.0):
            self.setUp()
            self.accept()
            self.grant()
            self.exchange.request_data(b"0123456789")
            self.guest.pump()
            self.assertEqual(len(self.guest.take(m.Connect)), 1)
            self.world.advance(wait)
            self.say_raw(m.Move(self.number, 0))
            self.assertIsInstance(self.sink.error, GuestMisbehaved)
            self.assertTrue(self.left())

    def test_a_wrong_length(self) -> None:
        """It is an error of the exchange."""
        self.moving()
        self.say_raw(m.Move(self.number, 5))
        self.assertIsInstance(self.sink.error, GuestMisbehaved)
        self.assertTrue(self.left())

    def test_credit_that_was_owed_for_frames(self) -> None:
        """What the client takes late does not make the connection read more than it may."""
        line = self.moving()
        self.guest.wire.write_body(self.number, b"x" * 100)
        self.guest.wire.move_body(self.number)
        self.guest.pump()
        self.exchange.response_consumed(100)
        line.say(b"y" * 65_536)
        self.assertEqual("paused", line.transport.producerState)
        self.exchange.response_consumed(65_536)
        self.assertEqual("producing", line.transport.producerState)

    @settings(max_examples=examples(150), deadline=None)
    @given(st.lists(st.sampled_from("cgdmCGr"), max_size=25), st.integers(1, 40))
    def test_any_order(self, steps: list[str], window: int) -> None:
        """Whatever is said and read when: each side gets all that the other has sent, in order."""
        self.begin(tunnel=7, window=window)
        self.accept()
        self.grant()
        sent, said, got = b"", b"", b""
        line: Line | None = None
        ended = set()
        for at, step in enumerate(steps):
            piece = b"%d," % at
            if step == "c" and "C" not in ended:
                self.exchange.request_data(piece)
                sent += piece
            elif step == "g" and "G" not in ended:
                said += piece
                if line is not None and "m" in ended:
                    line.say(piece)
                else:
                    self.guest.wire.write_body(self.number, piece)
            elif step == "d" and line is None:
                self.guest.pump()
                offers = self.guest.take(m.Connect)
                if offers:
                    line = Line(self.world)
                    line.connect(self.number, offers[0].token)
                    # None is answered if both halves had ended.
                    size, _, rest = line.take().partition(b":")
                    got_raw = rest[int(size) + 1 :] if size else b""
                    self.guest.pump()
                    got += b"".join(body.data for body in self.guest.take(m.Body)) + got_raw
                    if line.closed:
                        line = None
                        break
            elif step == "m" and line is not None and not ended & {"G", "m"}:
                self.guest.wire.move_body(self.number)
                ended.add("m")
            elif step == "C" and "C" not in ended:
                self.exchange.request_end([])
                ended.add("C")
            elif step == "G" and "G" not in ended:
                info = {b"length": len(said)} if "m" in ended else {}
                self.guest.wire.end_body(self.number, [], info)
                ended.add("G")
            elif step == "r":
                self.guest.wire.consumed(self.number, len(got))
            self.guest.pump()
            got += b"".join(body.data for body in self.guest.take(m.Body))
            if line is not None:
                got += line.take()
            self.assertIsNone(self.sink.error)
        self.assertEqual(said, self.sink.body)
        self.assertTrue(sent.startswith(got))
        if line is not None or not sent[len(got) :]:
            self.assertEqual(sent, got)
        if {"C", "G"} <= ended and sent == got:
            self.assertTrue(self.left())
        self.assertNotIn(Violation, {type(each) for each in self.guest.events})
