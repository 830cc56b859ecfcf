"""Tests of subproxy.frontend.http2.flood, and of each attack on the whole of a connection."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http2.bounds import MOST_BLOCK, MOST_CONTINUATIONS, MOST_STREAMS
from subproxy.frontend.http2.field_table import OVERHEAD
from subproxy.frontend.http2.flood import ALLOWED, Flood, FloodGuard
from subproxy.frontend.http2.frames import ErrorCode, FrameType, Http2Error, write_frame
from subproxy.frontend.http2.hpack import encode_fields, put_integer
from subproxy.frontend.limits import HttpLimits
from tests.rigs.examples import examples
from tests.rigs.http2_client import GET
from tests.rigs.http2_rig import Http2Rig

REQUEST = encode_fields(GET)
FIELDS = examples(16_000)


class GuardTests(SynchronousTestCase):
    def test_every_kind_has_its_allowance(self) -> None:
        self.assertEqual(set(ALLOWED), set(Flood))

    def test_too_often(self) -> None:
        """As often as allowed at once, then the connection ends; tokens come back with time."""
        floods: Counter[str] = Counter()
        guard = FloodGuard(floods)
        for _ in range(ALLOWED[Flood.PING].burst):
            guard.happened(Flood.PING, 0.0)
        error = self.assertRaises(Http2Error, guard.happened, Flood.PING, 0.0)
        self.assertEqual(error.code, ErrorCode.ENHANCE_YOUR_CALM)
        self.assertEqual(floods, {"ping": 1})
        guard.happened(Flood.PING, 1.0)


class AttackTests(SynchronousTestCase):
    def attack(self, *frames: bytes, times: int = 2000, rig: Http2Rig | None = None) -> Http2Rig:
        """C{frames}, again and again, until the connection ends."""
        rig = rig or Http2Rig()
        for _ in range(times):
            if rig.closed:
                break
            for frame in frames:
                rig.protocol.dataReceived(frame)
        rig.turn()
        return rig

    def assertCalmed(self, rig: Http2Rig, flood: Flood) -> None:
        """It was ended for that, which was counted, and nothing is left of it."""
        self.assertTrue(rig.closed)
        self.assertEqual(rig.goaways[-1][0], ErrorCode.ENHANCE_YOUR_CALM)
        self.assertEqual(rig.factory.context.floods, {flood.value: 1})
        self.assertEqual(rig.protocol.served, {})
        for guest in rig.dispatcher.guests:
            self.assertIsNotNone(guest.cancelled)

    def test_control_frames(self) -> None:
        """PING, SETTINGS, PRIORITY, unknown kinds."""
        for frame, flood in (
            (write_frame(FrameType.PING, 0, 0, bytes(8)), Flood.PING),
            (write_frame(FrameType.SETTINGS, 0, 0), Flood.SETTINGS),
            (write_frame(FrameType.SETTINGS, 1, 0), Flood.SETTINGS),
            (write_frame(FrameType.PRIORITY, 0, 1, bytes(5)), Flood.PRIORITY),
            (write_frame(FrameType.PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1"), Flood.PRIORITY),
            (write_frame(0xBB, 0, 0), Flood.EMPTY),
        ):
            self.assertCalmed(self.attack(frame), flood)

    def test_rapid_reset(self) -> None:
        """CVE-2023-44487: requests that are reset at once."""
        rig = Http2Rig()
        for each in range(2000):
            if rig.closed:
                break
            number = 1 + 2 * each
            rig.protocol.dataReceived(write_frame(FrameType.HEADERS, 5, number, REQUEST))
            rig.protocol.dataReceived(write_frame(FrameType.RST_STREAM, 0, number, bytes(4)))
        came = rig.received()
        self.assertIn(b"too many of this kind: reset", came)
        self.assertEqual(len(rig.dispatcher.guests), 1 + ALLOWED[Flood.RESET].burst)
        self.assertEqual(rig.factory.context.floods, {"reset": 1})

    def test_made_you_reset(self) -> None:
        """CVE-2025-8671: requests that we are made to reset, in each way."""
        for more in (
            write_frame(FrameType.WINDOW_UPDATE, 0, 1, bytes(4)),
            write_frame(FrameType.WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff"),
            write_frame(FrameType.PRIORITY, 0, 1, bytes(3)),
            write_frame(FrameType.PRIORITY, 0, 1, b"\0\0\0\1\0"),
            write_frame(FrameType.DATA, 0, 1, b"x"),
            write_frame(FrameType.HEADERS, 5, 1, REQUEST),
        ):
            rig = Http2Rig()
            for each in range(2000):
                if rig.closed:
                    break
                number = (1 + 2 * each).to_bytes(4, "big")
                opened = write_frame(FrameType.HEADERS, 5, 1 + 2 * each, REQUEST)
                rig.protocol.dataReceived(opened + more[:5] + number + more[9:])
                if more[9:13] == b"\0\0\0\1":  # a dependency on itself
                    more = more[:9] + (3 + 2 * each).to_bytes(4, "big") + more[13:]
            self.assertEqual(sum(rig.factory.context.floods.values()), 1, more)

    def test_a_reset_too_many_in_a_sweep(self) -> None:
        """Who is answered in the turn of that is over too; the connection lingers, and closes."""
        rig = Http2Rig()
        rig.ask(1, [(b":method", b"POST"), *GET[1:]], ended=False)
        rig.guest.respond(200, [], b"early")
        rig.turn()
        rig.ask(3)
        rig.clock.rightNow += rig.factory.context.limits.linger + 0.6
        for _ in range(ALLOWED[Flood.RESET].burst):
            rig.protocol._guard.happened(Flood.RESET, rig.clock.rightNow)
        rig.guest.respond(200, [], b"hello")
        rig.clock.advance(0)  # the sweep was due before what was answered is written
        rig.turn()
        self.assertEqual(rig.goaways, [(ErrorCode.ENHANCE_YOUR_CALM, 3)])
        self.assertFalse(rig.transport.disconnecting)
        rig.later(rig.factory.context.limits.linger + 1)
        self.assertTrue(rig.transport.disconnecting)

    def test_refused_streams(self) -> None:
        """More streams than there may be, again and again, are resets, too."""
        rig = Http2Rig()
        for each in range(2000):
            rig.protocol.dataReceived(write_frame(FrameType.HEADERS, 5, 1 + 2 * each, REQUEST))
        self.assertEqual(rig.factory.context.floods, {"reset": 1})
        self.assertEqual(len(rig.dispatcher.guests), MOST_STREAMS)

    def test_empty_data(self) -> None:
        """CVE-2019-9518: frames that say nothing."""
        rig = Http2Rig()
        rig.client.request(1, [(b":method", b"POST"), *GET[1:]], ended=False)
        rig.turn()
        rig = self.attack(write_frame(FrameType.DATA, 0, 1), rig=rig)
        self.assertCalmed(rig, Flood.EMPTY)

    def test_continuation(self) -> None:
        """CVE-2024-27316 and its like: fields that never end, many or large."""
        for piece in (b"", b"x" * 16384):
            rig = Http2Rig()
            rig.protocol.dataReceived(write_frame(FrameType.HEADERS, 0, 1, REQUEST))
            rig = self.attack(write_frame(FrameType.CONTINUATION, 0, 1, piece), rig=rig, times=20)
            self.assertCalmed(rig, Flood.CONTINUATION)

    def test_honest_continuation(self) -> None:
        """A head in as many frames as it may have."""
        rig = Http2Rig()
        rig.protocol.dataReceived(write_frame(FrameType.HEADERS, 1, 1, REQUEST))
        for each in range(MOST_CONTINUATIONS):
            flags = 4 if each == MOST_CONTINUATIONS - 1 else 0
            piece = encode_fields([(b"x", b"y" * 3000)])
            rig.protocol.dataReceived(write_frame(FrameType.CONTINUATION, flags, 1, piece))
        self.assertEqual(len(rig.dispatcher.guests), 1)

    def test_field_bomb(self) -> None:
        """CVE-2026-49975: an entry of the table, named a thousand times in a byte each: 431, and
        what it would be is never made. So are pieces of Cookie."""
        bombs = (
            b"\x40\x01a" + put_integer(7, 0, 4000) + b"v" * 4000 + b"\xbe" * FIELDS,
            b"\x40\x01a\x01b" + b"\xbe" * FIELDS,
            b"\x60\x01b" + b"\xbe" * FIELDS,
        )
        for bomb in bombs:
            rig = Http2Rig()
            frame = write_frame(FrameType.HEADERS, 5, 1, (REQUEST + bomb)[:16384])
            rig.protocol.dataReceived(frame)
            self.assertEqual([each[1] for each in rig.log.exchanges], [431])
            self.assertEqual(rig.dispatcher.guests, [])
            self.assertFalse(rig.closed)
        for each in range(200):
            if rig.closed:
                break
            rig.protocol.dataReceived(
                write_frame(FrameType.HEADERS, 5, 3 + 2 * each, (REQUEST + bomb)[:16384])
            )
        self.assertEqual(rig.factory.context.floods, {"fields": 1})

    def test_honest_cookies(self) -> None:
        """A browser with very many cookies sends each alone: they are one field."""
        rig = Http2Rig()
        crumbs = [(b"cookie", b"n%d=v" % each) for each in range(300)]
        rig.ask(1, [*GET, *crumbs])
        self.assertEqual(len(rig.dispatcher.guests), 1)
        rig.ask(3, [*GET, *[(b"x%d" % each, b"v") for each in range(101)]])
        self.assertEqual(rig.client.status(3), b"431")

    def test_a_list_larger_than_announced(self) -> None:
        """Counted as announced: each field 32 bytes more."""
        rig = Http2Rig(limits=HttpLimits(head=4096))
        size = sum(len(name) + len(value) + OVERHEAD for name, value in GET)
        rig.ask(1, [*GET, (b"x", b"y" * (4096 - size - OVERHEAD - 1))])
        self.assertEqual(len(rig.dispatcher.guests), 1)
        rig.ask(3, [*GET, (b"x", b"y" * (4096 - size - OVERHEAD))])
        self.assertEqual(rig.client.status(3), b"431")

    def test_what_is_held_of_fields(self) -> None:
        """Of a block that is not whole, no more than a block may have."""
        rig = Http2Rig()
        rig.protocol.dataReceived(write_frame(FrameType.HEADERS, 0, 1, b"x" * 16384))
        for _ in range(3):
            rig.protocol.dataReceived(write_frame(FrameType.CONTINUATION, 0, 1, b"x" * 16384))
        self.assertFalse(rig.closed)
        rig.protocol.dataReceived(write_frame(FrameType.CONTINUATION, 0, 1, b"x"))
        self.assertTrue(rig.closed)
        self.assertEqual(MOST_BLOCK, 4 * 16384)
