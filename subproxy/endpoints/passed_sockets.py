"""Which listening sockets a service manager has passed to this process (sd_listen_fds(3))."""

from __future__ import annotations

import os
from collections.abc import Mapping

from twisted.internet.endpoints import _SystemdParser
from twisted.python.systemd import ListenFDs

__all__ = ["passed_sockets", "unnamed_sockets"]

_FIRST = 3
"""The descriptor of the first; the others follow it."""

_STARTED = os.getpid()
"""The process that was started: it goes on as another one in the background."""


def passed_sockets() -> ListenFDs:
    """All of them. Twisted's C{systemd:} endpoints know the same ones from then on."""
    found: ListenFDs = _SystemdParser._sddaemon
    if not found.inheritedDescriptors():
        found = _SystemdParser._sddaemon = unnamed_sockets(_environment(), _STARTED)
    return found


def unnamed_sockets(environment: Mapping[bytes, bytes], pid: int) -> ListenFDs:
    """
    Sockets without names, of which Twisted 26.10 says that nothing was passed.

    C{systemd-socket-activate} gives them none, unless it is told to.

    @param environment: with which the process C{pid} was started.
    """
    count = environment.get(b"LISTEN_FDS", b"")
    ours = environment.get(b"LISTEN_PID") == b"%d" % pid
    if not ours or b"LISTEN_FDNAMES" in environment or not count.isdigit():
        return ListenFDs([])
    return ListenFDs([*range(_FIRST, _FIRST + int(count))])


def _environment() -> dict[bytes, bytes]:
    """That of the start: Twisted takes the variables out of C{os.environ} when it is imported."""
    try:
        with open("/proc/self/environ", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return {}
    return {name: value for name, _, value in (word.partition(b"=") for word in words)}
