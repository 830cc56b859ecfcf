"""A unix socket that listens, and accepts when it is told to."""

from __future__ import annotations

import os
import socket
import tempfile

from twisted.trial.unittest import SynchronousTestCase


class UnixListener:
    """
    Listens, with room for one connection that is not accepted yet.

    @ivar path: where; it begins with NUL if the socket is abstract.
    """

    def __init__(self, case: SynchronousTestCase, abstract: bool = False) -> None:
        folder = tempfile.TemporaryDirectory()
        case.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "s")
        if abstract:
            self.path = "\0" + self.path
        self._case = case
        self._listening = self._socket()
        self._listening.bind(self.path)
        self._listening.listen(0)

    def _socket(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        self._case.addCleanup(made.close)
        return made

    def fill(self) -> None:
        """Take the room that there is; BlockingIOError if there is none."""
        taking = self._socket()
        taking.setblocking(False)
        taking.connect(self.path)

    def accept(self) -> socket.socket:
        """Who has come first."""
        accepted, _ = self._listening.accept()
        self._case.addCleanup(accepted.close)
        return accepted
