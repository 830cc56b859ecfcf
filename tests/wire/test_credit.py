"""Tests of subproxy.wire.credit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire.credit import ReceiveWindow, SendWindow
from subproxy.wire.frames import Piece
from subproxy.wire.limits import BODY_CHUNK, MAX_CREDIT


def joined(pieces: list[Piece] | None) -> bytes:
    """Those pieces as one string."""
    assert pieces is not None
    return b"".join(pieces)


class SendWindowTests(SynchronousTestCase):
    def test_within_the_window(self) -> None:
        """What fits goes at once, as it is."""
        window = SendWindow(10)
        data = b"0123456789"
        (piece,) = window.write(data)
        self.assertIs(data, piece)
        self.assertEqual((0, 0), (window.available, window.pending))

    def test_nothing(self) -> None:
        """Nothing makes no piece."""
        window = SendWindow(10)
        self.assertEqual([], window.write(b""))
        self.assertEqual((10, 0), (window.available, window.pending))

    def test_nothing_while_something_waits(self) -> None:
        """Nothing leaves what waits as it was."""
        window = SendWindow(0)
        window.write(b"ab")
        self.assertEqual([], window.write(b""))
        self.assertEqual((0, 2), (window.available, window.pending))
        self.assertEqual(b"ab", joined(window.granted(5)))
        self.assertEqual(3, window.available)

    def test_beyond_the_window(self) -> None:
        """What does not fit waits, and goes in order when credit comes."""
        window = SendWindow(3)
        self.assertEqual([b"abc"], window.write(b"abcde"))
        self.assertEqual((0, 2), (window.available, window.pending))
        self.assertEqual([], window.write(b"fg"))
        self.assertEqual(4, window.pending)
        self.assertEqual([b"de", b"f"], window.granted(3))
        self.assertEqual((0, 1), (window.available, window.pending))
        self.assertEqual([b"g"], window.granted(3))
        self.assertEqual((2, 0), (window.available, window.pending))
        self.assertEqual([b"h"], window.write(b"h"))

    def test_one_byte_at_a_time(self) -> None:
        """Credit of 1 lets 1 go."""
        window = SendWindow(0)
        window.write(b"abc")
        got = [joined(window.granted(1)) for _ in range(3)]
        self.assertEqual([b"a", b"b", b"c"], got)
        self.assertEqual(0, window.pending)

    def test_chunks(self) -> None:
        """No piece is longer than a chunk."""
        window = SendWindow(MAX_CREDIT)
        sizes = [len(piece) for piece in window.write(bytes(BODY_CHUNK * 2 + 1))]
        self.assertEqual([BODY_CHUNK, BODY_CHUNK, 1], sizes)
        window = SendWindow(100, chunk=7)
        self.assertEqual([7, 7, 1], [len(piece) for piece in window.write(bytes(15))])
        data = bytes(7)
        (piece,) = window.write(data)
        self.assertIs(data, piece)

    def test_the_largest_window(self) -> None:
        """A window may be full, and not fuller; then nothing has changed."""
        window = SendWindow(MAX_CREDIT - 1)
        self.assertEqual([], window.granted(1))
        self.assertEqual(MAX_CREDIT, window.available)
        self.assertIsNone(window.granted(1))
        self.assertEqual(MAX_CREDIT, window.available)

    def test_take(self) -> None:
        """What waits goes another way, from the byte on that is next; then nothing waits."""
        window = SendWindow(0)
        window.write(b"abcde")
        window.write(b"fg")
        window.granted(2)
        self.assertEqual([b"cde", b"fg"], window.take())
        self.assertEqual((0, 0, []), (window.available, window.pending, window.take()))
        window.write(b"hi")
        self.assertEqual(b"hi", joined(window.granted(3)))
        self.assertEqual([], window.take())

    def test_what_waits_is_not_copied(self) -> None:
        """The pieces of a long write are views of it, however little credit comes at a time."""
        window = SendWindow(0)
        data = bytes(10_000_000)
        window.write(data)
        for _ in range(1000):
            (piece,) = window.granted(100) or ()
            assert isinstance(piece, memoryview)
            self.assertIs(data, piece.obj)
        self.assertEqual(10_000_000 - 100_000, window.pending)

    @given(
        st.integers(0, 50),
        st.integers(1, 9),
        st.lists(st.one_of(st.binary(max_size=30), st.integers(1, 20)), max_size=30),
    )
    def test_any_order(self, available: int, chunk: int, steps: list[bytes | int]) -> None:
        """Whatever is written and granted: never more than credit, never late, in order."""
        window = SendWindow(available, chunk)
        written = sent = b""
        credit = available
        for step in steps:
            if isinstance(step, bytes):
                written += step
                pieces = window.write(step)
            else:
                credit += step
                pieces = window.granted(step) or []
            assert all(0 < len(piece) <= chunk for piece in pieces)
            sent += joined(pieces)
            assert sent == written[:credit]
            assert window.pending == len(written) - len(sent)
            assert window.available == credit - len(sent)


class ReceiveWindowTests(SynchronousTestCase):
    def test_full_at_the_start(self) -> None:
        """Unless something else is said, the peer may send the whole window."""
        window = ReceiveWindow(10)
        self.assertEqual((10, 10), (window.size, window.left))
        self.assertTrue(window.received(10))
        self.assertEqual(0, window.left)
        self.assertFalse(window.received(1))

    def test_exact(self) -> None:
        """The last byte of a window is allowed."""
        window = ReceiveWindow(3)
        self.assertTrue(window.received(2))
        self.assertTrue(window.received(1))
        self.assertFalse(window.received(1))

    def test_grants_when_half_can_be_granted(self) -> None:
        """Credit goes back in halves of a window."""
        window = ReceiveWindow(10)
        window.received(10)
        self.assertEqual(0, window.consumed(4))
        self.assertEqual(5, window.consumed(1))
        self.assertEqual(5, window.left)
        self.assertEqual(0, window.consumed(4))
        window.received(1)
        self.assertEqual(6, window.consumed(2))
        self.assertEqual(10, window.left)

    def test_odd_window(self) -> None:
        """Half of an odd window is the larger half."""
        window = ReceiveWindow(5)
        window.received(5)
        self.assertEqual(0, window.consumed(2))
        self.assertEqual(3, window.consumed(1))

    def test_window_of_one(self) -> None:
        """The smallest window works."""
        window = ReceiveWindow(1)
        self.assertTrue(window.received(1))
        self.assertEqual(1, window.consumed(1))
        self.assertTrue(window.received(1))

    def test_closed_at_the_start(self) -> None:
        """A window that starts at 0 is granted whole, when somebody says that it is wanted."""
        window = ReceiveWindow(10, 0)
        self.assertFalse(ReceiveWindow(10, 0).received(1))
        self.assertEqual(10, window.consumed(0))
        self.assertEqual(10, window.left)
        self.assertTrue(window.received(10))
        self.assertEqual(0, window.consumed(4))

    @given(st.integers(1, 100), st.lists(st.integers(1, 40)))
    def test_no_stall_and_no_overrun(self, size: int, amounts: list[int]) -> None:
        """A peer that has been read from can always send, and never more than a window."""
        window = ReceiveWindow(size)
        for amount in amounts:
            take = min(amount, window.left)
            assert window.received(take)
            window.consumed(take)
            assert 0 < window.left <= size
