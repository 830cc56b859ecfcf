"""
Which of several equal processes in one VM this is.

The proxy keeps one subscription for each (VM, application, worker): a new instance
replaces the old one (docs/protocol.md, "Instances"). So that processes of the same application
stand beside each other instead, each takes the first free number.
"""

from __future__ import annotations

import errno
import hashlib
import socket

MOST = 1024
"""How many workers of one application a VM may have."""


class NoFreeWorker(Exception):
    """All worker numbers of this application are taken."""


class WorkerSlot:
    """
    One worker number, held until L{release} or until the process dies.

    It is held by binding an abstract unix socket, which the kernel frees whatever happens to
    the process. Abstract names are those of one network namespace: containers of one VM that have
    namespaces of their own don't see each other, and want numbers given by hand.

    @ivar number: from 0.
    """

    def __init__(self, number: int, held: socket.socket | None) -> None:
        self.number = number
        self._held = held

    def release(self) -> None:
        """Give the number back."""
        if self._held is not None:
            self._held.close()
            self._held = None


def take(application: str, most: int = MOST) -> WorkerSlot:
    """
    The first free worker number of C{application} in this VM.

    @raise NoFreeWorker: none of C{most} is free.
    @raise OSError: there are no unix sockets here.
    """
    for number in range(most):
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            held.bind(name(application, number))
        except OSError as error:
            held.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return WorkerSlot(number, held)
    raise NoFreeWorker(f"{most} workers of {application} run already")


def name(application: str, number: int) -> bytes:
    """The abstract name of a slot: short enough however long the application's name is."""
    digest = hashlib.sha256(application.encode()).hexdigest()[:32]
    return b"\0subproxy-guest/" + f"{digest}/{number}".encode()
