"""Pipes: large, used again, closed when there is something in them."""

from __future__ import annotations

import fcntl
import os

from twisted.trial.unittest import SynchronousTestCase

from subproxy.relay import pipes
from subproxy.relay.pipes import PipePool


class Refusing:
    """A kernel without any more pages for pipes."""

    F_SETPIPE_SZ = fcntl.F_SETPIPE_SZ

    @staticmethod
    def fcntl(fd: int, command: int, size: int) -> int:
        raise PermissionError


class PipePoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pool = PipePool(size=1 << 18, kept=2, many=0)
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
        taken = [self.pool.take() for _ in range(4)]
        self.assertEqual(self.pool.out, 4)
        for pipe in taken:
            self.pool.give(pipe)
        self.assertEqual((self.pool.out, len(self.pool)), (0, 2))
        self.pool.close()
        for pipe in taken:
            self.assertRaises(OSError, os.fstat, pipe.reading)

    def test_more_than_the_kernel_grants(self) -> None:
        """A pipe of the usual size has to do."""
        pool = PipePool(size=1 << 30, large=1 << 30)
        self.addCleanup(pool.close)
        self.patch(pipes, "fcntl", Refusing)
        pipe = pool.take()
        self.assertFalse(pipe.large)
        self.assertGreaterEqual(fcntl.fcntl(pipe.writing, fcntl.F_GETPIPE_SZ), 4096)
        pool.give(pipe)

    def test_the_first_are_larger(self) -> None:
        """These are kept, and given out before the others."""
        pool = PipePool(size=1 << 16, kept=2, large=1 << 18, many=2)
        self.addCleanup(pool.close)
        taken = [pool.take() for _ in range(4)]
        sizes = [fcntl.fcntl(pipe.writing, fcntl.F_GETPIPE_SZ) for pipe in taken]
        self.assertEqual(sizes, [1 << 18, 1 << 18, 1 << 16, 1 << 16])
        for pipe in (taken[0], taken[2], taken[1], taken[3]):
            pool.give(pipe)
        self.assertEqual(pool.idle, [taken[2], taken[0], taken[1]])
        self.assertIs(pool.take(), taken[1])
        pool.give(taken[1])

    def test_one_that_is_lost(self) -> None:
        """Another is as large instead of it."""
        pool = PipePool(many=1)
        self.addCleanup(pool.close)
        pipe = pool.take()
        os.write(pipe.writing, b"x")
        pipe.held = 1
        pool.give(pipe)
        pipe = pool.take()
        self.assertTrue(pipe.large)
        pool.give(pipe)

    def test_closed(self) -> None:
        """Another is as large instead of one that was closed, too."""
        pool = PipePool(many=1)
        self.addCleanup(pool.close)
        pool.give(pool.take())
        pool.close()
        pipe = pool.take()
        self.assertTrue(pipe.large)
        pool.give(pipe)
