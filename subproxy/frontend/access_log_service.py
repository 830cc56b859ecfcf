"""The access log as a service: reopened on SIGUSR1, closed at a stop."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from twisted.application.service import Service

from subproxy.frontend.access_log import AccessLog


class AccessLogService(Service):
    """
    Keeps an L{AccessLog} while the service runs.

    @param log: the log.
    @param reactor: what reopens it, outside the signal handler.
    """

    def __init__(self, log: AccessLog, reactor: Any) -> None:
        self.log = log
        self._reactor = reactor
        self._before: Any = None

    def startService(self) -> None:
        """Listen for the signal."""
        super().startService()  # type: ignore[no-untyped-call]
        self._before = signal.signal(signal.SIGUSR1, self._signalled)

    def stopService(self) -> None:
        """Write what waits, and close."""
        super().stopService()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGUSR1, self._before or signal.SIG_DFL)
        self.log.close()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self.log.reopen)
