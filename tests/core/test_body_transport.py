"""How a body travels between the proxy and a guest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.body_transport import BodyLimits, BodyTransport, announced, choose
from subproxy.errors import GuestMisbehaved

INLINE, FRAMES = BodyTransport.INLINE, BodyTransport.FRAMES
DATA_CONNECTION = BodyTransport.DATA_CONNECTION
LIMITS = BodyLimits(inline=100, bulk=1000)


class RequestTests(SynchronousTestCase):
    def test_held(self) -> None:
        """What is here rides in the frame of its head, as far as the peer takes that."""
        self.assertIs(choose(0, 0, LIMITS), INLINE)
        self.assertIs(choose(100, 100, LIMITS), INLINE)
        self.assertIs(choose(101, 101, LIMITS), FRAMES)

    def test_streamed(self) -> None:
        """What is still to come goes over a data connection if it is long enough."""
        self.assertIs(choose(None, 999, LIMITS), FRAMES)
        self.assertIs(choose(None, 1000, LIMITS), DATA_CONNECTION)

    def test_unknown_length(self) -> None:
        """Of a body that may be short, no data connection is made."""
        self.assertIs(choose(None, None, LIMITS), FRAMES)
        any_length = BodyLimits(inline=100, bulk=1)
        found = [choose(None, length, any_length) for length in (None, 0, 1)]
        self.assertEqual(found, [FRAMES, FRAMES, DATA_CONNECTION])

    def test_no_data_connections(self) -> None:
        """Where there are none, frames carry bodies of any length."""
        self.assertIs(choose(None, 10**9, BodyLimits(inline=100)), FRAMES)

    @given(st.none() | st.integers(0, 300), st.integers(0, 3000), st.integers(0, 300))
    def test_any(self, held: int | None, length: int, inline: int) -> None:
        """What is held never waits for a data connection; what is not is never in the head."""
        limits = BodyLimits(inline, 1000)
        if held is None:
            self.assertIsNot(choose(held, length, limits), INLINE)
        else:
            self.assertIsNot(choose(held, held, limits), DATA_CONNECTION)


class ResponseTests(SynchronousTestCase):
    def test_announced(self) -> None:
        """The head says it by the type of what it has in the body's place."""
        self.assertEqual(announced(b"abc"), (INLINE, b"abc", None))
        self.assertEqual(announced(None), (FRAMES, None, None))
        self.assertEqual(announced({}), (DATA_CONNECTION, None, None))

    def test_length(self) -> None:
        """It is a number of bytes, or not told."""
        for length in 0, 1, 5:
            self.assertEqual(announced({b"length": length}), (DATA_CONNECTION, None, length))
        self.assertEqual(announced({b"length": None}), (DATA_CONNECTION, None, None))

    def test_wrong_lengths(self) -> None:
        """Everything else is an error of the guest."""
        for wrong in (-1, b"5", True, []):
            self.assertRaises(GuestMisbehaved, announced, {b"length": wrong})
