"""Tests of subproxy.frontend.http2.served_request."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http2.answer import Http2ClientStream
from subproxy.frontend.http2.served_request import ServedRequest
from tests.rigs.fake_dispatcher import FakeGuest
from tests.rigs.http2_client import GET
from tests.rigs.http2_rig import Http2Rig


def answered(guest: FakeGuest) -> None:
    """The guest has an answer at once."""
    guest.respond(200, [(b"Content-Type", b"text/plain")], b"hello")


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
