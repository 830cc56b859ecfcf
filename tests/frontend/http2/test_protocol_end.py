"""Tests of subproxy.frontend.http2.protocol: how a connection ends, as a client sees it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.errors import RequestTimeout
from subproxy.frontend.http2.bounds import MOST_STREAMS
from subproxy.frontend.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    PREFACE,
    ErrorCode,
    FrameType,
    write_frame,
)
from subproxy.frontend.http2.hpack import encode_fields
from subproxy.frontend.http2.protocol import LATE_AT_ONCE
from subproxy.frontend.limits import HttpLimits
from subproxy.telemetry.close_reason import CloseReason
from tests.rigs.http2_client import GET
from tests.rigs.http2_rig import Http2Rig, hello


class EndTests(SynchronousTestCase):
    def test_drain(self) -> None:
        """No GOAWAY while a stream is open; then one that covers all, and the real one."""
        rig = Http2Rig()
        rig.ask(1)
        drained: list[None] = []
        rig.factory.drain().addCallback(drained.append)
        rig.turn()
        self.assertEqual(rig.goaways, [])
        rig.guest.respond(200, [], b"late")
        rig.turn()
        self.assertEqual(rig.goaways, [])
        rig.later(0.5)
        self.assertEqual(rig.goaways, [(0, 0x7FFFFFFF)])
        rig.say(write_frame(FrameType.PING, ACK, 0, b"subproxy"))
        self.assertEqual(rig.goaways[-1], (0, 1))
        self.assertTrue(rig.closed)
        self.assertEqual(rig.protocol.close_reason, CloseReason.DRAINING)

    def test_a_request_that_was_on_its_way(self) -> None:
        """What the client sent before it heard is answered."""
        rig = Http2Rig()
        rig.protocol.close_if_idle()
        rig.later(0.5)
        self.assertEqual(rig.goaways, [(0, 0x7FFFFFFF)])
        block = encode_fields(GET)
        rig.say(write_frame(FrameType.HEADERS, END_STREAM | END_HEADERS, 1, block))
        rig.say(write_frame(FrameType.PING, ACK, 0, b"subproxy"))
        self.assertFalse(rig.closed)
        rig.guest.respond(200, [], b"")
        rig.turn()
        self.assertEqual(rig.goaways[-1], (0, 1))
        self.assertTrue(rig.closed)

    def test_a_stream_that_stays_open(self) -> None:
        """The client is told after a while, and the stream goes on."""
        rig = Http2Rig()
        rig.ask(1)
        rig.guest.respond(200, [], None)
        rig.protocol.close_if_idle()
        rig.later(2.5)
        self.assertEqual(rig.goaways, [])
        rig.later(1)
        self.assertEqual(rig.goaways, [(0, 0x7FFFFFFF)])
        self.assertFalse(rig.closed)

    def test_one_request_after_the_other(self) -> None:
        """Who asks again as soon as it has an answer is told when it has stopped, or after long."""
        for most, told in ((40, range(40, 41)), (500, range(370, 385))):
            rig = Http2Rig(hello, HttpLimits(requests=2))
            asked = 0
            while asked < most and not rig.goaways:
                rig.ask(1 + 2 * asked)
                rig.later(0.08)
                asked += 1
            self.assertIn(asked, told)
            rig.later(0.5)
            self.assertTrue(rig.goaways)

    def test_idle(self) -> None:
        """Told, and closed a second later; so is who has asked as often as it may."""
        rig = Http2Rig(hello, HttpLimits(keepalive_timeout=5))
        rig.ask(1)
        rig.later(4)
        self.assertEqual(rig.goaways, [])
        rig.later(3)
        self.assertEqual([last for _, last in rig.goaways], [0x7FFFFFFF, 1])
        self.assertEqual(rig.protocol.close_reason, CloseReason.KEEPALIVE_TIMEOUT)
        rig = Http2Rig(hello, HttpLimits(requests=2))
        rig.ask(1)
        rig.ask(3)
        rig.later(2)
        self.assertEqual([last for _, last in rig.goaways], [0x7FFFFFFF, 3])

    def test_slow_preface(self) -> None:
        """A preface, or a block of fields, that is not whole in time ends the connection."""
        for pieces in ((), (PREFACE[:10],)):
            rig = Http2Rig(greet=False)
            rig.say(*pieces)
            rig.later(11)
            self.assertTrue(rig.closed)
        rig = Http2Rig()
        rig.say(write_frame(FrameType.HEADERS, 0, 1, encode_fields(GET)))
        rig.later(11)
        self.assertTrue(rig.closed)
        self.assertEqual(rig.protocol.close_reason, CloseReason.HTTP2_ERROR)

    def test_slow_answers_and_bodies(self) -> None:
        """504 for a guest that does not answer, 408 for a body that does not come."""
        rig = Http2Rig()
        rig.ask(1)
        rig.later(61)
        self.assertEqual(rig.client.status(1), b"504")
        rig = Http2Rig()
        rig.upload(1, b"x", ended=False)
        rig.guest.exchange.resume_request()
        rig.later(12)
        self.assertEqual(rig.client.status(1), b"408")

    def test_a_conversation(self) -> None:
        """Behind the head of its answer a client may be silent, as those of gRPC are: until nothing
        passes either way."""
        rig = Http2Rig(limits=HttpLimits(tunnel_idle=100))
        rig.upload(1, b"x", ended=False)
        rig.guest.exchange.resume_request()
        rig.guest.respond(200, [], None)
        for _ in range(3):
            rig.later(80)
            rig.guest.data(b"y")
            rig.later(80)
            rig.send_data(1, b"x")
        rig.later(99)
        self.assertEqual((rig.guest.body, rig.client.bodies[1]), (b"xxxx", b"yyy"))
        self.assertIsNone(rig.guest.cancelled)
        rig.later(2)
        self.assertIsInstance(rig.guest.cancelled, RequestTimeout)

    def test_many_that_take_too_long(self) -> None:
        """Who asks is told of a few at a time, and whether there may be more, within one sweep."""
        rig = Http2Rig()
        for number in range(1, 21, 2):
            rig.ask(number)
        rig.clock.rightNow += 61
        logged = [0]
        while rig.protocol.deadline_passed(rig.clock.seconds()):
            logged.append(len(rig.log.exchanges))
        logged.append(len(rig.log.exchanges))
        self.assertEqual(logged, [0, LATE_AT_ONCE, 2 * LATE_AT_ONCE, 10])

    def test_the_client_leaves(self) -> None:
        """Its requests end, and are logged."""
        for leave in ("lose", "halfClose"):
            rig = Http2Rig()
            rig.ask(1)
            getattr(rig, leave)()
            self.assertEqual([each[1] for each in rig.log.exchanges], [499])
            self.assertIsNotNone(rig.guest.cancelled)

    def test_reset(self) -> None:
        """So does one that the client resets."""
        rig = Http2Rig()
        rig.ask(1)
        rig.client.h2.reset_stream(1)
        rig.turn()
        self.assertEqual([each[1] for each in rig.log.exchanges], [499])
        self.assertEqual(rig.protocol.busy, 0)

    def test_answers_before_an_error(self) -> None:
        """What was answered before the connection's error is sent; what was not is over."""
        rig = Http2Rig()
        rig.ask(1)
        rig.client.request(3, [*GET[:3], (b":authority", b"")])
        rig.protocol.dataReceived(rig.client.take() + write_frame(FrameType.PING, 0, 1, bytes(8)))
        rig.turn()
        self.assertEqual(rig.client.status(3), b"400")
        self.assertEqual(rig.client.told[3][-1], "end")
        self.assertEqual(rig.goaways, [(ErrorCode.PROTOCOL_ERROR, 3)])
        self.assertNotIn(1, rig.client.told)
        self.assertEqual([each[1] for each in rig.log.exchanges], [400, 499])
        self.assertEqual(rig.factory.active, 0)

    def test_answers_before_an_error_that_the_client_does_not_take(self) -> None:
        """They are not written to who takes nothing; the reason is."""
        rig = Http2Rig()
        rig.ask(1)
        rig.protocol.pauseProducing()
        rig.guest.respond(200, [], b"hello")
        rig.turn()
        rig.say(write_frame(FrameType.PING, 0, 1, bytes(8)))
        self.assertEqual(rig.goaways, [(ErrorCode.PROTOCOL_ERROR, 1)])
        self.assertNotIn(1, rig.client.told)
        self.assertEqual(rig.factory.active, 0)

    def test_more_streams_than_there_may_be(self) -> None:
        """They are refused, which means that nothing was done."""
        rig = Http2Rig()
        block = encode_fields(GET)
        for each in range(MOST_STREAMS + 1):
            rig.protocol.dataReceived(write_frame(FrameType.HEADERS, 5, 1 + 2 * each, block))
        refused = write_frame(FrameType.RST_STREAM, 0, 2 * MOST_STREAMS + 1, b"\0\0\0\7")
        self.assertIn(refused, rig.received())
        self.assertEqual(len(rig.dispatcher.guests), MOST_STREAMS)
        self.assertEqual(rig.factory.active, MOST_STREAMS)

    def test_abort(self) -> None:
        """The frontend stops at once."""
        rig = Http2Rig()
        rig.ask(1)
        rig.protocol.abort()
        self.assertTrue(rig.transport.aborted)
