"""
An application that answers, and then has nothing to say; it writes down who left, and when.

C{/events} streams one event and then nothing, without a length; C{/carried} does so over a data
connection; C{/length} the same with a length;
C{/bulk} one megabyte of two, which the proxy splices; C{/never} does not answer; C{/late} streams
three events, the first of them a while after it was asked, and C{/three} does so at once;
C{/upload} streams one event and never reads its body; C{/quick} answers at once,
C{/later} after a second.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from guest import Request, Response, SubscriberProtocol
from guest.core.errors import RequestAborted

GONE = os.environ.get("QUIET_GONE", os.devnull)
MB = 1 << 20
EVENT = b"data: event\n\n"


async def quiet(first: bytes) -> AsyncIterator[bytes]:
    """One piece, and then nothing, for ever."""
    yield first
    await Deferred()


async def three(seconds: float) -> AsyncIterator[bytes]:
    """Three events, each after so many seconds."""
    for _ in range(3):
        await deferLater(reactor, seconds)
        yield EVENT


class Quiet(SubscriberProtocol):
    """See above."""

    async def requestReceived(self, request: Request) -> Response:
        """Answer by the path."""
        path = request.path
        if path == b"/never":
            await Deferred()
        if path == b"/later":
            await deferLater(reactor, 1.0)
        if path in (b"/quick", b"/later"):
            return Response(200, [], b"quick")
        if path == b"/late":
            await deferLater(reactor, 0.4)
            return Response(200, [], three(0.4))
        if path == b"/three":
            return Response(200, [], three(0.001))
        if path == b"/length":
            return Response(200, [(b"content-length", b"1000")], quiet(EVENT))
        if path == b"/bulk":
            return Response(200, [(b"content-length", b"%d" % (2 * MB))], quiet(bytes(MB)))
        fields = [(b"content-type", b"text/event-stream")]
        return Response(200, fields, quiet(EVENT), bulk=path == b"/carried")

    def requestAborted(self, request: Request, reason: RequestAborted) -> None:
        """Write it down."""
        with open(GONE, "a") as file:
            file.write(f"{request.path.decode()} {reason.code} {time.monotonic():.6f}\n")
