"""Connections that wait for a request."""

from __future__ import annotations

from tests.rigs.program_case import ProgramCase

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%b\r\n"


class PoolTests(ProgramCase):
    def idle(self, count: int = 1, fields: bytes = b"") -> None:
        """So many connections have just become idle."""
        for _ in [self.ask() for _ in range(count)]:
            pass
        for line in self.dialler.lines[-count:]:
            self.program(OK % fields, line=line)
        self.assertEqual(len(self.pool), count)

    def test_not_after_a_second_and_a_half(self) -> None:
        """By then it is closed, too."""
        self.idle()
        self.advance(1.45)
        self.assertFalse(self.line.aborted)
        self.ask()
        self.assertEqual(len(self.dialler.lines), 1)
        self.program(OK % b"")
        self.advance(1.51)
        self.assertTrue(self.line.aborted)
        self.ask()
        self.assertEqual(len(self.dialler.lines), 2)

    def test_the_last_one_first(self) -> None:
        """So the others become old, and are closed."""
        self.idle(3)
        last = self.line
        for _ in range(4):
            self.advance(0.5)
            self.ask()
            self.program(OK % b"", line=last)
        self.assertEqual([line.aborted for line in self.dialler.lines], [True, True, False])
        self.assertEqual(len(self.pool), 1)

    def test_a_program_that_closes_early(self) -> None:
        """It says so: a second is halved, five are not asked for."""
        self.idle(1, b"Keep-Alive: timeout=1\r\n")
        self.advance(0.6)
        self.assertTrue(self.line.aborted)
        self.idle(1, b"Keep-Alive: timeout=5\r\n")
        self.advance(1.4)
        self.assertFalse(self.line.aborted)

    def test_a_stale_one_that_was_not_swept_yet(self) -> None:
        self.idle()
        self.loop.selector.now += 2
        self.assertIsNone(self.pool.take(False))
        self.assertTrue(self.line.aborted)

    def test_the_program_closes(self) -> None:
        self.idle()
        self.program(None)
        self.assertEqual(len(self.pool), 0)

    def test_the_program_speaks_unasked(self) -> None:
        """408, say."""
        self.idle()
        self.program(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        self.assertTrue(self.line.aborted)
        self.assertEqual(len(self.pool), 0)

    def test_clear(self) -> None:
        self.idle(2)
        self.pool.clear()
        self.assertEqual([line.aborted for line in self.dialler.lines], [True, True])
        self.pool.clear()
        self.advance(5)
        self.assertEqual(len(self.pool), 0)
