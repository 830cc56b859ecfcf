"""Tests of subproxy.frontend.http2.served_request."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http2.answer import Http2ClientStream
from subproxy.frontend.http2.bounds import (
    LEAST_READ,
    MOST_READ,
    MOST_STREAMS,
    MOST_WAITING,
    WRITE_BUFFER,
)
from subproxy.frontend.http2.frames import FRAME_SIZE
from subproxy.frontend.http2.served_request import ServedRequest
from tests.rigs.fake_dispatcher import FakeGuest
from tests.rigs.http2_client import GET
from tests.rigs.http2_rig import Http2Rig


def answered(guest: FakeGuest) -> None:
    """The guest has an answer at once."""
    guest.respond(200, [(b"Content-Type", b"text/plain")], b"hello")


class ReadSizeTests(SynchronousTestCase):
    def test_it_is_shared(self) -> None:
        """All answers of a connection have the room of those that wait, and the least beside."""
        rig = Http2Rig()
        sizes = []
        for number in range(MOST_STREAMS):
            rig.ask(1 + 2 * number)
            sizes.append(rig.guest.exchange.sink.read_size)
        self.assertEqual(sizes[:3], [MOST_READ, MOST_READ, MOST_WAITING // 3])
        self.assertEqual(set(sizes[7:]), {LEAST_READ})
        self.assertLess(sum(sizes) - len(sizes) * LEAST_READ, MOST_WAITING)

    def test_it_goes_at_once(self) -> None:
        """The largest piece is written in one turn, and its client is not waited for."""
        rig = Http2Rig()
        self.assertEqual(rig.transport.bufferSize, WRITE_BUFFER)
        frames = -(-MOST_READ // FRAME_SIZE)
        self.assertLessEqual(MOST_READ + frames * (9 + 22), WRITE_BUFFER)


class EndTests(SynchronousTestCase):
    def alive(self) -> int:
        """How many requests there are, with their answers, and be it for the collector."""
        kinds = (ServedRequest, Http2ClientStream)
        return sum(isinstance(each, kinds) for each in gc.get_objects())

    def test_it_is_freed_when_it_is_over(self) -> None:
        """Answered, with a body of its own or without, or refused: nothing is left to collect."""
        rig = Http2Rig(answered)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        before = self.alive()
        rig.ask(1)
        rig.upload(3, b"x" * 100)
        rig.ask(5, [*GET, *((b"x-%d" % each, b"v") for each in range(400))])
        rig.turn()
        statuses = [rig.client.head(each)[b":status"] for each in (1, 3, 5)]
        self.assertEqual(statuses, [b"200", b"200", b"431"])
        rig.dispatcher.guests.clear()
        rig.log.exchanges.clear()
        rig.log.records.clear()
        self.assertEqual(self.alive(), before)
