"""The relay on real sockets, with a reactor that does one thing at a time."""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.relay import pump, splice
from subproxy.relay.flow import Flow, PlainFlow
from subproxy.relay.pipes import PipePool
from subproxy.relay.pump import ALONE, Pump
from subproxy.relay.scheduler import PlainSpliceScheduler, SpliceScheduler
from subproxy.relay.splice import FILL, SpliceRelay
from tests.rigs.examples import examples


class Readiness(Clock):
    """What is needed of a reactor, level-triggered; a turn takes a second."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list = []
        self.writers: list = []
        self.addReader, self.removeReader = self.readers.append, self.readers.remove
        self.addWriter, self.removeWriter = self.writers.append, self.writers.remove

    def turn(self) -> bool:
        """Call whoever is ready; False if nobody is."""
        readable, writable, _ = select.select(self.readers, self.writers, [], 0)
        for each in readable:
            if each in self.readers:
                each.doRead()
        for each in writable:
            if each in self.writers:
                each.doWrite()
        self.advance(1)
        return bool(readable or writable)


class Told:
    """What a relay says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.took = self.gave = 0
        self.blocked = False

    def relay_moved(self, taken: int, given: int) -> None:
        self.took += taken
        self.gave += given

    def relay_blocked(self, blocked: bool) -> None:
        assert blocked is not self.blocked
        self.blocked = blocked

    def relay_done(self) -> None:
        self.said.append("done")

    def source_ended(self) -> None:
        self.said.append("ended")

    def sink_broke(self) -> None:
        self.said.append("broke")


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class SpliceRelayTests(SynchronousTestCase):
    """With what is compiled, if it is."""

    flow: Any = Flow
    rounds: Any = SpliceScheduler

    def setUp(self) -> None:
        self.patch(splice, "Flow", self.flow)
        self.patch(pump, "SpliceScheduler", self.rounds)
        self.reactor = Readiness()
        self.pipes = PipePool(1 << 18)
        self.addCleanup(self.pipes.close)
        self.pipes.give(self.pipes.take())
        self.guest, self.source = socket.socketpair()
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.client = socket.create_connection(server.getsockname())
            self.sink, _ = server.accept()
        for each in (self.guest, self.source, self.client, self.sink):
            each.setblocking(False)
            self.addCleanup(each.close)
        self.told = Told()
        self.all = Pump(self.reactor)
        self.addCleanup(self.all.close)
        self.all._open()
        self.before = open_descriptors()

    def relay(self, length: int) -> SpliceRelay:
        relay = SpliceRelay(
            self.all, self.pipes, self.source.fileno(), self.sink.fileno(), length, self.told
        )
        relay.start()
        return relay

    def calm(self) -> None:
        """Nothing is left of a relay."""
        rounds = self.all._rounds
        assert rounds is not None
        self.assertEqual((rounds.waiting, list(rounds.queue)), ({}, []))
        self.assertEqual((self.pipes.out, open_descriptors()), (0, self.before))

    def pump(self, data: bytes, size: int, step: int = 1 << 20) -> bytes:
        """Send C{data} as far as it goes, until C{size} bytes have come: what came."""
        got = bytearray()
        at = 0
        end = time.monotonic() + 20
        while (at < len(data) or len(got) < size) and time.monotonic() < end:
            try:
                at += self.guest.send(data[at : at + step])
            except BlockingIOError:
                pass
            self.reactor.turn()
            try:
                got += self.client.recv(1 << 20)
            except BlockingIOError:
                pass
        return bytes(got)

    @settings(
        deadline=None,
        max_examples=examples(30),
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(st.integers(1, 3 << 20), st.integers(1000, 1 << 20), st.integers(0, 100))
    def test_whole(self, size: int, step: int, more: int) -> None:
        """Exactly the length is moved, in whatever pieces; what follows stays where it is."""
        self.setUp()
        data = os.urandom(1 << 16) * (size // (1 << 16) + 1)
        self.relay(size)
        got = self.pump(data[: size + more], size, step)
        self.assertTrue(got == data[:size])
        self.assertEqual((self.told.said, self.told.took, self.told.gave), (["done"], size, size))
        if more:
            self.assertEqual(self.source.recv(1000), data[size : size + more])
        self.calm()
        self.doCleanups()

    def test_a_bug_ends_it(self) -> None:
        """What raises in its turn ends it, and the user is told that the rest will not come."""
        relay = self.relay(1000)

        def moved(taken: int, given: int) -> None:
            raise ZeroDivisionError

        self.patch(self.told, "relay_moved", moved)
        self.guest.send(bytes(500))
        for _ in range(6):
            self.reactor.turn()
        self.assertFalse(relay.running)
        self.assertEqual(self.told.said, ["broke"])
        self.assertGreaterEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.calm()

    def test_slow_client(self) -> None:
        """It waits for room, and nothing else; then goes on."""
        self.relay(64 << 20)
        chunk = bytes(1 << 20)
        for _ in range(200):
            try:
                self.guest.send(chunk)
            except BlockingIOError:
                pass
            if not self.reactor.turn() and self.told.blocked:
                break
        self.assertTrue(self.told.blocked)
        self.assertFalse(self.reactor.turn())
        while True:
            try:
                self.assertTrue(self.client.recv(1 << 20), "ended")
            except BlockingIOError:
                if not self.reactor.turn():
                    break
        self.assertFalse(self.told.blocked)

    def test_blocked_to_the_last(self) -> None:
        """Whoever was told that the client takes no more is told that it has taken all."""
        for kept in (0, 1):
            self.setUp()
            self.sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            size = self.guest.send(bytes(150_000))
            self.relay(size + kept)
            self.guest.close()
            while self.reactor.turn():
                pass
            self.assertTrue(self.told.blocked)
            end = time.monotonic() + 20
            while not self.told.said and time.monotonic() < end:
                select.select([self.client], [], [], 0.1)
                try:
                    self.client.recv(1 << 20)
                except BlockingIOError:
                    pass
                self.reactor.turn()
            self.assertEqual(
                (self.told.said, self.told.gave), (["ended" if kept else "done"], size)
            )
            self.assertFalse(self.told.blocked)
            self.doCleanups()

    def test_a_turn_is_bounded(self) -> None:
        """One call moves a bounded number of bytes, however many there are."""
        self.guest.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUFFORCE, 8 << 20) if hasattr(
            socket, "SO_SNDBUFFORCE"
        ) else None
        relay = self.relay(1 << 30)
        self.sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        try:
            self.guest.send(bytes(4 << 20))
        except BlockingIOError:
            pass
        self.reactor.turn()
        self.assertGreater(relay.given, 0)
        self.assertLessEqual(relay.given, ALONE + FILL)

    def test_a_client_that_stops_within_a_turn(self) -> None:
        """Who waits for the client says so, though it was the turn that ended."""
        assert self.all._rounds is not None
        self.all._rounds.alone = self.all._rounds.turn = 1
        self.sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        relay = self.relay(1 << 24)
        for _ in range(200):
            try:
                self.guest.send(bytes(1 << 18))
            except BlockingIOError:
                pass
            if not self.reactor.turn():
                break
        self.assertLess(relay.given, relay.taken)
        self.assertTrue(self.told.blocked)
        relay.stopProducing()
        assert self.all._rounds is not None
        self.assertEqual((self.all._rounds.waiting, self.pipes.out), ({}, 0))

    def test_source_ends(self) -> None:
        """What came is given on, and then it is told."""
        self.guest.send(b"half")
        relay = self.relay(100)
        self.guest.close()
        self.before -= 1
        while self.reactor.turn():
            pass
        self.assertEqual((self.told.said, relay.given), (["ended"], 4))
        self.assertEqual(self.client.recv(10), b"half")
        self.calm()

    def test_sink_breaks(self) -> None:
        """A client that resets the connection ends it; the pipe's bytes are nobody's."""
        self.relay(64 << 20)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.client.close()
        for _ in range(20):
            try:
                self.guest.send(b"x" * 1000)
            except BlockingIOError:
                pass
            self.reactor.turn()
        self.assertEqual(self.told.said, ["broke"])
        assert self.all._rounds is not None
        self.assertEqual((self.all._rounds.waiting, self.pipes.out), ({}, 0))

    def test_stop(self) -> None:
        """Everything is given back, once; nobody is told."""
        self.guest.send(b"x")
        relay = self.relay(10)
        relay.stopProducing()
        relay.stopProducing()
        relay.resumeProducing()
        self.reactor.turn()
        self.assertEqual(self.told.said, [])
        self.calm()

    def test_stop_amid(self) -> None:
        """Who stops it is told what went, and how much of it."""
        relay = self.relay(100)
        self.guest.send(b"x" * 10)
        self.reactor.turn()
        relay.stopProducing()
        self.assertEqual((self.told.took, self.told.gave, self.told.said), (10, 10, []))
        self.reactor.turn()
        self.calm()

    def test_pause(self) -> None:
        """While it is paused nothing moves."""
        relay = self.relay(10)
        relay.pauseProducing()
        self.guest.send(b"x" * 10)
        while self.reactor.turn():
            pass
        self.assertEqual(relay.given, 0)
        relay.resumeProducing()
        self.reactor.turn()
        self.assertEqual(self.told.said, ["done"])
        self.assertEqual(self.client.recv(100), b"x" * 10)

    def test_no_descriptors(self) -> None:
        """Without descriptors there is no relay, and nothing leaks."""
        dup, calls = os.dup, []

        def failing(fd: int) -> int:
            calls.append(fd)
            if len(calls) == 2:
                raise OSError(24, "Too many open files")
            return dup(fd)

        self.patch(os, "dup", failing)
        self.assertRaises(OSError, self.relay, 10)
        self.calm()

    def test_small_pieces(self) -> None:
        """A pipe that is full of little pieces, with room for more bytes, is no empty source."""
        self.sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        relay = self.relay(1 << 20)
        sent = 0
        while True:
            try:
                sent += self.guest.send(b"x" * 100)
            except BlockingIOError:
                break
        while self.reactor.turn():
            pass
        self.assertEqual(relay.given, sent)


class PlainSpliceRelayTests(SpliceRelayTests):
    """With what takes its place."""

    flow = PlainFlow
    rounds = PlainSpliceScheduler
