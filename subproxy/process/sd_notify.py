"""
Who started the proxy is told which process it is: a pid file, and systemd's C{NOTIFY_SOCKET}.

After a hand-over (see L{subproxy.process.upgrade}) that is another process than the one that was
started. Only the one that leaves is believed by systemd (C{NotifyAccess=main}), so it is the
one that tells.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from twisted.logger import Logger

VARIABLE = "NOTIFY_SOCKET"

WATCHDOG = "WATCHDOG_USEC"
"""Microseconds within which systemd wants to hear that the process is alive (C{WatchdogSec=})."""

WATCHED = "WATCHDOG_PID"
"""Of which process; where it is not said, of whoever reads it."""


class SupervisorNotifier:
    """
    Whoever started us.

    @ivar pidfile: the path of the pid file that twistd writes at the start, and removes at the
        end; empty if there is none.
    """

    _log = Logger()

    def __init__(
        self,
        config: MutableMapping[str, Any] | None = None,
        environment: MutableMapping[str, str] | None = None,
    ) -> None:
        """
        Take what the supervisor has told us.

        @param config: the options of twistd itself.
        @param environment: C{os.environ} if None.
        """
        self._config: MutableMapping[str, Any] = {} if config is None else config
        variables = os.environ if environment is None else environment
        self._socket = variables.get(VARIABLE, "")
        self._alive_each = _watched(variables)
        self._said_alive = float("-inf")

    @property
    def pidfile(self) -> str:
        """See above."""
        return str(self._config.get("pidfile") or "")

    def ready(self) -> None:
        """Tell systemd that the proxy serves."""
        self._notify(b"READY=1")

    def alive(self, now: float) -> None:
        """
        The reactor turns: tell systemd, if it wants to know, twice as often as it has to.

        @param now: monotonic seconds. To be called several times as often.
        """
        if self._alive_each and now - self._said_alive >= self._alive_each:
            self._said_alive = now
            self._notify(b"WATCHDOG=1")

    def stopping(self) -> None:
        """Tell systemd that the proxy is stopping."""
        self._notify(b"STOPPING=1")

    @contextmanager
    def starting(self) -> Iterator[None]:
        """While this goes on, an end of the program takes the pid file with it."""
        try:
            yield
        except SystemExit:
            self._remove_pidfile()
            raise

    def _remove_pidfile(self) -> None:
        # twistd does that for errors, but not where the program is to end.
        try:
            with open(self.pidfile) as file:
                ours = file.read() == str(os.getpid())
            if ours:
                os.unlink(self.pidfile)
        except OSError:
            pass

    def succeeded(self, pid: int) -> None:
        """Process C{pid} has taken over: it is the one to watch, and the pid file is its own."""
        self._notify(b"MAINPID=%d" % pid)
        path, self._config["pidfile"] = self.pidfile, ""
        self._socket = ""
        if not path:
            return
        new = f"{path}.{pid}"
        try:
            with open(new, "w") as file:
                file.write(str(pid))
                if os.path.exists(path):
                    # Who may read it may go on doing so.
                    os.fchmod(file.fileno(), stat.S_IMODE(os.stat(path).st_mode))
            os.replace(new, path)
        except OSError as error:
            self._log.error("cannot write {path}: {error}", path=path, error=error)

    def succeed(self, pidfile: str) -> None:
        """We have taken over from a process whose pid file was that one: we remove it."""
        self._config["pidfile"] = pidfile

    def _notify(self, state: bytes) -> None:
        if not self._socket:
            return
        address = "\0" + self._socket[1:] if self._socket.startswith("@") else self._socket
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.setblocking(False)
                to.sendto(state, address)
        except OSError as error:
            self._log.warn(
                "cannot tell {name} {state}: {error}",
                name=VARIABLE,
                state=state.decode(),
                error=error,
            )


def _watched(variables: MutableMapping[str, str]) -> float:
    """Seconds after which this process is to say that it is alive; 0: nobody asks."""
    time = variables.get(WATCHDOG, "")
    if not time.isdecimal():
        return 0.0
    # What is started from here is not watched.
    if variables.setdefault(WATCHED, str(os.getpid())) != str(os.getpid()):
        return 0.0
    return int(time) / 2e6
