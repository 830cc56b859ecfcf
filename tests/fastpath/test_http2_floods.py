"""
What a hostile client of HTTP/2 sends, to both paths: the connection ends for the same reason, at
the same place, and nothing is left of it.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.frontend.http2.bounds import MOST_STREAMS
from subproxy.frontend.http2.flood import ALLOWED
from subproxy.frontend.http2.frames import ErrorCode, FrameType
from subproxy.telemetry.close_reason import CloseReason
from subproxy.wire import messages as m
from tests.rigs.examples import part_of
from tests.rigs.http2_floods import ERRORS, FLOODS, STALLED, Attack
from tests.rigs.http2_sides import Http2Side

MOST = 1 + 2 * max(allowed.burst for allowed in ALLOWED.values())
"""Pieces within which each of them is too much."""


class AttackedSide(Http2Side):
    """
    A side whose client says any bytes.

    @ivar said: all bytes that it was told.
    """

    said = b""

    def say(self, data: bytes) -> None:
        """Nothing: an attack has a greeting of its own."""

    def turn(self) -> None:
        for _ in range(3):
            self.world.advance(0)
        self.said += self.transport.value()
        self.transport.clear()

    def attack(self, attack: Attack, most: int = MOST) -> int:
        """How many pieces it took to end the connection; C{most} if it stays."""
        self.turn()
        self.said = b""
        self.protocol.dataReceived(attack.greeting)
        self.turn()
        for sent, piece in enumerate(attack.pieces()):
            if self.over or sent == most:
                return sent
            self.protocol.dataReceived(piece)
            if not sent % 100 or self.transport.producerState != "producing":
                self.turn()  # who is not read from sends no more
        return most

    def answer_all(self) -> None:
        """The guest answers all that it was asked, with more than no window takes."""
        self.frames.feed(self.guest_transport.value())
        self.guest_transport.clear()
        while (frame := self.frames.next()) is not None:
            event = m.parse(frame)
            if isinstance(event, m.Request):
                self.answer(m.Response(event.exchange, 200, [], {}, b"x" * 1000))

    @property
    def over(self) -> bool:
        """The connection is being closed."""
        return self.protocol.close_reason is not None

    def codes(self, kind: FrameType) -> list[int]:
        """Those of each GOAWAY, or RST_STREAM."""
        self.turn()
        codes, data = [], self.said
        while data:
            size = int.from_bytes(data[:3], "big")
            if data[3] == kind:
                at = 13 if kind is FrameType.GOAWAY else 9
                codes.append(int.from_bytes(data[at : at + 4], "big"))
            data = data[9 + size :]
        return codes

    @property
    def floods(self) -> dict[str, int]:
        """What was counted."""
        return dict(self.factory.context.floods)

    def end(self) -> None:
        """The client leaves."""
        self.gone = True
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.log.close()


class FloodTests(SynchronousTestCase):
    skip = unavailable()

    def test_floods(self) -> None:
        """As often as allowed; then the client is told to calm, and that is counted."""
        for name, attack in part_of(list(FLOODS.items())):
            sides = [AttackedSide(fast) for fast in (True, False)]
            took = [side.attack(attack) for side in sides]
            self.assertEqual(took[0], took[1], name)
            assert attack.flood is not None
            self.assertLessEqual(took[0], ALLOWED[attack.flood].burst + MOST_STREAMS + 10, name)
            for side in sides:
                self.assertEqual(side.codes(FrameType.GOAWAY), [ErrorCode.ENHANCE_YOUR_CALM], name)
                self.assertEqual(side.floods, {attack.flood.value: 1}, name)
                self.assertEqual(side.protocol.close_reason, CloseReason.HTTP2_ERROR, name)
                assert side.member is not None
                self.assertEqual(side.member.in_flight, 0, name)
                side.end()

    def test_errors(self) -> None:
        """What is not allowed once."""
        for name, attack in ERRORS.items():
            sides = [AttackedSide(fast) for fast in (True, False)]
            for side in sides:
                side.attack(attack, 1)
                self.assertTrue(side.over, name)
            codes = [side.codes(FrameType.GOAWAY) for side in sides]
            self.assertEqual((codes[0], len(codes[0])), (codes[1], 1), name)
            for side in sides:
                side.end()

    def test_stalled_windows(self) -> None:
        """Streams for whose answers no window opens are reset when that has taken too long."""
        for side in [AttackedSide(fast) for fast in (True, False)]:
            side.attack(STALLED, MOST_STREAMS)
            side.answer_all()
            self.assertEqual(side.factory.active, MOST_STREAMS)
            for _ in range(60):
                side.world.advance(0.5)
            codes = side.codes(FrameType.RST_STREAM)
            self.assertEqual(codes, [ErrorCode.ENHANCE_YOUR_CALM] * MOST_STREAMS)
            self.assertEqual((side.factory.active, side.over), (0, False))
            side.end()
