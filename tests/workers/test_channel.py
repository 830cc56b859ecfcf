"""Messages over a real socket pair, in a reactor that only remembers whom it watches."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from subproxy.workers import messages as msg
from subproxy.workers.channel import (
    MessageChannel,
    channel_pair,
    receive_now,
    send_now,
    send_packet,
)
from subproxy.workers.messages import ChannelMessage


class WatchingClock(Clock):
    """A clock that is told whom to watch."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard


class ChannelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = WatchingClock()
        ours, self.theirs = channel_pair()
        self.came: list[ChannelMessage] = []
        self.ended: list[bool] = []
        self.channel = MessageChannel(
            self.clock, ours, self.came.append, lambda: self.ended.append(True)
        )
        self.addCleanup(self.channel.close)
        self.addCleanup(self.theirs.close)

    def test_both_ways(self) -> None:
        """What is sent is received, at once."""
        self.channel.send(msg.Ask(1, "metrics", []))
        self.assertEqual(receive_now(self.theirs), msg.Ask(1, "metrics", []))
        send_now(self.theirs, msg.Answer(1, payload=b"x" * 200_000))
        self.channel.doRead()
        self.assertEqual(self.came, [msg.Answer(1, payload=b"x" * 200_000)])

    def test_descriptors(self) -> None:
        """The receiver has one of its own; that of the sender is closed."""
        read, write = os.pipe()
        self.channel.send(msg.PassedGuest("cid:7", [], False, descriptors=(read,)))
        self.assertRaises(OSError, os.fstat, read)
        found = receive_now(self.theirs)
        assert found is not None
        os.write(write, b"there")
        self.assertEqual(os.read(found.descriptors[0], 9), b"there")
        for each in (found.descriptors[0], write):
            os.close(each)

    def test_a_full_socket(self) -> None:
        """What does not fit waits until it does, in order, and nothing is settled before."""
        self.theirs.setblocking(False)
        for number in range(40):
            self.channel.send(msg.Answer(number, payload=b"x" * 50_000))
        self.assertGreater(self.channel.waiting, 0)
        self.assertFalse(self.channel.settled)
        self.assertEqual(self.clock.writers, {self.channel})
        found: list[int] = []
        while len(found) < 40:
            try:
                each = receive_now(self.theirs)
            except BlockingIOError:
                self.channel.doWrite()
                continue
            assert isinstance(each, msg.Answer)
            found.append(each.number)
        self.assertEqual(found, list(range(40)))
        self.channel.doWrite()
        self.assertTrue(self.channel.settled)
        self.assertEqual(self.clock.writers, set())

    def test_the_end(self) -> None:
        """It is told once; what is sent afterwards is dropped, and its descriptors are closed."""
        self.theirs.close()
        self.channel.doRead()
        self.assertEqual((self.ended, self.channel.is_open), ([True], False))
        self.assertEqual(self.clock.readers, set())
        descriptor = os.open(os.devnull, os.O_RDONLY)
        self.channel.send(msg.PassedGuest("cid:7", [], False, descriptors=(descriptor,)))
        self.assertRaises(OSError, os.fstat, descriptor)
        self.channel.close()
        self.assertEqual(self.ended, [True])

    def test_nonsense(self) -> None:
        """Who says what is no message is not listened to any longer."""
        self.theirs.send(b"?")
        self.channel.doRead()
        self.assertEqual(self.ended, [True])
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_another_version(self) -> None:
        """What it says more is left out, descriptors closed; what comes behind it is heard."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        for _ in range(2):
            send_packet(self.theirs, b'.["FromTheFuture", {"x": 1}, 1]\n', [write])
            send_now(self.theirs, msg.Ready())
        os.close(write)
        with capturedLogs() as logged:
            self.channel.doRead()
        self.assertEqual(self.came, [msg.Ready()] * 2)
        self.assertEqual((self.ended, self.channel.is_open), ([], True))
        self.assertEqual(os.read(read, 1), b"")
        self.assertEqual([each["name"] for each in logged], ["FromTheFuture"])

    def test_another_version_of_who_waits(self) -> None:
        """Likewise where somebody waits for the next message."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        here, there = channel_pair()
        for each in (here, there):
            self.addCleanup(each.close)
        send_packet(there, b'.["FromTheFuture", {}, 1]\n', [write])
        os.close(write)
        send_now(there, msg.Ready())
        self.assertEqual(receive_now(here), msg.Ready())
        self.assertEqual(os.read(read, 1), b"")

    def test_a_failure_stops_nobody(self) -> None:
        """What goes wrong with one message is logged."""
        ours, theirs = channel_pair()
        self.addCleanup(theirs.close)

        def fail(said: ChannelMessage) -> None:
            raise ZeroDivisionError

        channel = MessageChannel(self.clock, ours, fail, lambda: None)
        self.addCleanup(channel.close)
        send_now(theirs, msg.Ready())
        send_now(theirs, msg.Ready())
        channel.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertTrue(channel.is_open)

    def test_kind(self) -> None:
        """Packets are kept apart by the socket."""
        self.assertEqual(self.theirs.type & 0xF, socket.SOCK_SEQPACKET)
