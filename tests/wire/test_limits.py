"""Tests of subproxy.wire.limits."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire import limits
from subproxy.wire import messages as m
from subproxy.wire.frames import encode


class LimitsTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """What is meant where hello and welcome are silent."""
        default = limits.Limits()
        self.assertEqual(262_144, default.frame)
        self.assertEqual(65_536, default.window)
        self.assertEqual(65_536, default.inline)

    def test_the_largest_message_fits_a_default_frame(self) -> None:
        """A request with the most of everything is not too long for a peer that said nothing."""
        fields = [(b"n" * 256, b"v" * 256)] * limits.MAX_HEADERS
        self.assertEqual(limits.MAX_HEADER_BYTES, sum(len(n) + len(v) for n, v in fields))
        message = m.Request(
            limits.MAX_NUMBER,
            b"M" * 64,
            b"/" * 65_536,
            fields,
            {b"client": b"c" * 1024, b"id": b"i" * 1024},
            b"b" * limits.Limits().inline,
        )
        self.assertLess(len(message.encode()), limits.Limits().frame)

    def test_body_overhead(self) -> None:
        """What a body frame has beside its data is less than what is reckoned for it."""
        frame = [b"body", limits.MAX_NUMBER, b"x" * limits.BODY_CHUNK]
        self.assertLess(len(encode(frame)) - limits.BODY_CHUNK, limits.BODY_OVERHEAD)
