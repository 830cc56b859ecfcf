"""
The overview again and again, for pages that are open: server-sent events of HTML.

Nobody looks while nobody watches. One look serves all who watch. Who reads slowly is left out
until it has read what it was sent, so that it holds one event and the buffer of its socket; who
does not read at all is cut off.
"""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from subproxy.admin.pages import Operations, Reply, answer

INTERVAL = 1.0
"""Seconds between looks."""

REST = 20.0
"""So many times as long as a look takes nobody looks again: a large proxy serves first."""

MOST_WATCHERS = 32
"""Pages that may be open at once."""

STALLED = 30.0
"""Seconds that a reader may leave an event unread."""

LIFETIME = 3600.0
"""Seconds of one stream: a browser then asks for the next, if it still may."""


@implementer(IPushProducer)
class PageStream:
    """
    A page that is open.

    @ivar stalled: since when it does not read; None if it does.
    """

    def __init__(self, request: Request, clock: IReactorTime) -> None:
        self._request = request
        self._clock = clock
        self.began = clock.seconds()
        self.stalled: float | None = None

    def start(self) -> None:
        """Send the head of the answer."""
        self._request.setHeader(b"content-type", b"text/event-stream")
        self._request.registerProducer(self, True)
        self._request.write(b"retry: 2000\n\n")

    def tell(self, event: bytes) -> None:
        """Send an event, unless it has not read the last one."""
        now = self._clock.seconds()
        if self.stalled is not None:
            if now - self.stalled > STALLED:
                self._request.channel.forceAbortClient()
        elif now - self.began > LIFETIME:
            self.end()
        else:
            self._request.write(event)

    def end(self) -> None:
        """The stream is over."""
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> None:
        """See C{IPushProducer}."""
        self.stalled = self._clock.seconds()

    def resumeProducing(self) -> None:
        """See C{IPushProducer}."""
        self.stalled = None

    def stopProducing(self) -> None:
        """See C{IPushProducer}: its connection is gone, which C{notifyFinish} tells too."""


class EventPage(Resource):
    """C{/api/events}: each event is one line of JSON, that of C{/api/overview}."""

    isLeaf = True
    _log = Logger()

    def __init__(self, operations: Operations, clock: IReactorTime) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._operations = operations
        self._clock = clock
        self._watchers: list[PageStream] = []
        self._next: IDelayedCall | None = None
        self._looking = False

    def render_HEAD(self, request: Request) -> bytes:
        """An answer without end has no place here."""
        request.setHeader(b"content-type", b"text/event-stream")
        return b""

    def render_GET(self, request: Request) -> bytes | int:
        """Begin a stream."""
        if len(self._watchers) >= MOST_WATCHERS:
            request.setHeader(b"retry-after", b"60")
            return answer(request, {"error": "too many pages are open already"}, 503)
        watcher = PageStream(request, self._clock)
        self._watchers.append(watcher)
        request.notifyFinish().addBoth(lambda _: self._left(watcher)).addErrback(self._failed)
        watcher.start()
        if not self._looking:
            self._cancel()
            self._look()
        return NOT_DONE_YET

    def _left(self, watcher: PageStream) -> None:
        self._watchers.remove(watcher)
        if not self._watchers:
            self._cancel()

    def _cancel(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next = None
        self._looking = True
        began = self._clock.seconds()
        looked = maybeDeferred(self._ask)
        looked.addCallback(self._tell).addErrback(self._failed)
        looked.addCallback(lambda _: self._rest(began)).addErrback(self._failed)

    def _ask(self) -> Deferred[Reply]:
        reply = self._operations.reply("overview")
        return reply if isinstance(reply, Deferred) else succeed(reply)

    def _tell(self, reply: Reply) -> None:
        data, status = reply
        if status == 200:
            event = b"data: %b\n\n" % json.dumps(data).encode()
            for watcher in list(self._watchers):
                watcher.tell(event)

    def _rest(self, began: float) -> None:
        self._looking = False
        if self._watchers:
            delay = max(INTERVAL, REST * (self._clock.seconds() - began))
            self._next = self._clock.callLater(delay, self._look)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("an event of the admin listener failed", failure)
