"""Machines that end, in whatever way, leave nothing; for an hour it is C{starts_and_stops}."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import World, wait_until
from tests.integration.leftovers import descendants, leftovers, sockets_of
from tests.integration.starts_and_stops import StartsAndStops
from tests.integration.successors import Line


class StartsAndStopsTests(SynchronousTestCase):
    def test_nothing_is_left(self) -> None:
        """After two rounds of all ways there is what there was after the first."""
        world = World()
        self.addCleanup(world.close)
        there = StartsAndStops(world, None)
        for way in there.ways:
            there.go(way)
        first = there.look()
        for way in [*there.ways, *there.ways]:
            there.go(way)
        self.assertTrue(there.compare(first), there.more)
        self.assertEqual(there.counts, dict.fromkeys(there.ways, 3))

    def test_next_program(self) -> None:
        """What it has of the program before it no worker has, and it ends with its machine."""
        world = World()
        self.addCleanup(world.close)
        there = StartsAndStops(world, None)
        there.ask("steady")
        inodes = {
            line.split()[6]
            for line in Path("/proc/net/unix").read_text().splitlines()
            if f"{there.machines}/steady/0/" in line and line.split()[5] == "01"
        }
        parent = there.proxy.child.pid
        Line(world).hand_over()
        there.ask("steady")

        def holders() -> set[int]:
            return {pid for pid in descendants(parent) if inodes & set(sockets_of(pid))}

        wait_until(lambda: holders() == {parent}, f"only {parent} to have it: {holders()}")
        there.tell("stop", "steady")
        there.until("cold", name="steady")
        wait_until(lambda: not holders(), "its end")


class LeftoversTests(SynchronousTestCase):
    def test_seen(self) -> None:
        """A descriptor, a process, a socket and a file more are each told."""
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(folder.rmdir)
        before = leftovers(os.getpid(), folder, folder)
        child = subprocess.Popen([sys.executable, "-c", "input()", folder], stdin=subprocess.PIPE)
        self.addCleanup(child.communicate, b"\n")
        path = folder / "vsock"
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
            self.addCleanup(path.unlink)
            wait_until(
                lambda: leftovers(os.getpid(), folder, folder).processes != before.processes, "it"
            )
            more = leftovers(os.getpid(), folder, folder).beyond(before)
        self.assertEqual(more["files"], ["vsock"])
        self.assertEqual(more["sockets"], {"vsock": 1})
        self.assertEqual(set(more), {"processes", "descriptors", "sockets", "files"})
