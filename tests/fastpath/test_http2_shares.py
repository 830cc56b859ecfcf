"""
A client of HTTP/2 that sends much for Python at once: each turn of the reactor deals with some of
it, so that others have theirs; then nothing more is read until the rest has had its turn.
"""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.frontend.deadlines import INTERVAL
from subproxy.frontend.http2.bounds import CONNECTION_WINDOW, MOST_STREAMS
from subproxy.frontend.http2.connection import Http2Connection
from subproxy.frontend.http2.events import Http2Event
from subproxy.frontend.http2.frames import (
    PADDED,
    PREFACE,
    Frame,
    FrameType,
    write_frame,
    write_settings,
)
from subproxy.frontend.http2.hpack import encode_fields
from tests.rigs.fastpath_rig import Side
from tests.rigs.http2_client import GET, POST
from tests.rigs.http2_floods import WHOLE

PING = write_frame(FrameType.PING, 0, 0, b"12345678")
PONG = write_frame(FrameType.PING, 1, 0, b"12345678")
GREETING = PREFACE + write_settings({})


class ShareTests(SynchronousTestCase):
    """
    @ivar handled: how many PING frames Python has dealt with.
    """

    skip = unavailable()

    def setUp(self) -> None:
        self.handled = 0
        handler = Http2Connection._HANDLERS[FrameType.PING]

        def handles(connection: Http2Connection, frame: Frame, now: float) -> Http2Event | None:
            self.handled += 1
            return handler(connection, frame, now)

        handlers = {**Http2Connection._HANDLERS, FrameType.PING: handles}
        self.patch(Http2Connection, "_HANDLERS", handlers)
        self.side = Side(True)
        self.addCleanup(self.side.log.close)
        self.side.protocol.dataReceived(GREETING)
        self.turn()
        self.side.transport.clear()

    def turn(self) -> int:
        """A turn of the reactor; how many frames were dealt with by its end."""
        self.side.world.turn()
        return self.handled

    @property
    def answered(self) -> int:
        """How many were, when nothing is left to do."""
        self.side.world.advance(0)
        return int(self.side.transport.value().count(PONG))

    @property
    def read_from(self) -> bool:
        """The client is read from."""
        return bool(self.side.transport.producerState == "producing")

    def test_what_comes_at_once_takes_several_turns(self) -> None:
        """A few each time; the client is not read from meanwhile."""
        self.side.protocol.dataReceived(PING * 21 + PING[:5])
        self.assertFalse(self.read_from)
        counts = [0, self.handled, *(self.turn() for _ in range(8))]
        self.assertEqual((counts[-1], self.answered), (21, 21))
        self.assertEqual(max(b - a for a, b in pairwise(counts)), 4)
        self.assertTrue(self.read_from)
        self.side.protocol.dataReceived(PING[5:])
        self.assertEqual(self.turn(), 22)

    def many_fields(self, flags: int, padding: bytes) -> None:
        """Hundreds of pieces of Cookie, a byte each on the wire: a request a turn."""
        block = encode_fields(GET) + b"\x60\x00" + b"\xbe" * 300
        for number in range(1, 17, 2):
            frame = write_frame(FrameType.HEADERS, WHOLE | flags, number, padding + block)
            self.side.protocol.dataReceived(frame + PING)
        counts = [0, self.handled, *(self.turn() for _ in range(20))]
        self.assertEqual((counts[-1], self.answered), (8, 8))
        self.assertEqual(max(b - a for a, b in pairwise(counts)), 1)

    def test_many_fields_are_many_frames(self) -> None:
        """If they are read where frames are."""
        self.many_fields(0, b"")

    def test_many_fields_of_a_padded_frame(self) -> None:
        """If Python has them read."""
        self.many_fields(PADDED, b"\0")

    def test_what_comes_meanwhile_waits(self) -> None:
        """Over TLS some may: it keeps its place."""
        self.side.protocol.dataReceived(PING * 9)
        self.side.protocol.dataReceived(PING[:9])
        self.side.protocol.dataReceived(PING[9:] + PING)
        for _ in range(8):
            last = self.turn()
        self.assertEqual(last, 11)

    def test_who_had_its_share_waits_in_line(self) -> None:
        """What it sends next is not dealt with as it is read, however little; once."""
        self.side.protocol.dataReceived(PING * 4)
        self.assertEqual(self.turn(), 4)
        self.side.protocol.dataReceived(PING)
        self.assertFalse(self.read_from)
        self.assertEqual([self.turn() for _ in range(3)][-1], 5)
        self.assertTrue(self.read_from)
        self.side.protocol.dataReceived(PING)
        self.assertTrue(self.read_from)

    def test_few_are_dealt_with_at_once(self) -> None:
        """Who sends as much as clients do never waits."""
        self.side.protocol.dataReceived(PING * 4)
        self.assertTrue(self.read_from)
        self.assertEqual(self.turn(), 4)

    def test_the_client_leaves(self) -> None:
        """Nothing goes on for who is gone."""
        self.side.protocol.dataReceived(PING * 50)
        self.side.transport.clear()
        self.side.protocol.connectionLost(None)
        for _ in range(4):
            self.turn()
        self.assertEqual(self.side.transport.value(), b"")

    def test_many_clients(self) -> None:
        """They take turns, however many there are."""
        protocols = [self.side.protocol]
        transports = [self.side.transport]
        for _ in range(4):
            self.side.connect()
            self.side.protocol.dataReceived(GREETING)
            self.turn()
            protocols.append(self.side.protocol)
            transports.append(self.side.transport)
        for protocol, transport in zip(protocols, transports, strict=True):
            transport.clear()
            protocol.dataReceived(PING * 30)
        counts = [self.handled, *(self.turn() for _ in range(12))]
        self.assertEqual((counts[0], counts[-1]), (8, 150))
        self.side.world.advance(0)
        self.assertEqual([each.value().count(PONG) for each in transports], [30] * 5)

    def test_uploads_without_a_length(self) -> None:
        """Each costs a frame when its read is over, and as many bodies as frames begin a turn; what
        has come of one meanwhile goes with it."""
        upload = encode_fields(POST)
        numbers = range(1, 41, 2)
        heads = b"".join([write_frame(FrameType.HEADERS, 4, each, upload) for each in numbers])
        self.side.protocol.dataReceived(heads)
        begun = [self.begun, *(self.begin_more() for _ in range(12))]
        self.assertLessEqual(max(b - a for a, b in pairwise([0, *begun])), 4)
        self.assertEqual(begun[-1], 20)
        self.assertTrue(self.read_from)
        ends = b"".join([write_frame(FrameType.DATA, 1, each, b"all") for each in numbers])
        self.side.protocol.dataReceived(ends)
        self.side.world.advance(0)
        self.assertEqual(self.side.guest_transport.value().count(b"3:all"), 20)

    def test_bodies_that_do_not_come(self) -> None:
        """Python looks at their pace from the next sweep on; of a hundred, too, it is given a few a
        turn."""
        upload = encode_fields([*POST, (b"content-length", b"10")])
        for number in range(1, 2 * MOST_STREAMS, 2):
            self.side.protocol.dataReceived(write_frame(FrameType.HEADERS, 4, number, upload))
        self.turn()
        self.assertEqual(self.begun, 0)
        self.side.world.clock.rightNow += INTERVAL
        begun = [self.begun, *(self.begin_more() for _ in range(40))]
        self.assertLessEqual(max(b - a for a, b in pairwise(begun)), 4)
        self.assertEqual(begun[-1], MOST_STREAMS)
        self.assertTrue(self.read_from)

    @property
    def begun(self) -> int:
        """How many requests Python has."""
        return int(self.side.fastpath.stats()["declined_requests"])

    def begin_more(self) -> int:
        """A turn; how many it has then."""
        self.turn()
        return self.begun


