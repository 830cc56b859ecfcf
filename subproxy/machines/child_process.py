"""
A process that outlives the program that started it: it stays a child when that executes itself
anew, and is watched by a descriptor (C{pidfd_open}), not by a signal.

It ends when the process that started it does (C{PR_SET_PDEATHSIG}), has a session of its own, no
descriptors but those that it is given, and can gain no privileges. C{setpriv} of util-linux sees to
that, and to its user.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.machines.privileges import account, privileges

Ended = tuple[int | None, int | None]
"""The exit status, or the signal that has ended it; neither of a process that is no child."""

_ABOVE = 64
"""Where descriptors are kept out of the way until each has its number in the child."""

_FILE = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@implementer(IReadDescriptor)
class ChildProcess:
    """
    One process.

    @ivar pid: its number.
    @ivar ended: fires once, when it has ended.
    """

    def __init__(self, reactor: Any, pid: int) -> None:
        """
        Watch C{pid}, a child of this process, or a process of somebody else.

        @raise OSError: there is none such, or it can't be watched.
        """
        self.pid = pid
        self.ended: Deferred[Ended] = Deferred()
        self._reactor = reactor
        self._pidfd = os.pidfd_open(pid)
        reactor.addReader(self)

    @classmethod
    def spawn(
        cls,
        reactor: Any,
        command: Sequence[str],
        output: Path,
        errors: Path | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        user: str = "",
        descriptors: Mapping[int, int] | None = None,
    ) -> ChildProcess:
        """
        Start a program. Its standard input is empty.

        @param output: a file or pipe for its standard output, at whose end it is written.
        @param errors: one for its standard error; None: the same.
        @param environment: all of it; None: as here.
        @param folder: where it runs; None: as here.
        @param user: whom it runs as; empty: as here.
        @param descriptors: of ours, by the numbers that they have there.
        @raise OSError: it can't be started.
        """
        program = shutil.which(command[0])
        if program is None:
            raise FileNotFoundError(2, "no such program", command[0])
        opened: list[int] = []
        try:
            out = _open(output, opened)
            places = {1: out, 2: out if errors is None else _open(errors, opened)}
            for number, descriptor in (descriptors or {}).items():
                opened.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ABOVE))
                places[number] = opened[-1]
            command = [*_privileges(user), *_in_folder(folder), program, *command[1:]]
            pid = os.posix_spawn(
                command[0],
                command,
                dict(os.environ if environment is None else environment),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    *(
                        (os.POSIX_SPAWN_CLOSE, each)
                        for each in _inheritable()
                        if each not in places
                    ),
                    *((os.POSIX_SPAWN_DUP2, here, there) for there, here in places.items()),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
            )
        finally:
            for each in opened:
                os.close(each)
        try:
            return cls(reactor, pid)
        except OSError:
            # It can't be watched, for want of a descriptor, say: nobody would end it.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    @classmethod
    def adopt(cls, reactor: Any, pid: int) -> ChildProcess:
        """
        Watch a process that this parent's former program has started.

        @raise OSError: it is gone, and was waited for.
        """
        return cls(reactor, pid)

    def signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        self.signal(signal.SIGKILL)

    # IReadDescriptor.

    def fileno(self) -> int:
        """The descriptor that can be read when it has ended."""
        return self._pidfd

    def doRead(self) -> None:
        """It has ended."""
        try:
            found = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
            if found is None:
                return
            exited = found.si_code == os.CLD_EXITED
            how: Ended = (found.si_status, None) if exited else (None, found.si_status)
        except ChildProcessError:
            how = None, None
        self._forget()
        self.ended.callback(how)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops."""
        self._forget()

    def logPrefix(self) -> str:
        """Who logs."""
        return type(self).__name__

    def _forget(self) -> None:
        if self._pidfd >= 0:
            self._reactor.removeReader(self)
            os.close(self._pidfd)
            self._pidfd = -1


def _open(path: Path, opened: list[int]) -> int:
    """Open C{path}, which nobody else may have made a link: above what a child is given."""
    descriptor = os.open(path, _FILE, 0o600)
    try:
        os.set_blocking(descriptor, True)
        opened.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ABOVE))
    finally:
        os.close(descriptor)
    return opened[-1]


def _inheritable() -> list[int]:
    """What a child would have of ours beside its standard streams."""
    found = []
    for each in map(int, os.listdir("/proc/self/fd")):
        try:
            if each > 2 and os.get_inheritable(each):
                found.append(each)
        except OSError:
            pass  # what the folder was read by
    return found


def _in_folder(folder: Path | None) -> list[str]:
    if folder is None:
        return []
    return [shutil.which("env") or "/usr/bin/env", f"--chdir={folder}"]


def _privileges(user: str) -> list[str]:
    """What lets a program run without privileges; nothing where it can't be had."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if user:
            raise FileNotFoundError(2, "no such program, which user needs", "setpriv")
        return []
    group = account(user).pw_gid if user else None
    return [setpriv, *privileges(user, group, root=False)[1:]]
