"""An exchange that waits while thousands come and go at its guest: a later one needs its slot."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.fastpath.test_peer import request
from tests.rigs.conversation_case import GET
from tests.rigs.fastpath_rig import Pair, response
from tests.rigs.http2_client import GET as HTTP2_GET
from tests.rigs.http2_sides import Http2Side
from tests.rigs.peer_rig import AskedPair

SLOTS = 16_384
"""The most that a channel has: exchanges whose numbers differ by so many need the same one."""


def pass_numbers(side: Any) -> None:
    """As many exchanges as there are slots, but for one, come and go."""
    channel = side.guest.subscription.channel
    channel.wire.last = channel.next_number() + SLOTS - 2
    if getattr(channel, "fast", None) is not None:
        channel.fast.learn()


class ExchangeSlotTests(SynchronousTestCase):
    """The one that has waited goes over to Python, and nothing but that happens to it."""

    skip = unavailable()

    def test_another_process(self) -> None:
        pair = AskedPair()
        pair.ask(request(1))
        for side in pair.sides:
            pass_numbers(side)
        pair.ask(request(2, target=b"/later"))
        pair.guest(response(1, body=b"first") + response(1 + SLOTS, body=b"later"))
        self.assertEqual(pair.last["under way"], 0)
        self.assertEqual(pair.stats["requests"], 1)
        self.assertEqual(pair.stats["declined_answers"], 1)
        pair.close()

    def test_http2(self) -> None:
        sides = [Http2Side(True), Http2Side(False)]
        seen = []
        for side in sides:
            side.client.request(1, HTTP2_GET)
            side.say(side.client.take())
            pass_numbers(side)
            side.client.request(3, HTTP2_GET)
            side.say(side.client.take())
            self.assertEqual([each.exchange for each in side.asked], [1, 1 + SLOTS])
            side.answer(m.Response(1, 200, [], {}, b"first"))
            side.answer(m.Response(1 + SLOTS, 200, [], {}, b"later"))
            self.assertEqual(side.client.bodies, {1: b"first", 3: b"later"})
            seen.append(side.observed())
        self.assertEqual(*seen)
        self.assertEqual(sides[0].fastpath.stats()["declined_answers"], 1)

    def test_http1(self) -> None:
        pair = Pair()
        self.addCleanup(pair.close)
        pair.client(GET)
        for side in pair.sides:
            pass_numbers(side)
        pair.connect()
        pair.client(GET)
        pair.guest(response(1, body=b"first") + response(1 + SLOTS, body=b"later"))
        self.assertTrue(str(pair.last["client"]).endswith("later'"))
        self.assertEqual(pair.stats["requests"], 1)
