"""A L{Site} behind a L{Guard}: what is refused never reaches a page."""

from __future__ import annotations

import time
from io import BytesIO
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.http import combinedLogFormatter, datetimeToLogString
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from subproxy.admin.guard import METHODS, Guard, Refusal
from subproxy.core.access.log_limit import LogLimit
from subproxy.core.printable import printable

HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"x-content-type-options": b"nosniff",
}
"""Of every answer: no browser keeps it, runs it, frames it or gives it to a page."""


class GuardedRequest(Request):
    """
    A request whose body is read and forgotten: no page wants one.

    @ivar refusal: why it was not answered.
    """

    refusal: Refusal | None = None

    def gotLength(self, length: int | None) -> None:
        """Keep nothing: Twisted would write a long body to a file before anybody is asked."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Forget it."""


class _Refused(Resource):
    isLeaf = True

    def __init__(self, body: bytes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._body = body

    def render(self, request: Request) -> bytes:
        """Whatever the method is."""
        return self._body


class GuardedSite(Site):
    """
    Asks C{guard} before it looks for a page.

    What is refused is logged ten times a second at most, and nowhere else.
    """

    requestFactory = GuardedRequest
    noisy = False
    displayTracebacks = False
    _log = Logger()

    def __init__(
        self, resource: Resource, guard: Guard, reactor: IReactorTime | None = None
    ) -> None:
        super().__init__(resource, logFormatter=_line, reactor=reactor)  # type: ignore[no-untyped-call]
        self._guard = guard
        self._limit = LogLimit()

    def getResourceFor(self, request: Any) -> Any:
        """The page that is asked for, or a refusal."""
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        here = request.getHost()
        refusal = self._guard.check(
            request.method,
            request.path,
            lambda name: request.requestHeaders.getRawHeaders(name) or [],
            None if isinstance(here, UNIXAddress) else getattr(here, "host", ""),
        )
        if refusal is None:
            return super().getResourceFor(request)  # type: ignore[no-untyped-call]
        request.refusal = refusal
        self._tell(request, refusal)
        request.setResponseCode(refusal.status)
        request.setHeader(b"content-type", b"application/json")
        if refusal.status == 405:
            request.setHeader(b"allow", b", ".join(METHODS))
        if refusal.challenge:
            request.setHeader(b"www-authenticate", refusal.challenge)
        return _Refused(b'{"error": "%b"}\n' % refusal.reason.encode())

    def log(self, request: Any) -> None:
        """Log what was answered; what was refused has been told already."""
        if request.refusal is None:
            super().log(request)

    def _tell(self, request: Any, refusal: Refusal) -> None:
        held = self._limit.admit(self.reactor.seconds())
        if held is not None:
            self._log.warn(
                "admin: refused {method} {path} of {client}: {reason}; {held} more not logged",
                method=printable(request.method),
                path=printable(request.path[:256]),
                client=getattr(request.getClientAddress(), "host", "unix"),
                reason=refusal.reason,
                held=held,
            )


def _line(timestamp: str, request: Any) -> str:
    """
    A line of the log. Not at C{timestamp}: that is by the reactor's clock, which begins anywhere.
    """
    line: str = combinedLogFormatter(datetimeToLogString(time.time()), request)
    return printable(line)
