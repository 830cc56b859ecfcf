"""Tests of subproxy.frontend.http2.protocol, requests and served_request: what a client sees."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.errors import Unavailable
from subproxy.frontend.http2.bounds import CONNECTION_WINDOW, STREAM_WINDOW
from subproxy.frontend.http2.frames import (
    END_STREAM,
    ErrorCode,
    FrameType,
    write_frame,
    write_settings,
)
from subproxy.frontend.http2.hpack import encode_fields
from subproxy.frontend.limits import HttpLimits
from tests.rigs.http2_client import GET, POST
from tests.rigs.http2_rig import Http2Rig, hello


class AnswerTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """A request and its answer; the guest sees the version, the log too."""
        rig = Http2Rig(hello)
        rig.ask(1, [*GET, (b"cookie", b"a=b"), (b"x", b"y"), (b"cookie", b"c=d")])
        self.assertEqual(rig.client.bodies[1], b"hello")
        head = rig.client.head(1)
        self.assertEqual(head[b":status"], b"200")
        self.assertEqual(head[b"content-length"], b"5")
        self.assertIn(b"date", head)
        request = rig.guest.exchange.request
        self.assertEqual((request.version, request.host), (b"2", b"a.example"))
        self.assertIn((b"cookie", b"a=b; c=d"), request.headers)
        self.assertIn((b"Via", b"2 subproxy"), request.headers)
        self.assertEqual(rig.log.exchanges[0][1], 200)

    def test_streamed(self) -> None:
        """Both bodies at once; credit follows what the client takes; trailers end the answer."""
        rig = Http2Rig()
        rig.upload(1, b"up", ended=False)
        guest = rig.guest
        guest.exchange.resume_request()
        rig.turn()
        self.assertEqual(guest.body, b"up")
        guest.respond(200, [], None)
        guest.data(b"down")
        rig.turn()
        self.assertEqual((rig.client.bodies[1], guest.credit), (b"down", 4))
        rig.send_data(1, b" more", ended=True)
        self.assertEqual((guest.body, guest.ended), (b"up more", []))
        guest.end([(b"X-Sum", b"1")])
        rig.turn()
        self.assertEqual(rig.client.told[1][-2:], [("trailers", [(b"x-sum", b"1")]), "end"])

    def test_interim(self) -> None:
        """Early hints, and 100 where it was asked for."""
        rig = Http2Rig()
        fields = [*POST, (b"expect", b"100-continue"), (b"content-length", b"4")]
        rig.ask(1, fields, ended=False)
        rig.guest.interim(103, [(b"Link", b"x")])
        rig.guest.exchange.resume_request()
        rig.turn()
        heads = [dict(what[1])[b":status"] for what in rig.client.told[1]]
        self.assertEqual(heads, [b"103", b"100"])

    def test_bodiless(self) -> None:
        """HEAD, 204 and 304 end with their head."""
        rig = Http2Rig()
        rig.ask(1, [(b":method", b"HEAD"), *GET[1:]])
        rig.guest.respond(200, [(b"Content-Length", b"9")], None)
        rig.ask(3)
        rig.guest.respond(304, [], b"ignored")
        rig.turn()
        self.assertEqual(rig.client.head(1)[b"content-length"], b"9")
        for number in (1, 3):
            self.assertEqual(rig.client.told[number][-1], "end")
            self.assertNotIn(number, rig.client.bodies)

    def test_error_pages(self) -> None:
        """Overload is 503; a client of gRPC is told what its library tries again after."""
        rig = Http2Rig()
        rig.ask(1)
        rig.guest.exchange.fail(Unavailable())
        rig.ask(3, [*GET, (b"content-type", b"application/grpc+proto")])
        rig.guest.exchange.fail(Unavailable())
        rig.turn()
        self.assertEqual(rig.client.status(1), b"503")
        self.assertEqual(rig.client.status(3), b"200")
        self.assertEqual(rig.client.head(3)[b"grpc-status"], b"14")
        self.assertEqual(rig.client.told[3][-1], "end")

    def test_truncated(self) -> None:
        """An answer that can't be completed ends by a reset."""
        rig = Http2Rig()
        rig.ask(1)
        rig.guest.respond(200, [(b"Content-Length", b"9")], None)
        rig.guest.data(b"four")
        rig.guest.exchange.fail(Unavailable())
        rig.turn()
        self.assertEqual(rig.client.told[1][-1], ("reset", ErrorCode.INTERNAL_ERROR))

    def test_a_head_that_the_client_does_not_take(self) -> None:
        """It said how large a list may be: a larger one is the guest's fault."""
        rig = Http2Rig()
        rig.say(write_settings({6: 1000}))  # type: ignore[dict-item]
        rig.ask(1)
        rig.guest.respond(200, [(b"X", b"y" * 900)], b"")
        rig.turn()
        self.assertEqual(rig.client.status(1), b"502")

    def test_options_asterisk(self) -> None:
        """The proxy answers for itself."""
        rig = Http2Rig()
        rig.ask(1, [(b":method", b"OPTIONS"), (b":path", b"*"), GET[1], GET[3]])
        self.assertEqual(rig.client.status(1), b"200")
        self.assertEqual(rig.dispatcher.guests, [])


