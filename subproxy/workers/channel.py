"""
Messages over a socket pair, with descriptors: the two ends of L{subproxy.workers.messages}.

C{SOCK_SEQPACKET} keeps the bounds of packets, and descriptors arrive with the packet that they were
sent with, so that no stream has to be cut. The end of the other process is the end of the channel.
"""

from __future__ import annotations

import array
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from errno import EAGAIN, EINTR, ENOBUFS, ETOOMANYREFS
from typing import Any

from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.printable import printable
from subproxy.workers.messages import (
    MAX_DESCRIPTORS,
    PACKET,
    ChannelMessage,
    MessageBroken,
    MessageDecoder,
    UnknownMessage,
    encode,
)

MESSAGES_A_TURN = 64
"""Messages that are dealt with before others get their turn."""

RETRY = 0.01
"""Seconds until a packet is sent again for which the kernel has no room."""

_ITEM = array.array("i").itemsize


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send_packet(to: socket.socket, packet: bytes, descriptors: Sequence[int]) -> None:
    """
    Send one packet.

    @raise OSError: it can't be sent; C{BlockingIOError}: not now.
    """
    more = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    to.sendmsg([packet], more if descriptors else [], socket.MSG_NOSIGNAL)


def receive_packet(of: socket.socket) -> tuple[bytes, list[int]]:
    """
    Receive one packet; an empty one is the end.

    @raise OSError: nothing can be received; C{BlockingIOError}: not now.
    """
    space = socket.CMSG_SPACE(MAX_DESCRIPTORS * _ITEM)
    packet, more, _, _ = of.recvmsg(PACKET + 1, space, socket.MSG_CMSG_CLOEXEC)
    found = array.array("i")
    for level, kind, data in more:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % _ITEM])
    return packet, list(found)


def send_now(to: socket.socket, sent: ChannelMessage) -> None:
    """
    Send a message over a socket that blocks; its descriptors stay open.

    @raise OSError: nobody is there.
    """
    descriptors: Sequence[int] = sent.descriptors
    for packet in encode(sent):
        send_packet(to, packet, descriptors)
        descriptors = ()


def receive_now(of: socket.socket) -> ChannelMessage | None:
    """
    Receive a message from a socket that blocks; None at the end. One of another version is left
    out.

    @raise MessageBroken: what came is none.
    """
    decoder = MessageDecoder()
    while True:
        packet, descriptors = receive_packet(of)
        if not packet:
            return None
        found = decoder.feed(packet, descriptors)
        if isinstance(found, UnknownMessage):
            _close_all(found.descriptors)
        elif found is not None:
            return found


@implementer(IReadDescriptor, IWriteDescriptor)
class MessageChannel:
    """
    One end of a channel, in a reactor. What another version says, and this one does not know, is
    left out: a line says so, once for each name.

    @param came: is given each message, which owns its descriptors.
    @param ended: is called, once, when the other end is gone or says what is no message.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        end: socket.socket,
        came: Callable[[ChannelMessage], object],
        ended: Callable[[], object],
    ) -> None:
        end.setblocking(False)
        self._reactor = reactor
        self._socket = end
        self._came = came
        self._ended = ended
        self._decoder = MessageDecoder()
        self._unsent: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._writing = False
        self._open = True
        self._unknown: set[str] = set()
        reactor.addReader(self)

    @property
    def is_open(self) -> bool:
        """Whether the other end may hear us."""
        return self._open

    @property
    def waiting(self) -> int:
        """Packets that wait to be sent."""
        return len(self._unsent)

    @property
    def settled(self) -> bool:
        """Whether no message is half sent, or half received."""
        return not self._unsent and not self._decoder.partial

    def send(self, sent: ChannelMessage) -> None:
        """Send a message, as soon as there is room; its descriptors are closed then."""
        if not self._open:
            _close_all(sent.descriptors)
            return
        descriptors = sent.descriptors
        for packet in encode(sent):
            self._unsent.append((packet, descriptors))
            descriptors = ()
        if not self._writing:
            self.doWrite()

    def detach(self) -> int:
        """Close nothing, and forget the socket: its descriptor, for who goes on with it."""
        self._stop()
        return self._socket.detach()

    def close(self) -> None:
        """Close this end, without a word to C{ended}."""
        if self._open:
            self._stop()
            self._socket.close()

    def _stop(self) -> None:
        self._open = False
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        while self._unsent:
            _close_all(self._unsent.popleft()[1])
        _close_all(self._decoder.held)

    def _lose(self) -> None:
        if self._open:
            self.close()
            self._ended()

    # IReadDescriptor and IWriteDescriptor.

    def fileno(self) -> int:
        """See C{IFileDescriptor}."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """See C{ILoggingContext}."""
        return "channel"

    def connectionLost(self, reason: Failure) -> None:
        """See C{IFileDescriptor}."""
        self._lose()

    def doRead(self) -> None:
        """See C{IReadDescriptor}."""
        for _ in range(MESSAGES_A_TURN):
            try:
                packet, descriptors = receive_packet(self._socket)
            except OSError as error:
                if error.errno not in (EAGAIN, EINTR):
                    self._lose()
                return
            if not packet:
                self._lose()
                return
            try:
                found = self._decoder.feed(packet, descriptors)
            except MessageBroken as error:
                self._log.error("the other end says what is no message: {error}", error=error)
                self._lose()
                return
            if isinstance(found, UnknownMessage):
                self._leave_out(found)
            elif found is not None:
                try:
                    self._came(found)
                except Exception:
                    self._log.failure("a message could not be dealt with: {what}", what=found)
            if not self._open:
                return

    def _leave_out(self, said: UnknownMessage) -> None:
        _close_all(said.descriptors)
        if said.name not in self._unknown:
            self._unknown.add(said.name)
            self._log.warn(
                "the other end is of another version: {name} is left out: {why}",
                name=printable(said.name),
                why=printable(said.why),
            )

    def doWrite(self) -> None:
        """See C{IWriteDescriptor}."""
        while self._unsent:
            packet, descriptors = self._unsent[0]
            try:
                send_packet(self._socket, packet, descriptors)
            except OSError as error:
                if error.errno in (ENOBUFS, ETOOMANYREFS):
                    self._watch_writing(False)
                    self._reactor.callLater(RETRY, self._again)
                elif error.errno in (EAGAIN, EINTR):
                    self._watch_writing(True)
                # Of an end that is gone, reading tells.
                return
            self._unsent.popleft()
            _close_all(descriptors)
        self._watch_writing(False)

    def _again(self) -> None:
        if self._open and not self._writing:
            self.doWrite()

    def _watch_writing(self, wanted: bool) -> None:
        if wanted and not self._writing:
            self._reactor.addWriter(self)
        elif self._writing and not wanted:
            self._reactor.removeWriter(self)
        self._writing = wanted


def _close_all(descriptors: Sequence[int]) -> None:
    for each in descriptors:
        try:
            os.close(each)
        except OSError:
            pass
