"""The inmost part of relays, in Python and compiled: the same on the same sockets."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy.relay.flow import LITTLE, MUCH, Flow, Outcome, PlainFlow
from tests.rigs.examples import examples

KINDS: list[Any] = list({PlainFlow, Flow})
PIPE = 1 << 16


class Way:
    """A source, a sink, and a flow between them."""

    def __init__(self, kind: Any, length: int) -> None:
        self.guest, self.source = socket.socketpair()
        self.sink, self.client = socket.socketpair()
        for each in (self.guest, self.source, self.sink, self.client):
            each.setblocking(False)
        self.exit, self.entry = os.pipe2(os.O_NONBLOCK)
        self.flow = kind(
            self.source.fileno(), self.sink.fileno(), self.entry, self.exit, PIPE, length
        )

    def counts(self) -> tuple[int, int, int, int]:
        flow = self.flow
        return flow.taken, flow.given, flow.held, flow.left

    def send(self, data: bytes) -> int:
        try:
            return self.guest.send(data)
        except (BlockingIOError, BrokenPipeError):
            return 0

    def read(self, size: int) -> bytes:
        try:
            return self.client.recv(size)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        for each in (self.guest, self.source, self.sink, self.client):
            each.close()
        os.close(self.entry)
        os.close(self.exit)


class FlowTests(SynchronousTestCase):
    def way(self, kind: Any, length: int) -> Way:
        way = Way(kind, length)
        self.addCleanup(way.close)
        return way

    def way_to_client(self, kind: Any) -> tuple[Way, socket.socket]:
        """A large way to a client over TCP, and that client."""
        way = self.way(kind, 1 << 30)
        way.guest.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        way.flow.size = 1 << 20
        fcntl.fcntl(way.entry, fcntl.F_SETPIPE_SZ, 1 << 20)
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            sink, _ = server.accept()
        self.addCleanup(client.close)
        self.addCleanup(sink.close)
        sink.setblocking(False)
        way.flow.sink = sink.fileno()
        return way, client

    def test_outcomes(self) -> None:
        """Each reason to stop."""
        for kind in KINDS:
            way = self.way(kind, 1000)
            self.assertEqual(way.flow.move(100), Outcome.EMPTY)
            way.send(b"a" * 400)
            self.assertEqual(way.flow.move(1000), Outcome.EMPTY)
            way.send(b"b" * 400)
            self.assertEqual(way.flow.move(100), Outcome.SPENT)
            way.send(b"c" * 400)
            self.assertEqual(way.flow.move(1000), Outcome.DONE)
            self.assertEqual(way.counts(), (1000, 1000, 0, 0))
            self.assertEqual(way.source.recv(1000), b"c" * 200)
            self.assertEqual(way.read(2000), b"a" * 400 + b"b" * 400 + b"c" * 200)

    def test_ends(self) -> None:
        """A source that ends gives first what it has; a sink that is closed takes no more."""
        for kind in KINDS:
            way = self.way(kind, 1000)
            way.send(b"a" * 10)
            way.guest.close()
            self.assertEqual(way.flow.move(1000), Outcome.ENDED)
            self.assertEqual(way.read(100), b"a" * 10)
            way = self.way(kind, 1000)
            way.send(b"a" * 10)
            way.client.close()
            self.assertEqual(way.flow.move(1000), Outcome.BROKEN)
            self.assertEqual(way.counts(), (10, 0, 10, 990))

    def test_full(self) -> None:
        """What the sink does not take is held, and counted; it goes on from there."""
        for kind in KINDS:
            way = self.way(kind, 1 << 30)
            sent = 0
            while (outcome := way.flow.move(1 << 20)) != Outcome.FULL:
                self.assertIn(outcome, (Outcome.EMPTY, Outcome.SPENT))
                sent += way.send(bytes(1 << 16))
            taken, given_, held, _ = way.counts()
            self.assertEqual(taken, given_ + held)
            self.assertGreater(held, 0)
            got = 0
            while got < sent:
                got += len(way.read(1 << 20))
                way.flow.move(1 << 20)
            self.assertEqual(got, sent)

    def test_how_much_is_asked_for(self) -> None:
        """Little at first, and after a fill that the sink did not take at once; else much."""
        way = self.way(PlainFlow, 1 << 30)
        way.flow.size = 1 << 20
        fcntl.fcntl(way.entry, fcntl.F_SETPIPE_SZ, 1 << 20)
        way.guest.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        way.sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LITTLE)
        for most, amount in (
            (1 << 30, LITTLE),
            (1 << 30, MUCH),  # (more than it takes)
            (1 << 30, LITTLE),
            (2 * LITTLE, 2 * LITTLE),
            (1, LITTLE),
        ):
            while way.send(bytes(LITTLE)):
                pass
            before = way.flow.taken
            way.flow.move(1, most)
            self.assertEqual(way.flow.taken - before, amount)
            while way.read(1 << 20) or way.flow.held:
                if way.flow.held:
                    way.flow.move(1)

    def test_room(self) -> None:
        """A unix socket's room is asked for, where that is compiled, from the first fill on; but
        little is always taken."""
        if Flow is PlainFlow:
            raise SkipTest("not compiled")
        way = self.way(Flow, 1 << 30)
        way.flow.size = 1 << 20
        fcntl.fcntl(way.entry, fcntl.F_SETPIPE_SZ, 1 << 20)
        for each in (way.guest, way.sink):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        filled = []
        for _ in range(8):
            while way.send(bytes(LITTLE)):
                pass
            before = way.flow.taken
            way.flow.move(1)
            filled.append(way.flow.taken - before)
            if way.flow.held:
                break
        self.assertGreater(filled[0], MUCH)
        self.assertLessEqual(way.flow.held, LITTLE)

    def test_a_new_connection_that_is_not_read(self) -> None:
        """The buffer of a TCP socket may be less than its client's window: little is left over."""
        for kind in KINDS:
            way, _ = self.way_to_client(kind)
            outcome = Outcome.EMPTY
            while outcome != Outcome.FULL:
                way.send(bytes(LITTLE))
                outcome = way.flow.move(1)
                self.assertLessEqual(way.flow.held, LITTLE)

    def test_read_no_more(self) -> None:
        """A client that has read is given much at once; when it stops, little is left over."""
        for kind in KINDS:
            way, client = self.way_to_client(kind)
            client.setblocking(False)
            largest = 0
            outcome = Outcome.EMPTY
            while outcome != Outcome.FULL:
                while way.send(bytes(LITTLE)):
                    pass
                before = way.flow.taken
                outcome = way.flow.move(1)
                largest = max(largest, way.flow.taken - before)
                while way.flow.given < 64 << 20:
                    try:
                        client.recv(1 << 20)
                    except BlockingIOError:
                        break
            self.assertGreaterEqual(largest, MUCH)
            self.assertLessEqual(way.flow.held, MUCH if kind is PlainFlow else LITTLE)

    def test_a_sink_that_cannot_tell(self) -> None:
        """What takes all is given all, whatever it is."""
        for kind in KINDS:
            way = self.way(kind, 1 << 30)
            way.guest.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            with open(os.devnull, "wb") as nowhere:
                flow = kind(
                    way.source.fileno(), nowhere.fileno(), way.entry, way.exit, PIPE, 1 << 30
                )
                way.send(bytes(2 * PIPE))
                self.assertEqual(flow.move(1 << 30), Outcome.EMPTY)
                self.assertEqual(flow.given, 2 * PIPE)

    @settings(deadline=None, max_examples=examples(60))
    @given(
        st.integers(1, 300_000),
        st.lists(
            st.one_of(
                st.tuples(st.just("send"), st.integers(1, 100_000)),
                st.tuples(st.just("move"), st.integers(1, 200_000)),
                st.tuples(st.just("read"), st.integers(1, 200_000)),
                st.tuples(st.just("end"), st.just(0)),
            ),
            max_size=30,
        ),
    )
    def test_alike(self, length: int, steps: list[tuple[str, int]]) -> None:
        """Whatever happens: the same outcomes, counts and bytes; and none is lost or made up."""
        ways = [Way(kind, length) for kind in KINDS]
        sent, got, over = bytearray(), bytearray(), False
        pattern = os.urandom(1 << 10) * 100
        for what, size in steps:
            seen: list[Any] = []
            for way in ways:
                if what == "send" and not over:
                    seen.append(way.send(pattern[:size]))
                elif what == "move":
                    seen.append((way.flow.move(size), way.counts()))
                elif what == "read":
                    seen.append(way.read(size))
                elif what == "end":
                    way.guest.close()
            self.assertTrue(all(each == seen[0] for each in seen))
            if what == "send" and seen:
                sent += pattern[: seen[0]]
            elif what == "read":
                got += seen[0]
            over = over or what == "end"
        for way in ways:
            self.assertTrue(way.counts()[1] >= len(got))
            way.close()
        self.assertTrue(sent.startswith(got) and len(got) <= length)