class BudgetTests(SynchronousTestCase):
    skip = unavailable()

    def test_all_together(self) -> None:
        """However many clients there are, a turn deals with as many frames as its budget allows,
        and one of each that is new."""
        from subproxy.fastpath._context import HTTP2_BUDGET

        side = Side(True)
        self.addCleanup(side.log.close)
        spent, handled = 0.0, 0
        budget = side.factory.fastpath.turns
        budget._timer = lambda: spent
        protocols = []
        for _ in range(20):
            side.connect()
            side.protocol.dataReceived(GREETING)
            side.world.advance(0)
            protocols.append(side.protocol)
        ping = Http2Connection._HANDLERS[FrameType.PING]

        def takes_time(connection: Http2Connection, frame: Frame, now: float) -> Http2Event | None:
            nonlocal spent, handled
            spent += HTTP2_BUDGET / 2
            handled += 1
            return ping(connection, frame, now)

        handlers = {**Http2Connection._HANDLERS, FrameType.PING: takes_time}
        self.patch(Http2Connection, "_HANDLERS", handlers)
        for protocol in protocols:
            protocol.dataReceived(PING * 4)
        counts = [handled]
        for _ in range(60):
            side.world.turn()
            counts.append(handled)
        self.assertEqual(counts[-1], 80)
        self.assertLessEqual(counts[0], 20 + 4)
        self.assertLessEqual(max(b - a for a, b in pairwise(counts)), 8)


class DiscardTests(SynchronousTestCase):
    skip = unavailable()

    def test_who_sends_on_and_on(self) -> None:
        """A client that was sent away is read for no more than it may have had under way."""
        for fast in (True, False):
            side = Side(fast)
            self.addCleanup(side.log.close)
            if not fast:
                side.factory.buildProtocol = (  # type: ignore[method-assign]
                    lambda addr, side=side: side.factory.build_http2()
                )
                side.connect()
            side.protocol.dataReceived(GREETING + write_frame(FrameType.PING, 0, 1, bytes(8)))
            side.world.advance(0)
            self.assertFalse(side.transport.aborted)
            for _ in range(CONNECTION_WINDOW // 16_384):
                side.protocol.dataReceived(bytes(16_384))
            self.assertFalse(side.transport.aborted)
            side.protocol.dataReceived(b"x")
            self.assertTrue(side.transport.aborted)
