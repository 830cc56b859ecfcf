"""Tunnels, as both ends of the wire see them."""

from __future__ import annotations

from subproxy.wire import messages as m
from subproxy.wire.states import Event, Half, Tunnel
from subproxy.wire.tunnel import accepted
from tests.rigs.wire_case import GUEST, PROXY, WireTestCase, bodies
from tests.rigs.wire_pair import ConnectionPair, request, response

ASKS = {"tunnel": b"websocket"}
TOKEN = b"0123456789abcdef"


class TunnelTestCase(WireTestCase):
    def asked(self, *, bulk: bool = True) -> ConnectionPair:
        """A pair on which exchange 1 is a tunnel that waits for its answer."""
        pair = ConnectionPair(bulk=bulk, tunnel=True)
        pair.proxy.send(request(1, None, **ASKS))
        pair.settle()
        pair.take(GUEST)
        return pair

    def framed(self) -> ConnectionPair:
        """A pair on which it was accepted, in frames."""
        pair = self.asked()
        pair.guest.send(response(1, None))
        pair.guest.consumed(1, 0)
        pair.settle()
        pair.take(PROXY)
        return pair

    def offered(self) -> ConnectionPair:
        """A pair on which the proxy has offered a data connection."""
        pair = self.framed()
        pair.proxy.send(m.Connect(1, TOKEN))
        pair.settle()
        self.assertEqual([m.Connect(1, TOKEN)], pair.take(GUEST))
        return pair


class AskTests(TunnelTestCase):
    def test_agreed(self) -> None:
        """There are tunnels where both have said so."""
        pair = ConnectionPair(tunnel=True)
        self.assertEqual({b"websocket", b"tls"}, pair.guest.tunnels)
        self.assertEqual({b"websocket", b"tls"}, pair.proxy.tunnels)

    def test_not_agreed(self) -> None:
        """A guest to which none were offered takes no notice of the key, as an older one."""
        pair = ConnectionPair()
        self.assertEqual(set(), pair.guest.tunnels | pair.proxy.tunnels)
        why = "a tunnel that was not announced"
        self.local_error(why, pair.proxy.send, request(1, None, **ASKS))
        pair.to_guest(request(1, b"whole", **ASKS).frame())
        self.assertIsNone(pair.guest.exchanges[1].tunnel)
        self.assert_violation(
            pair.guest, pair.to_guest([b"move", 1, 0]), 1, "no move is allowed when it is no tunnel"
        )

    def test_request(self) -> None:
        """It begins without a window."""
        pair = self.asked()
        tunnel = pair.guest.exchanges[1].tunnel
        assert tunnel is not None
        self.assertIs(Tunnel.ASKED, tunnel.state)
        self.assertEqual(0, pair.guest.exchanges[1].receiving.left)
        self.assertEqual(3, pair.proxy.write_body(1, b"abc"))

    def test_wrong_requests(self) -> None:
        """Another protocol, or a body, is an error of the exchange."""
        pair = ConnectionPair(bulk=True, tunnel=True)
        for body, token, why in (
            (None, b"h2c", "a tunnel that was not announced"),
            (None, b"WebSocket", "a tunnel that was not announced"),
            (b"", b"websocket", "a tunnel begins with null"),
            ({}, b"websocket", "a tunnel begins with null"),
        ):
            number = pair.guest.last + 1
            message = request(number, body, tunnel=token)
            self.assert_violation(pair.guest, pair.to_guest(message.frame()), number, why)
            self.local_error(why, pair.proxy.send, message)


