"""Whether a program would come up: another process tries, and changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure


class TrialFailed(Exception):
    """The program would not come up; the text is what it said."""


class _TrialProtocol(ProcessProtocol):
    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred()
        self._said = b""

    def errReceived(self, data: bytes) -> None:
        self._said = (self._said + data)[-10_000:]

    def processEnded(self, reason: Failure) -> None:
        if self.done.called:
            return
        if reason.check(ProcessDone):
            self.done.callback(None)
        else:
            said = self._said.decode("utf-8", "replace").strip()
            self.done.errback(TrialFailed(said or reason.getErrorMessage()))


async def try_program(
    reactor: Any, command: list[str], environment: Mapping[str, str], limit: float
) -> None:
    """
    Run C{command} so that it only tries.

    @raise TrialFailed: it would not come up, or takes longer than C{limit} seconds to say so.
    """
    trial = _TrialProtocol()
    process = reactor.spawnProcess(trial, sys.executable, command, dict(environment))

    def late() -> None:
        if not trial.done.called:
            trial.done.errback(TrialFailed(f"it has not come up within {limit:g} s"))
        process.signalProcess("KILL")

    limiting = reactor.callLater(limit, late)
    try:
        await trial.done
    finally:
        if limiting.active():
            limiting.cancel()
