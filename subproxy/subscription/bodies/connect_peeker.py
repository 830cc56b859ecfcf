"""
Waits for C{connect} on an idle data connection, and reads no byte beyond it.

A transport reads as much as there is: with C{connect} the beginning of the body, which then has to
be copied, and on the ring a receive would have to be armed and cancelled for each body. So while a
connection is idle its transport does not read; its socket is looked at here, beside it.

Compiled a second time: L{subproxy.fastpath._claim_watch}
(see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.wire.errors import FrameError
from subproxy.wire.frames import Frame, FrameDecoder

MOST = 512
"""Bytes that are looked at: more than a C{connect} has."""


@implementer(IReadDescriptor)
class ConnectPeeker:
    """
    Watches one socket.

    @param came: is given a whole frame.
    @param odd: is called when the transport should read instead: the stream has ended, or a
        frame comes in pieces, or what comes is none.
    """

    def __init__(
        self,
        reactor: Any,
        fd: int,
        came: Callable[[Frame], None],
        odd: Callable[[], None],
    ) -> None:
        """
        Take a descriptor, of which a duplicate is made.

        @raise OSError: there is none to be had.
        """
        self._reactor = reactor
        self._socket = socket.socket(fileno=os.dup(fd))
        self._socket.setblocking(False)
        self._came = came
        self._odd = odd
        self._watching = False

    def start(self) -> None:
        """Look from now on."""
        if not self._watching:
            self._watching = True
            self._reactor.addReader(self)

    def stop(self) -> None:
        """Look no more for now."""
        if self._watching:
            self._watching = False
            self._reactor.removeReader(self)

    def close(self) -> None:
        """Look no more."""
        self.stop()
        self._socket.close()

    def send(self, data: bytes) -> bool:
        """Send few bytes at once; False if that can't be done."""
        try:
            return self._socket.send(data) == len(data)
        except OSError:
            return False

    # IReadDescriptor.

    def fileno(self) -> int:
        """See C{IFileDescriptor}."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """See C{ILoggingContext}."""
        return "data connection"

    def connectionLost(self, reason: Failure) -> None:
        """See C{IFileDescriptor}."""
        self.stop()
        self._odd()

    def doRead(self) -> None:
        """See C{IReadDescriptor}."""
        decoder = FrameDecoder(MOST)
        frame = None
        try:
            data = self._socket.recv(MOST, socket.MSG_PEEK)
            decoder.feed(data)
            frame = decoder.next()
            if frame is not None:
                self._socket.recv(len(data) - decoder.pending)
        except BlockingIOError:
            return
        except (OSError, FrameError):
            frame = None
        self.stop()
        if frame is None:
            self._odd()
        else:
            self._came(frame)