class BodyTests(SynchronousTestCase):
    def test_small_ones_ride_along(self) -> None:
        """Whole ones are given to the guest whole, whether or not their length was told."""
        rig = Http2Rig(hello)
        rig.upload(1, b"body")
        self.assertEqual(rig.guest.exchange.body, b"body")
        rig.client.request(3, [*POST, (b"content-length", b"8")], False)
        rig.turn()
        self.assertEqual(len(rig.dispatcher.guests), 1)
        rig.send_data(3, b"half")
        rig.send_data(3, b"half", ended=True)
        self.assertEqual(rig.guest.exchange.body, b"halfhalf")

    def test_windows_follow_the_guest(self) -> None:
        """What the guest does not take fills the window, and no more comes; then it opens."""
        rig = Http2Rig()
        rig.upload(1, b"x" * 16384, ended=False)
        for _ in range(3):
            rig.send_data(1, b"x" * 16384)
        self.assertEqual(rig.client.h2.local_flow_control_window(1), 0)
        rig.guest.exchange.resume_request()
        rig.turn()
        self.assertEqual(len(rig.guest.body), STREAM_WINDOW)
        # It was taken as it came: it may be more.
        self.assertEqual(rig.client.h2.local_flow_control_window(1), 2 * STREAM_WINDOW)
        rig.guest.exchange.pause_request()
        rig.send_data(1, b"y" * 10)
        self.assertEqual(len(rig.guest.body), STREAM_WINDOW)
        rig.guest.exchange.resume_request()
        self.assertEqual(len(rig.guest.body), STREAM_WINDOW + 10)

    def test_length(self) -> None:
        """More data than the length, or less, is malformed: nothing of it is answered."""
        for data, ended in ((b"toolong", False), (b"too", True)):
            rig = Http2Rig(hello)
            rig.client.h2.config.validate_outbound_headers = False
            rig.client.request(1, [*POST, (b"content-length", b"5")], False)
            rig.turn()
            rig.say(write_frame(FrameType.DATA, END_STREAM if ended else 0, 1, data))
            self.assertEqual(rig.client.told[1], [("reset", ErrorCode.PROTOCOL_ERROR)])

    def test_early_answer(self) -> None:
        """It arrives whole; what comes behind is thrown away; the stream is reset much later."""
        rig = Http2Rig()
        rig.ask(1, [*POST, (b"content-length", b"1000000")], ended=False)
        rig.guest.respond(413, [], b"no")
        rig.turn()
        self.assertEqual(rig.client.told[1][-1], "end")
        self.assertEqual(rig.log.exchanges[0][1], 413)
        for _ in range(10):
            rig.say(write_frame(FrameType.DATA, 0, 1, b"x" * 16384))
            rig.later(1)
        self.assertEqual(rig.protocol.connection.counts.open, 1)
        self.assertEqual(rig.protocol.connection.streams[1].held, 0)
        rig.later(4)
        self.assertEqual(rig.protocol.connection.counts.open, 0)
        self.assertEqual(rig.protocol.connection.streams, {})

    def test_the_rest_of_a_body(self) -> None:
        """
        It ends behind an early answer: the stream is over, without a reset, and who looks for that
        only when something comes is told something.
        """
        rig = Http2Rig()
        for number in range(1, 1001, 2):
            rig.ask(number, POST, ended=False)
            rig.guest.respond(200, [], b"early")
            rig.turn()
            if number % 4 == 1:
                rig.send_data(number, b"x" * number, ended=True)
            else:
                rig.client.h2.send_headers(number, [(b"x-sum", b"1")], end_stream=True)
                rig.turn()
            self.assertEqual(rig.protocol.served, {})
        self.assertEqual(rig.protocol.connection.streams, {})
        self.assertEqual(rig.guest.body, b"")
        self.assertLessEqual(rig.protocol.connection.counts.left, CONNECTION_WINDOW + 1)
        rig.later(20)
        told = [each for number in range(1, 1001, 2) for each in rig.client.told[number]]
        self.assertEqual({each[0] for each in told if each != "end"}, {"head"})
        self.assertEqual(rig.goaways, [])

    def test_what_is_told_at_its_end(self) -> None:
        """That its bytes may come again; if none did, that one may, which is taken off later."""
        rig = Http2Rig()
        for number, size, more in ((1, 5, 5), (3, 0, 1), (5, 0, 1), (7, 5, 3), (9, 1, 1)):
            rig.ask(number, POST, ended=False)
            rig.guest.respond(200, [], b"early")
            rig.turn()
            rig.protocol.dataReceived(write_frame(FrameType.DATA, END_STREAM, number, bytes(size)))
            rig.clock.advance(0)
            want = write_frame(FrameType.WINDOW_UPDATE, 0, 0, more.to_bytes(4, "big"))
            self.assertEqual(rig.received(), want)

    def test_curl_ends_its_upload_early(self) -> None:
        """An empty end behind an early answer, far below the length, is no error."""
        rig = Http2Rig()
        rig.ask(1, [*POST, (b"content-length", b"1000000")], ended=False)
        rig.guest.respond(200, [], b"enough")
        rig.turn()
        rig.say(write_frame(FrameType.DATA, END_STREAM, 1))
        self.assertEqual(rig.protocol.connection.counts.open, 0)
        rig.ask(3)
        rig.guest.respond(200, [], b"fine")
        rig.turn()
        self.assertEqual(rig.client.bodies[3], b"fine")
        self.assertEqual(rig.goaways, [])

    def test_too_large(self) -> None:
        """413, told or not."""
        rig = Http2Rig(limits=HttpLimits(body=10))
        rig.ask(1, [*POST, (b"content-length", b"11")], ended=False)
        self.assertEqual(rig.client.status(1), b"413")
        rig.upload(3, b"x" * 6, ended=False)
        rig.send_data(3, b"x" * 6)
        self.assertEqual(rig.client.status(3), b"413")
        self.assertIsNotNone(rig.guest.cancelled)
        asked = len(rig.dispatcher.guests)
        rig.upload(5, b"x" * 11)
        self.assertEqual(rig.client.status(5), b"413")
        self.assertEqual(len(rig.dispatcher.guests), asked)

    def test_trailers(self) -> None:
        """They go to the guest; what is no trailer does not, and pseudo fields are malformed."""
        rig = Http2Rig()
        rig.upload(1, b"x", ended=False)
        rig.guest.exchange.resume_request()
        rig.client.h2.send_headers(1, [(b"x-sum", b"1"), (b"host", b"b")], end_stream=True)
        rig.turn()
        self.assertEqual(rig.guest.ended, [(b"x-sum", b"1")])
        rig.upload(3, b"x", ended=False)
        rig.say(write_frame(FrameType.HEADERS, 5, 3, encode_fields([(b":path", b"/")])))
        self.assertEqual(rig.client.told[3], [("reset", ErrorCode.PROTOCOL_ERROR)])

    def test_held_in_all(self) -> None:
        """Bodies that no guest takes fill the connection's window: that is what can be held."""
        rig = Http2Rig()
        streams = CONNECTION_WINDOW // STREAM_WINDOW
        for each in range(streams):
            rig.upload(1 + 2 * each, b"x" * 16384, ended=False)
            for _ in range(3):
                rig.send_data(1 + 2 * each, b"x" * 16384)
        self.assertEqual(rig.client.h2.outbound_flow_control_window, 0)
        rig.client.h2.reset_stream(1)
        rig.turn()
        for guest in rig.dispatcher.guests[1:]:
            guest.exchange.resume_request()
        rig.turn()
        self.assertGreaterEqual(rig.client.h2.outbound_flow_control_window, CONNECTION_WINDOW // 2)


class FlowTests(SynchronousTestCase):
    def test_urgency_and_turns(self) -> None:
        """The more urgent stream goes first; equals take turns, a frame each."""
        rig = Http2Rig(window=False)
        rig.ask(1, [*GET, (b"priority", b"u=5")])
        rig.ask(3, [*GET, (b"priority", b"u=1")])
        rig.ask(5, [*GET, (b"priority", b"u=1")])
        for guest in rig.dispatcher.guests:
            guest.respond(200, [], b"z" * 32768)
        rig.turn()
        self.assertEqual(
            {number: len(body) for number, body in rig.client.bodies.items()},
            {3: 32768, 5: 32767},
        )
        rig.client.h2.increment_flow_control_window(40000)
        rig.turn()
        self.assertEqual(len(rig.client.bodies[1]), 32768)

    def test_a_stalled_stream_is_reaped(self) -> None:
        """A client that opens no window for an answer loses the stream, not the connection."""
        rig = Http2Rig(window=False)
        rig.ask(1)
        rig.guest.respond(200, [], None)
        rig.guest.data(b"x" * 60000)
        rig.guest.data(b"x" * 60000)
        rig.turn()
        held = rig.protocol.connection.sender.waiting
        self.assertLess(held, 70000)
        rig.later(30)
        self.assertEqual(rig.client.told[1][-1], ("reset", ErrorCode.ENHANCE_YOUR_CALM))
        self.assertEqual(rig.protocol.connection.sender.waiting, 0)
        self.assertIsNotNone(rig.guest.cancelled)

    def test_requests_wait_behind_answers_that_wait(self) -> None:
        """Answers of half a megabyte wait for the client: its next requests wait, too."""
        rig = Http2Rig(window=False)
        for each in range(12):
            rig.client.request(1 + 2 * each)
        rig.turn()
        for guest in rig.dispatcher.guests:
            guest.respond(200, [], b"x" * 60000)
        rig.ask(51)
        self.assertEqual(len(rig.dispatcher.guests), 12)
        rig.client.h2.increment_flow_control_window(1_000_000)
        rig.turn()
        self.assertEqual(len(rig.dispatcher.guests), 13)

    def test_bodies_wait_with_their_requests(self) -> None:
        """So they do when they have come: whole, in part, with trailers; or are reset by then."""
        rig = Http2Rig(window=False)
        for each in range(12):
            rig.client.request(1 + 2 * each)
        rig.turn()
        for guest in rig.dispatcher.guests:
            guest.respond(200, [], b"x" * 60000)
        rig.turn()
        rig.upload(31, b"whole")
        rig.upload(33, b"part", ended=False)
        rig.upload(35, b"trailers", ended=False)
        rig.client.h2.send_headers(35, [(b"x", b"y")], end_stream=True)
        rig.upload(37, b"reset", ended=False)
        rig.client.h2.reset_stream(37)
        rig.turn()
        self.assertEqual(len(rig.dispatcher.guests), 12)
        rig.client.h2.increment_flow_control_window(1_000_000)
        rig.turn()
        waited = rig.dispatcher.guests[12:]
        for guest in waited:
            guest.exchange.resume_request()
        rig.send_data(33, b" and the rest", ended=True)
        bodies = [guest.exchange.body or guest.body for guest in waited]
        self.assertEqual(bodies, [b"whole", b"part and the rest", b"trailers"])
        self.assertEqual(rig.protocol.connection.counts.open, 3)

    def test_a_transport_that_is_full(self) -> None:
        """Nothing is written but what belongs to the connection; it is told who reads nothing."""
        rig = Http2Rig()
        rig.transport.stalled = True
        rig.client.h2.increment_flow_control_window(10_000_000)
        for each in range(4):
            rig.ask(1 + 2 * each)
            rig.client.h2.increment_flow_control_window(100_000, 1 + 2 * each)
            rig.turn()
            rig.guest.respond(200, [], b"x" * 60000)
        rig.turn()
        self.assertFalse(rig.protocol.writable)
        rig.say(write_frame(FrameType.PING, 0, 0, b"12345678"))
        rig.transport.drain()
        rig.turn()
        self.assertEqual(sum(map(len, rig.client.bodies.values())), 240000)
