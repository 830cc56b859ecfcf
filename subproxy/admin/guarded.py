"""A L{Site} behind a L{Guard}: what is refused never reaches a page."""

from __future__ import annotations

import time
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.http import combinedLogFormatter, datetimeToLogString
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from subproxy.admin.guard import METHODS, READS, SIGN_IN, Guard, Refusal
from subproxy.admin.markup import PAGE_POLICY, sign_in_page
from subproxy.core.access.log_limit import LogLimit, not_logged
from subproxy.core.printable import printable

HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"same-origin",
    b"x-content-type-options": b"nosniff",
}
"""Of every answer: no browser keeps it, runs it, frames it or gives it to a page."""


LONGEST_FORM = 8192
"""Bytes of a body that are kept: a token is 4096 at most. A longer one is forgotten."""

SIGN_OUT = b"/sign-out"


class GuardedRequest(Request):
    """
    A request whose body is read and forgotten, but for one that may be a form with a token.

    @ivar refusal: why it was not answered.
    """

    refusal: Refusal | None = None
    _kept = False

    def gotLength(self, length: int | None) -> None:
        """Keep little: Twisted would write a long body to a file before anybody is asked."""
        self.content = self._form = BytesIO()
        self._kept = length is not None and length <= LONGEST_FORM

    def handleContentChunk(self, data: bytes) -> None:
        """Keep it, or forget it."""
        if self._kept:
            self._form.write(data)


class _Body(Resource):
    isLeaf = True

    def __init__(self, body: bytes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._body = body

    def render(self, request: Request) -> bytes:
        """Whatever the method is."""
        return self._body


class _HeadAlone(Resource):
    """
    A page for who asks by HEAD, as health checks do: how long it is, and no body.

    Given one, Twisted would take it away, and log for each request that it does.
    """

    isLeaf = True

    def __init__(self, page: Resource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._page = page

    def render(self, request: Request) -> bytes | int:
        """As the page has it; one that is told later ends by itself."""
        body: bytes | int = self._page.render(request)
        if isinstance(body, int):
            return body
        request.setHeader(b"content-length", b"%d" % len(body))
        return b""


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
        super().__init__(  # type: ignore[no-untyped-call]
            resource, logFormatter=_line, reactor=reactor, parsePOSTFormSubmission=False
        )
        self._guard = guard
        self._limit = LogLimit()

    def getResourceFor(self, request: Any) -> Any:
        """The page that is asked for, or a refusal."""
        found = self._found(request)
        return _HeadAlone(found) if request.method == b"HEAD" else found

    def _found(self, request: Any) -> Any:
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
            if request.method == b"POST" and request.path == SIGN_IN:
                return self._sign_in(request)
            if request.method == b"POST" and request.path == SIGN_OUT:
                return self._sign_out(request)
            return super().getResourceFor(request)  # type: ignore[no-untyped-call]
        return self._refused(request, refusal)

    def _refused(self, request: Any, refusal: Refusal) -> Resource:
        request.refusal = refusal
        self._tell(request, refusal)
        request.setResponseCode(refusal.status)
        if refusal.status == 405:
            request.setHeader(b"allow", b", ".join(METHODS))
        if refusal.challenge:
            request.setHeader(b"www-authenticate", refusal.challenge)
        signs_in = request.path == SIGN_IN or (request.path == b"/" and request.method in READS)
        if refusal.status == 401 and signs_in:
            request.setHeader(b"content-type", b"text/html; charset=utf-8")
            request.setHeader(b"content-security-policy", PAGE_POLICY)
            wrong = refusal.reason if request.path == SIGN_IN else ""
            return _Body(sign_in_page(wrong, can=self._guard.cookie is not None))
        request.setHeader(b"content-type", b"application/json")
        return _Body(b'{"error": "%b"}\n' % refusal.reason.encode())

    def _sign_in(self, request: Any) -> Resource:
        try:
            form = parse_qs(request.content.read(), max_num_fields=10)
        except ValueError:
            form = {}
        token = form.get(b"token", [b""])[0]
        cookie = self._guard.sign_in(token, secure=request.isSecure())
        if isinstance(cookie, Refusal):
            return self._refused(request, cookie)
        return self._to_the_page(request, cookie)

    def _sign_out(self, request: Any) -> Resource:
        cookie = self._guard.cookie
        field = None if cookie is None else cookie.withdraw(secure=request.isSecure())
        return self._to_the_page(request, field)

    @staticmethod
    def _to_the_page(request: Any, field: bytes | None) -> Resource:
        if field is not None:
            request.setHeader(b"set-cookie", field)
        request.setResponseCode(303)
        request.setHeader(b"location", b"/")
        return _Body(b"")

    def log(self, request: Any) -> None:
        """Log what was answered; what was refused has been told already."""
        if request.refusal is None:
            super().log(request)

    def _tell(self, request: Any, refusal: Refusal) -> None:
        held = self._limit.admit(self.reactor.seconds())
        if held is not None:
            self._log.warn(
                "admin: refused {method} {path} of {client}: {reason}{more}",
                method=printable(request.method),
                path=printable(request.path[:256]),
                client=getattr(request.getClientAddress(), "host", "unix"),
                reason=refusal.reason,
                more=not_logged(held),
            )


def _line(timestamp: str, request: Any) -> str:
    """
    A line of the log. Not at C{timestamp}: that is by the reactor's clock, which begins anywhere.
    """
    line: str = combinedLogFormatter(datetimeToLogString(time.time()), request)
    return printable(line)
