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

    def test_numbers_of_the_protocol(self) -> None:
        """Those of docs/protocol.md: what one side changes, the other does not know."""
        numbers = {name: value for name, value in vars(limits).items() if name.isupper()}
        self.assertEqual(
            numbers,
            {
                "VERSION": 1,
                "PORT": 12345,
                "MAX_LENGTH_DIGITS": 7,
                "MAX_DEPTH": 8,
                "MAX_ELEMENTS": 1024,
                "MAX_HEADERS": 128,
                "MAX_HEADER_BYTES": 65_536,
                "MAX_PATTERN": 1024,
                "MAX_NAME": 128,
                "MAX_REASON": 1024,
                "MAX_INTERIM": 16_384,
                "INTERIM_COST": 128,
                "MAX_NUMBER": 9_007_199_254_740_991,
                "MAX_CREDIT": 2_147_483_647,
                "MAX_WEIGHT": 1000,
                "DEFAULT_WEIGHT": 100,
                "MAX_TUNNELS": 8,
                "MAX_TUNNEL_TOKEN": 32,
                "MAX_PROCESSES": 1024,
                "MAX_HOPS": 2,
                "MAX_TLS_NAMES": 8,
                "MAX_CERTIFICATE": 65_536,
                "BODY_CHUNK": 16_384,
                "BODY_OVERHEAD": 64,
            },
        )

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
