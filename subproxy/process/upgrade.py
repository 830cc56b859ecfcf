"""
One proxy takes over from another, without a moment in which nobody accepts.

On SIGUSR2 the old process starts the new one, by the same command line, and leaves it its
listening sockets and the list of routes, in a memory file that C{SUBPROXY_HANDOVER} names. The
new one listens on these sockets instead of making its own, holds requests for routes whose
guests have not come yet, and says so through a pipe. Then the old one accepts no more, tells
guests that it drains, which makes them dial the new one, finishes what is under way, and ends.

A new process that does not come up changes nothing: the old one goes on. Where there are workers
their parent becomes the new program instead (L{subproxy.app.parent_hand_over}).
"""

from __future__ import annotations

import os
import sys
from getopt import GetoptError, getopt
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from subproxy.core.routing.registry import Registry
from subproxy.process.inherited_sockets import VARIABLE, SocketHandoff
from subproxy.process.sd_notify import WATCHED

START_LIMIT = 30.0
"""Seconds that the new process has to say that it is ready."""


class NewProcess(ProcessProtocol):
    """
    The new process, until it is ready.

    @ivar ready: fires with its pid when it says that, a line; fails if it ends first. That is
        not the pid of the process that was started, if that has become a daemon.
    """

    def __init__(self) -> None:
        self.ready: Deferred[int] = Deferred()
        self._said = b""

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Read the pid that the new process writes when it is ready."""
        self._said += data
        pid, end, _ = self._said.partition(b"\n")
        if end and not self.ready.called:
            self.ready.callback(int(pid))

    def processEnded(self, reason: Failure) -> None:
        """Fail the hand-over if the new process has ended before it was ready."""
        if not self.ready.called:
            self.ready.errback(reason)


def command_line() -> list[str]:
    """
    Our own, with no pid file: as long as that names us, it would stop the other.

    C{subproxy run} writes none. The options of C{twistd} itself end where the proxy's name stands;
    that may be what one of them says, too (C{--uid subproxy}).
    """
    line = list(sys.orig_argv)
    own = sys.argv[1:]
    if "subproxy" not in own or own[0] == "run":
        return line
    from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]

    known: Any = ServerOptions()
    try:
        _, rest = getopt(own, known.shortOpt, known.longOpt)
    except GetoptError:
        return line  # of another program than twistd
    if rest[:1] == ["subproxy"]:
        at = len(line) - len(rest)
        if "--pidfile=" not in line[:at]:
            line.insert(at, "--pidfile=")
    return line


async def start_new_process(
    reactor: Any, legacy: SocketHandoff, registry: Registry, pidfile: str = ""
) -> int:
    """
    Start the new process, and wait until it serves.

    @param pidfile: the path of our pid file, which it is to remove at its end.
    @return: its pid.
    @raise Exception: it did not come up.
    """
    descriptors = legacy.descriptors()
    # Numbers that are nobody's here are nobody's there.
    ready = os.dup(0) if 0 not in descriptors else os.open(os.devnull, os.O_RDONLY)
    file = -1
    try:
        file = legacy.write(registry, ready, pidfile)
        successor = NewProcess()
        children: dict[int, Any] = {fd: fd for fd in (0, 1, 2, file, *descriptors)}
        children[ready] = "r"
        environment = dict(os.environ, **{VARIABLE: str(file)})
        # It is the one that is watched then.
        environment.pop(WATCHED, None)
        process = reactor.spawnProcess(
            successor, sys.executable, command_line(), environment, childFDs=children
        )
        limit = reactor.callLater(START_LIMIT, successor.ready.cancel)
        try:
            return await successor.ready
        except BaseException:
            try:
                process.signalProcess("KILL")
            except Exception:
                pass
            raise
        finally:
            if limit.active():
                limit.cancel()
    finally:
        os.close(ready)
        if file >= 0:
            os.close(file)
