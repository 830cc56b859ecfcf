"""Keys of sessions that processes share: when there are others, and what is left to a program."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tls.ticket_key_ring import ROTATION, SIZE, TicketKeyRing


class TicketKeyRingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.made = 0
        self.ring = self.ringing()

    def ringing(self, *left: list[str | float]) -> TicketKeyRing:
        return TicketKeyRing(lambda: self.now, *(left or ((),)), self.random)

    def random(self, size: int) -> bytes:
        self.made += 1
        return bytes([self.made]) * size

    def key(self, number: int) -> bytes:
        return bytes([number]) * SIZE

    def test_rotation(self) -> None:
        """One is given out for a while, and good for as long again."""
        self.assertEqual(self.ring.keys, self.key(1))
        self.now += ROTATION - 1
        self.assertFalse(self.ring.rotate())
        self.now += 1
        self.assertTrue(self.ring.rotate())
        self.assertEqual(self.ring.keys, self.key(2) + self.key(1))
        self.now += ROTATION
        self.assertTrue(self.ring.rotate())
        self.assertEqual(self.ring.keys, self.key(3) + self.key(2))
        # The machine has slept.
        self.now += 2 * ROTATION
        self.assertTrue(self.ring.rotate())
        self.assertEqual(self.ring.keys, self.key(4))

    def test_the_next_program(self) -> None:
        """It goes on with the same keys, and lets them go when they were due."""
        self.now += ROTATION
        self.ring.rotate()
        self.now += 10
        other = self.ringing(self.ring.data())
        self.assertEqual(other.keys, self.ring.keys)
        self.now += ROTATION - 11
        self.assertFalse(other.rotate())
        self.now += 1
        self.assertTrue(other.rotate())