class AnswerTests(TunnelTestCase):
    def test_what_accepts(self) -> None:
        """Any 2xx that has no body here: with null in frames, with a dictionary elsewhere."""
        for status in (199, 200, 299, 300):
            good = 200 <= status < 300
            self.assertIs(accepted(status, Event.STREAM), Event.STREAM if good else None)
            self.assertIs(accepted(status, Event.BULK), Event.DIRECT if good else None)
            self.assertIsNone(accepted(status, Event.WHOLE))

    def test_refused(self) -> None:
        """Any other response makes it an exchange like any other."""
        for status, body in ((404, b""), (200, b""), (200, b"no"), (403, None), (300, None)):
            pair = self.asked()
            pair.guest.send(response(1, body, status))
            pair.settle()
            for end in (pair.guest, pair.proxy):
                if body is None:
                    self.assertIsNone(end.exchanges[1].tunnel)
                else:
                    self.assertEqual({}, end.exchanges)
            if body is None:
                pair.guest.end_body(1, [(b"a", b"b")])
                pair.settle()
                self.assertEqual({}, pair.proxy.exchanges)

    def test_interim(self) -> None:
        """A response that is not the final one decides nothing."""
        pair = self.asked()
        pair.guest.send(response(1, status=103))
        pair.settle()
        self.assertEqual("asked", str(pair.proxy.exchanges[1].tunnel))

    def test_framed(self) -> None:
        """Accepted with null, it is frames under credit, until both halves have ended."""
        pair = self.framed()
        self.assertEqual(0, pair.proxy.write_body(1, b"from the client"))
        self.assertEqual(0, pair.guest.write_body(1, b"from the guest"))
        pair.settle()
        self.assertEqual([m.Body(1, b"from the client")], pair.take(GUEST))
        self.assertEqual([m.Body(1, b"from the guest")], pair.take(PROXY))
        pair.guest.end_body(1)
        pair.settle()
        self.assertIn(1, pair.guest.exchanges)
        self.assertIn(1, pair.proxy.exchanges)
        self.assertEqual(0, pair.proxy.write_body(1, b"more"))
        pair.proxy.end_body(1)
        pair.settle()
        self.assertEqual({}, pair.guest.exchanges | pair.proxy.exchanges)

    def test_the_client_ends_first(self) -> None:
        """The end of the request's half ends that alone, even before the answer."""
        pair = self.asked()
        pair.proxy.end_body(1)
        pair.settle()
        pair.guest.send(response(1, None))
        pair.guest.write_body(1, b"goes on")
        pair.settle()
        self.assertEqual(m.Body(1, b"goes on"), pair.take(PROXY)[-1])
        pair.guest.end_body(1)
        pair.settle()
        self.assertEqual({}, pair.guest.exchanges | pair.proxy.exchanges)

    def test_no_trailers(self) -> None:
        pair = self.framed()
        why = "a tunnel has no trailers"
        self.local_error(f"exchange 1: {why}", pair.guest.end_body, 1, [(b"a", b"b")])
        events = pair.to_proxy([b"end", 1, [[b"a", b"b"]]])
        self.assert_violation(pair.proxy, events, 1, why)

    def test_direct(self) -> None:
        """Accepted with a dictionary, no byte of either half is in a frame."""
        pair = self.asked()
        self.assertEqual(5, pair.proxy.write_body(1, b"early"))
        pair.guest.send(response(1, {}))
        pair.settle()
        for end in (pair.guest, pair.proxy):
            self.assertEqual([Half.RAW] * 2, [end.exchanges[1].ours, end.exchanges[1].theirs])
            self.local_error("exchange 1: no body when RAW", end.write_body, 1, b"x")
            self.local_error("exchange 1: no move when it is direct, RAW", end.move_body, 1)
        self.assertEqual([b"early"], pair.proxy.take_unsent(1))
        pair.proxy.send(m.Connect(1, TOKEN))
        pair.proxy.end_body(1, [], {b"length": 5})
        pair.guest.end_body(1, [], {b"length": 0})
        pair.settle()
        self.assertEqual({}, pair.guest.exchanges | pair.proxy.exchanges)

    def test_direct_when_the_request_has_ended(self) -> None:
        """A half that is over has nothing to move."""
        pair = self.asked()
        pair.proxy.end_body(1)
        pair.settle()
        pair.guest.send(response(1, {}))
        pair.settle()
        self.assertIs(Half.DONE, pair.proxy.exchanges[1].ours)
        self.local_error("exchange 1 is DONE, not raw", pair.proxy.take_unsent, 1)
        pair.guest.end_body(1, [], {b"length": 7})
        pair.settle()
        self.assertEqual({}, pair.guest.exchanges | pair.proxy.exchanges)

    def test_direct_with_an_end_that_waits(self) -> None:
        """It is said again, with the length."""
        pair = self.asked()
        pair.proxy.write_body(1, b"early")
        pair.proxy.end_body(1)
        pair.guest.send(response(1, {}))
        pair.settle()
        self.assertEqual([b"early"], pair.proxy.take_unsent(1))
        self.local_error("exchange 1: length is missing", pair.proxy.end_body, 1)
        pair.proxy.end_body(1, [], {b"length": 5})
        pair.settle()
        self.assertEqual(m.End(1, [], {b"length": 5}), pair.take(GUEST)[-1])

    def test_direct_after_credit(self) -> None:
        """Who has granted credit has chosen frames."""
        why = "a dictionary after credit was granted"
        pair = self.asked()
        pair.guest.consumed(1, 0)
        self.local_error(why, pair.guest.send, response(1, {}))
        pair.settle()
        events = pair.to_proxy(response(1, {}).frame())
        self.assert_violation(pair.proxy, events[1:], 1, why)

    def test_direct_without_data_connections(self) -> None:
        pair = self.asked(bulk=False)
        why = "data connections were not offered"
        self.local_error(why, pair.guest.send, response(1, {}))
        events = pair.to_proxy(response(1, {}).frame())
        self.assert_violation(pair.proxy, events, 1, why)

    def test_a_second_answer(self) -> None:
        """It is an error, and the tunnel that there is goes on where we made it."""
        pair = self.framed()
        self.local_error(
            "exchange 1: no WHOLE when STREAMING", pair.guest.send, response(1, b"", 404)
        )
        self.assertEqual("framed", str(pair.guest.exchanges[1].tunnel))


