"""Tunnels of HTTP/2 that are open: what passes, what waits, and how they end."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http2.bounds import STREAM_WINDOW
from subproxy.frontend.http2.frames import END_STREAM, ErrorCode, FrameType, write_frame
from subproxy.frontend.limits import HttpLimits
from subproxy.wire import messages as m
from tests.rigs.examples import examples
from tests.rigs.http2_client import GET
from tests.rigs.http2_tunnels import PATHS, StreamLine, StreamTunnelCase, accept


class StreamPassingTests(StreamTunnelCase):
    def test_both_ways(self) -> None:
        for fast in PATHS:
            line = self.opened(fast)
            line.send(b"hello")
            self.assertEqual(line.told(), [[b"body", 1, b"hello"]])
            line.say(m.Body(1, b"\x81\x05there"))
            self.assertEqual(line.client.bodies[1], b"\x81\x05there")
            line.say(m.Body(1, b"x" * 40_000))
            self.assertEqual(line.client.bodies[1][7:], b"x" * 40_000)
            self.assertEqual(line.told()[0][:2], [b"credit", 1])

    def test_what_the_guest_does_not_take(self) -> None:
        """It waits, and the window of the stream does: nothing is lost, nothing piles up."""
        for fast in PATHS:
            line = self.opened(fast)
            line.send(b"x" * 10)
            line.send(b"y" * 60_000)
            self.assertEqual(line.told(), [[b"body", 1, b"x" * 10]])
            self.assertEqual(line.window, STREAM_WINDOW - 60_010)
            line.say(m.Credit(1, 100_000))
            self.assertEqual(b"".join(frame[2] for frame in line.told()), b"y" * 60_000)
            self.assertGreaterEqual(line.window, STREAM_WINDOW)

    def test_what_the_client_does_not_take(self) -> None:
        """The guest has its window, and no more; nobody keeps the client to a pace."""
        for fast in PATHS:
            line = self.opened(
                fast, window=False, limits=HttpLimits(body_rate=1000, body_grace=1.0)
            )
            line.say(m.Body(1, b"x" * 65_535))
            line.say(m.Body(1, b"y" * 60_000))
            line.told()
            line.later(60)
            self.assertEqual(line.told(), [])
            self.assertEqual(line.client.bodies[1], b"x" * 65_535)
            line.client.h2.acknowledge_received_data(65_535, 1)
            line.turn()
            self.assertEqual(line.client.bodies[1], b"x" * 65_535 + b"y" * 60_000)
            self.assertEqual(line.told()[0][:2], [b"credit", 1])

    def test_what_comes_before_the_answer(self) -> None:
        """It waits for that, in its order."""
        for fast in PATHS:
            for ended in (False, True):
                line = self.line(fast)
                line.ask()
                line.send(b"early")
                line.send(b" data", ended)
                [frame] = line.told()
                self.assertEqual(frame[0], b"request")
                self.assertEqual(
                    line.window if not ended else STREAM_WINDOW - 10, STREAM_WINDOW - 10
                )
                line.say(accept(), m.Credit(1, 100))
                if not ended:
                    line.send(b" and more")
                data = b"early data" if ended else b"early data and more"
                told = line.told()
                self.assertEqual(b"".join(f[2] for f in told if f[0] == b"body"), data)
                self.assertEqual(told[-1][0] == b"end", ended)

    def test_requests_beside_it(self) -> None:
        for fast in PATHS:
            line = self.opened(fast)
            line.ask(GET, True, 3)
            line.say(m.Body(1, b"a"), m.Response(2, 200, [], {}, b"answer"), m.Body(1, b"b"))
            self.assertEqual(line.client.bodies, {1: b"ab", 3: b"answer"})


class StreamEndTests(StreamTunnelCase):
    def test_the_client_first(self) -> None:
        for fast in PATHS:
            line = self.opened(fast)
            line.send(b"bye", ended=True)
            self.assertEqual(line.told(), [[b"body", 1, b"bye"], [b"end", 1, [], {}]])
            line.say(m.Body(1, b"more"))
            self.assertEqual((line.client.bodies[1], line.seen()), (b"more", []))
            self.assertEqual(line.lines(), [])
            line.say(m.End(1))
            self.assertEqual(line.seen(), ["end"])
            [logged] = line.lines()
            self.assertIn(b" 200 4 ", logged)
            self.assertEqual(len(line.side.guest.subscription.channel), 0)

    def test_the_guest_first(self) -> None:
        for fast in PATHS:
            line = self.opened(fast)
            line.say(m.End(1))
            self.assertEqual(line.seen(), ["end"])
            self.assertEqual(line.lines(), [])
            line.send(b"more")
            self.assertEqual(line.told(), [[b"body", 1, b"more"]])
            line.later(2)
            line.send(b"", ended=True)
            self.assertEqual(line.told(), [[b"end", 1, [], {}]])
            self.assertEqual(len(line.lines()), 1)
            self.assertEqual(len(line.side.guest.subscription.channel), 0)
            line.ask(GET, True, 3)
            self.assertEqual(line.told()[0][:2], [b"request", 2])

    def test_an_end_behind_what_the_client_does_not_take(self) -> None:
        for fast in PATHS:
            line = self.opened(fast, window=False)
            line.say(m.Body(1, b"x" * 65_535))
            line.say(m.Body(1, b"y" * 1000), m.End(1))
            line.send(b"", ended=True)
            self.assertEqual(line.lines(), [])
            line.client.h2.acknowledge_received_data(65_535, 1)
            line.turn()
            self.assertEqual(line.client.bodies[1], b"x" * 65_535 + b"y" * 1000)
            self.assertEqual(line.seen(), ["end"])
            self.assertEqual(len(line.lines()), 1)

    def test_the_client_resets(self) -> None:
        """The guest is told at once."""
        for fast in PATHS:
            line = self.opened(fast)
            line.client.h2.reset_stream(1, ErrorCode.CANCEL)
            line.turn()
            [abort] = line.told()
            self.assertEqual(abort[:3], [b"abort", 1, b"client"])
            self.assertEqual(len(line.lines()), 1)

    def test_the_client_is_gone(self) -> None:
        for fast in PATHS:
            line = self.opened(fast)
            line.protocol.connectionLost(Failure(ConnectionDone()))
            [abort] = line.told()
            self.assertEqual(abort[:3], [b"abort", 1, b"client"])

    def test_the_guest_gives_up(self) -> None:
        """The client sees a break, not an end: CANCEL, as RFC 8441 section 5 has it."""
        for fast in PATHS:
            for ended in (False, True):
                line = self.opened(fast)
                if ended:
                    line.say(m.End(1))
                line.say(m.Abort(1, b"error", b"broke"))
                self.assertEqual(line.seen()[-1], ("reset", ErrorCode.CANCEL))
                self.assertEqual(len(line.lines()), 1)

    def test_the_guest_is_gone(self) -> None:
        for fast in PATHS:
            line = self.opened(fast)
            line.side.guest_gone = True
            line.side.guest.connectionLost(Failure(ConnectionDone()))
            line.turn()
            self.assertEqual(line.seen(), [("reset", ErrorCode.CANCEL)])

    def test_trailers(self) -> None:
        """There are none in a tunnel (RFC 9113 section 8.5)."""
        for fast in PATHS:
            line = self.opened(fast)
            line.client.h2.send_headers(1, [(b"x", b"y")], end_stream=True)
            line.turn()
            self.assertEqual(line.seen(), [("reset", ErrorCode.PROTOCOL_ERROR)])
            self.assertEqual(line.told()[0][:3], [b"abort", 1, b"client"])

    def test_idle(self) -> None:
        """One clock for both directions; the connection goes on."""
        for fast in PATHS:
            line = self.opened(fast, limits=HttpLimits(tunnel_idle=10.0))
            line.later(8)
            line.send(b"a")
            line.later(8)
            line.say(m.Body(1, b"b"))
            line.later(8)
            self.assertEqual(line.seen(), [])
            line.told()
            line.later(4)
            self.assertEqual(line.seen(), [("reset", ErrorCode.CANCEL)])
            self.assertEqual(line.told()[0][:3], [b"abort", 1, b"timeout"])
            [counters] = line.side.counters.routes.values()
            self.assertEqual(counters.statuses, {200: 1})
            line.ask(GET, True, 3)
            self.assertEqual(line.told()[0][:2], [b"request", 2])

    def test_no_answer(self) -> None:
        """As of any request."""
        for fast in PATHS:
            line = self.line(fast, limits=HttpLimits(response_timeout=5.0, tunnel_idle=1.0))
            line.ask()
            line.later(6)
            self.assertEqual(line.client.status(1), b"504")

    def test_a_stop_leaves_it(self) -> None:
        """The client is told to open nothing more, and the tunnel goes on."""
        for fast in PATHS:
            line = self.opened(fast)
            line.side.factory.drain()
            line.later(5)
            # python's h2 sends nothing behind a GOAWAY.
            line.protocol.dataReceived(write_frame(FrameType.DATA, 0, 1, b"a"))
            line.turn()
            self.assertEqual(line.told(), [[b"body", 1, b"a"]])
            self.assertFalse(line.transport.disconnecting)
            line.protocol.dataReceived(write_frame(FrameType.DATA, END_STREAM, 1))
            line.say(m.End(1))
            line.later(5)
            self.assertTrue(line.transport.disconnecting)


class AnyTunnelTests(SynchronousTestCase):
    @settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(["send", "body"]), st.integers(1, 20_000)),
                st.tuples(st.just("credit"), st.integers(1, 70_000)),
                st.tuples(
                    st.sampled_from(["accept", "client ends", "guest ends", "wait", "open window"]),
                    st.just(0),
                ),
            ),
            max_size=16,
        ),
        st.booleans(),
    )
    def test_nothing_is_lost(self, steps: list[tuple[str, int]], window: bool) -> None:
        """What one side sends is what the other gets, in order, behind either connection."""
        found = [self.played(fast, steps, window) for fast in PATHS]
        self.assertEqual(found[0], found[-1])

    def played(self, fast: bool, steps: list[tuple[str, int]], window: bool) -> tuple[Any, ...]:
        line = StreamLine(fast, window)
        line.ask()
        line.told()
        sent, said, got, granted = b"", b"", b"", 0
        accepted = client_ended = guest_ended = told_end = False
        for what, size in steps:
            data = bytes([size % 251]) * size
            if what == "send" and not client_ended and size <= line.window:
                sent += data
                line.send(data)
            elif what == "body" and accepted and not guest_ended and len(said) + size <= 65_536:
                said += data
                line.say(m.Body(1, data))
            elif what == "credit" and not told_end:
                granted += size
                line.say(m.Credit(1, size))
            elif what == "accept" and not accepted:
                accepted = True
                line.say(accept())
            elif what == "client ends" and not client_ended:
                client_ended = True
                line.send(b"", ended=True)
            elif what == "guest ends" and accepted and not guest_ended:
                guest_ended = True
                line.say(m.End(1))
            elif what == "wait":
                line.later(1)
            elif what == "open window" and not window:
                window = line.client.window = True
                came = len(line.client.bodies.get(1, b""))
                if came:
                    line.client.h2.acknowledge_received_data(came, 1)
                line.turn()
            for frame in line.told():
                if frame[0] == b"body":
                    got += frame[2]
                elif frame[0] == b"end":
                    told_end = True
        if accepted:
            self.assertEqual(got, sent[:granted])
            self.assertEqual(told_end, client_ended and len(sent) <= granted)
            if window:
                self.assertEqual(line.client.bodies.get(1, b""), said)
                self.assertEqual("end" in line.seen(), guest_ended)
        else:
            self.assertEqual((got, told_end), (b"", False))
        seen = (got, told_end, line.client.told, line.client.bodies, len(line.lines()))
        line.close()
        return seen
