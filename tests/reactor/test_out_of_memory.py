"""A lack of memory is told, but seldom, and ends nothing."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.reactor import out_of_memory as module
from subproxy.reactor.out_of_memory import OutOfMemoryHandler


class ShortageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 5.0
        self.patch(module, "monotonic", lambda: self.now)
        self.told: list[int] = []
        self.failing = False
        self.shortage = OutOfMemoryHandler()
        self.shortage._log = self  # type: ignore[assignment]

    def error(self, text: str, times: int) -> None:
        if self.failing:
            raise MemoryError
        self.told.append(times)

    def test_seldom(self) -> None:
        """One line a second, with how many there would have been."""
        for _ in range(3):
            self.shortage.tell()
        self.assertEqual(self.told, [1])
        self.now += 1.0
        self.shortage.tell()
        self.assertEqual(self.told, [1, 3])

    def test_even_telling_fails(self) -> None:
        """Then it is told later."""
        self.failing = True
        self.shortage.tell()
        self.failing = False
        self.now += 1.0
        self.shortage.tell()
        self.assertEqual(self.told, [2])

    def test_context(self) -> None:
        """What it is round ends without an exception, if memory was the reason."""
        with self.shortage:
            raise MemoryError
        self.assertEqual(self.told, [1])
        with self.assertRaises(ValueError), self.shortage:
            raise ValueError