class MoveTests(TunnelTestCase):
    def test_move(self) -> None:
        """Each half says how much of it went in frames, then ends with the length of all."""
        pair = self.framed()
        pair.guest.write_body(1, b"123")
        pair.guest.write_body(1, b"45")
        pair.proxy.write_body(1, b"12")
        pair.proxy.write_body(1, b"3")
        pair.settle()
        pair.proxy.send(m.Connect(1, TOKEN))
        pair.settle()
        pair.take(GUEST)
        pair.take(PROXY)
        self.assertEqual([], pair.guest.move_body(1))
        self.assertEqual([], pair.proxy.move_body(1))
        pair.settle()
        self.assertEqual([m.Move(1, 5)], pair.take(PROXY))
        self.assertEqual([m.Move(1, 3)], pair.take(GUEST))
        for end in (pair.guest, pair.proxy):
            self.assertEqual([Half.RAW] * 2, [end.exchanges[1].ours, end.exchanges[1].theirs])
            self.local_error("exchange 1: no move when it is moving, RAW", end.move_body, 1)
        pair.guest.end_body(1, [], {b"length": 500})
        pair.proxy.end_body(1, [], {b"length": 3})
        pair.settle()
        self.assertEqual({}, pair.guest.exchanges | pair.proxy.exchanges)

    def test_what_waits_for_credit(self) -> None:
        """It is the first that goes over the data connection, to the byte."""
        pair = self.offered()
        window = pair.guest.peer_limits.window
        data = bytes(range(256)) * (window // 256)
        self.assertEqual(100, pair.guest.write_body(1, data + data[:100]))
        self.assertEqual(3, pair.guest.write_body(1, b"end") - 100)
        pair.guest.end_body(1)
        pieces = pair.guest.move_body(1)
        self.assertEqual(data[:100] + b"end", b"".join(pieces))
        self.assertEqual(0, pair.guest.pending(1))
        frames = pair.said(GUEST)
        self.assertEqual(data, b"".join(bodies(frames)))
        self.assertEqual([b"move", 1, window], frames[-1])
        pair.guest.end_body(1, [], {b"length": window + 103})
        self.assertEqual([[b"end", 1, [], {b"length": window + 103}]], pair.said(GUEST))

    def test_credit_after_move(self) -> None:
        """It crossed with the move, means nothing, and is never too much."""
        pair = self.offered()
        pair.guest.move_body(1)
        pair.guest.data_to_send()
        self.assertEqual([], pair.to_guest([b"credit", 1, 2**31 - 1], [b"credit", 1, 2**31 - 1]))
        self.assertIn(1, pair.guest.exchanges)
        self.assertEqual([], pair.said(GUEST))

    def test_it_is_said_behind_what_was_said(self) -> None:
        pair = self.offered()
        pair.guest.send(m.Pong(b"1"))
        pair.guest.move_body(1)
        self.assertEqual([b"pong", b"move"], [frame[0] for frame in pair.said(GUEST)])

    def test_no_credit_after_move(self) -> None:
        """Nobody grants any for a half that has moved."""
        pair = self.offered()
        pair.guest.move_body(1)
        pair.settle()
        pair.proxy.consumed(1, 65_536)
        self.assertEqual([], pair.said(PROXY))

    def test_one_half_has_ended(self) -> None:
        """A half that has ended does not move; the other one does."""
        pair = self.framed()
        pair.guest.end_body(1)
        pair.proxy.send(m.Connect(1, TOKEN))
        pair.settle()
        self.local_error("exchange 1: no move when it is offered, DONE", pair.guest.move_body, 1)
        pair.proxy.move_body(1)
        pair.proxy.end_body(1, [], {b"length": 9})
        pair.settle()
        self.assertEqual({}, pair.guest.exchanges | pair.proxy.exchanges)

    def test_before_connect(self) -> None:
        """Nobody moves before the proxy has offered a connection, nor before it is a tunnel."""
        for pair, state in ((self.asked(), "asked"), (self.framed(), "framed")):
            why = f"no move is allowed when it is {state}"
            self.assert_violation(pair.proxy, pair.to_proxy([b"move", 1, 0]), 1, why)
        pair = self.framed()
        self.local_error(
            "exchange 1: no move when it is framed, STREAMING", pair.guest.move_body, 1
        )

    def test_connect(self) -> None:
        """It may come again until somebody moves, and not before it is a tunnel."""
        pair = self.asked()
        why = "exchange 1: no connect when it is asked"
        self.local_error(why, pair.proxy.send, m.Connect(1, TOKEN))
        events = pair.to_guest([b"connect", 1, TOKEN])
        self.assert_violation(pair.guest, events, 1, "no connect is allowed when it is asked")
        pair = self.offered()
        self.assertEqual([m.Connect(1, TOKEN)], pair.to_guest([b"connect", 1, TOKEN]))
        pair.guest.move_body(1)
        pair.settle()
        why = "exchange 1: no connect when it is moving"
        self.local_error(why, pair.proxy.send, m.Connect(1, TOKEN))

    def test_connect_that_was_overtaken(self) -> None:
        """The guest moved by an earlier offer; its claim was answered on another connection."""
        pair = self.offered()
        pair.guest.move_body(1)
        self.assertEqual([m.Connect(1, TOKEN)], pair.to_guest([b"connect", 1, TOKEN]))
        tunnel = pair.guest.exchanges[1].tunnel
        assert tunnel is not None
        self.assertIs(tunnel.state, Tunnel.MOVING)

    def test_frames_after_move(self) -> None:
        pair = self.offered()
        self.assertEqual([m.Move(1, 0)], pair.to_proxy([b"move", 1, 0]))
        events = pair.to_proxy([b"body", 1, b"x"])
        self.assert_violation(pair.proxy, events, 1, "no body is allowed when raw")

    def test_moved_twice(self) -> None:
        pair = self.offered()
        events = pair.to_proxy([b"move", 1, 0], [b"move", 1, 0])
        self.assert_violation(pair.proxy, events[1:], 1, "no move is allowed when raw")

    def test_wrong_lengths(self) -> None:
        """What move and end tell must be so."""
        frames: tuple[list[object], ...] = ([b"body", 1, b"abc"],)
        for last, why in (
            ([b"move", 1, 2], "move tells of another length"),
            ([b"move", 1, 4], "move tells of another length"),
            ([b"end", 1, [], {}], "length is missing"),
            ([b"end", 1], "length is missing"),
            ([b"end", 1, [], {b"length": 2}], "length is less than what went in frames"),
            ([b"end", 1, [], {b"length": -1}], f"length: -1 is not between 0 and {2**53 - 1}"),
            ([b"end", 1, [], {b"length": b"3"}], "length: an integer is missing"),
        ):
            pair = self.offered()
            before = frames if last[0] == b"move" else (*frames, [b"move", 1, 3])
            events = pair.to_proxy(*before, last)
            self.assert_violation(pair.proxy, events[len(before) :], 1, why)

    def test_the_end_that_we_say(self) -> None:
        pair = self.offered()
        pair.guest.write_body(1, b"abc")
        pair.guest.move_body(1)
        for info, why in (
            ({}, "length is missing"),
            ({b"length": 2}, "length is less than what went in frames"),
        ):
            self.local_error(f"exchange 1: {why}", pair.guest.end_body, 1, [], info)
        pair.guest.end_body(1, [], {b"length": 3})

    def test_move_of_others(self) -> None:
        """Of an exchange that is no tunnel it is an error of that; of none, of the connection."""
        pair = self.offered()
        pair.proxy.send(request(2, None))
        pair.settle()
        self.local_error("use move_body", pair.guest.send, m.Move(2, 0))
        self.local_error(
            "exchange 2: no move when it is no tunnel, STREAMING", pair.proxy.move_body, 2
        )
        events = pair.to_proxy([b"move", 2, 0])
        self.assert_violation(pair.proxy, events, 2, "no move is allowed when it is no tunnel")
        self.assertEqual([], pair.to_proxy([b"move", 2, 0]))
        self.assertIn(1, pair.proxy.exchanges)

    def test_abort(self) -> None:
        """It ends both halves, wherever they are."""
        pair = self.offered()
        pair.guest.move_body(1)
        pair.guest.send(m.Abort(1, b"error"))
        pair.settle()
        self.assertEqual({}, pair.guest.exchanges | pair.proxy.exchanges)
        pair.to_guest([b"move", 1, 0], [b"body", 1, b"x"])
        self.assertEqual([], pair.said(GUEST))
