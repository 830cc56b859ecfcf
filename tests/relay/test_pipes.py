"""Pipes: large, used again, closed when there is something in them."""

from __future__ import annotations

import fcntl
import os

from twisted.trial.unittest import SynchronousTestCase

from subproxy.relay.pipes import PipePool


class PipePoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pool = PipePool(size=1 << 18, kept=2)
        self.addCleanup(self.pool.close)

    def test_again(self) -> None:
        """A pipe that comes back empty is given out again."""
        pipe = self.pool.take()
        self.assertGreaterEqual(fcntl.fcntl(pipe.writing, fcntl.F_GETPIPE_SZ), 4096)
        self.assertRaises(BlockingIOError, os.read, pipe.reading, 1)
        self.pool.give(pipe)
        self.assertIs(self.pool.take(), pipe)
        self.pool.give(pipe)
        self.assertEqual((self.pool.out, len(self.pool)), (0, 1))

    def test_not_with_something_in_it(self) -> None:
        """Nobody gets another's bytes."""
        pipe = self.pool.take()
        os.write(pipe.writing, b"x")
        pipe.held = 1
        self.pool.give(pipe)
        self.assertEqual(len(self.pool), 0)
        self.assertRaises(OSError, os.fstat, pipe.reading)
        self.assertRaises(OSError, os.fstat, pipe.writing)

    def test_few_are_kept(self) -> None:
        pipes = [self.pool.take() for _ in range(4)]
        self.assertEqual(self.pool.out, 4)
        for pipe in pipes:
            self.pool.give(pipe)
        self.assertEqual((self.pool.out, len(self.pool)), (0, 2))
        self.pool.close()
        for pipe in pipes:
            self.assertRaises(OSError, os.fstat, pipe.reading)

    def test_more_than_the_kernel_grants(self) -> None:
        """A pipe of the usual size has to do."""
        pool = PipePool(size=1 << 40)
        self.addCleanup(pool.close)
        try:
            pipe = pool.take()
        except OverflowError:
            return
        self.assertGreaterEqual(fcntl.fcntl(pipe.writing, fcntl.F_GETPIPE_SZ), 4096)
        pool.give(pipe)
