"""
Who is let in is asked of a service, as auth_request of nginx and forwardAuth of Traefik do.

It is asked by GET, with the fields of the request and what was asked for, and says it by a status:
2xx lets in, 401, 403 and 3xx are the client's answer.
"""

from __future__ import annotations

import hashlib
from typing import Final

from subproxy.core.http.cgi_name import cgi_name
from subproxy.core.http.fields import (
    FIELD_VALUE,
    FORWARDING,
    FRAMING,
    HOP_BY_HOP,
    REQUEST_ID,
    TOKEN,
)
from subproxy.core.http.request import Headers, RequestHead
from subproxy.core.http.response import check_response
from subproxy.core.sites.access_question import AccessVerdict, LetIn
from subproxy.core.sites.local_answer import LocalAnswer
from subproxy.errors import AccessUnknown, GuestMisbehaved
from subproxy.wire.values import value_class

MAX_FIELDS: Final = 16_384
"""Bytes of what an application is told by the service."""

_METHOD: Final = (b"X-Forwarded-Method", b"X-Original-Method")
_TARGET: Final = (b"X-Forwarded-Uri", b"X-Original-URI")
_URL: Final = b"X-Original-URL"

_NOT_SENT: Final = frozenset(
    {
        *(b"host", b"expect", b"range", b"content-type", b"content-encoding"),
        *(b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"),
        *(b"if-range", REQUEST_ID, _URL.lower()),
        *(name.lower() for name in (*_METHOD, *_TARGET)),
        *FRAMING,
        *HOP_BY_HOP,
    }
)
"""Fields of a request that are about its body, or that we say ourselves."""

_OF_TRACES: Final = frozenset({b"traceparent", b"tracestate"})
"""Fields of which nobody is let in; with traces, each request has others."""

_NOT_TOLD: Final = HOP_BY_HOP | FRAMING | FORWARDING | {b"host", b"cookie", REQUEST_ID}
"""Fields of a request that no service can set."""


def field_fault(name: bytes) -> str | None:
    """Why C{name} can be no field by which an application is told something; or None."""
    if not name or name.translate(None, TOKEN):
        return "is not a field name"
    if cgi_name(name) in _NOT_TOLD:
        return "is set by the proxy alone"
    return None


@value_class
class AuthService:
    """
    The service.

    @ivar url: where it is asked.
    @ivar timeout: seconds for its whole answer.
    @ivar fields: those of its answer that an application gets, in lower case.
    @ivar cache: seconds for which it need not be asked the same again, where it let in.
    """

    url: bytes
    timeout: float = 5.0
    fields: tuple[bytes, ...] = ()
    cache: float = 0.0

    @property
    def dropped(self) -> frozenset[bytes]:
        """What a client sends by these names goes no further; a hyphen counts as an underscore."""
        return frozenset(map(cgi_name, self.fields))


@value_class
class ServiceQuestion:
    """
    Whether a request is let in.

    @ivar fields: what is sent.
    """

    service: AuthService
    fields: Headers
    client: bytes

    @property
    def digest(self) -> bytes:
        """
        Of all that the answer may depend on: the same question has the same one.

        Of the service, too, as a reload may have changed it: which fields an application gets, and
        for how long an answer counts.
        """
        service = self.service
        asked = b"%b\1%b\1%r" % (service.url, b",".join(service.fields), service.cache)
        said = b"\0".join(
            b"%b\1%b" % (name.lower(), value)
            for name, value in self.fields
            if name.lower() not in _OF_TRACES
        )
        return hashlib.blake2b(b"%b\0%b" % (asked, said), digest_size=32).digest()

    def verdict(self, status: int, headers: Headers, body: bytes) -> AccessVerdict:
        """What comes of an answer."""
        if 200 <= status < 300:
            return self._let_in(headers)
        if status not in (401, 403) and not 300 <= status < 400:
            return AccessUnknown(f"status {status}")
        kept = [pair for pair in headers if pair[0].lower() not in FRAMING]
        try:
            check_response(b"GET", status, b"", kept)
        except GuestMisbehaved as error:
            return AccessUnknown(str(error))
        return LocalAnswer(status, kept, body)

    def _let_in(self, headers: Headers) -> AccessVerdict:
        told = [pair for pair in headers if pair[0].lower() in self.service.fields]
        if sum(len(name) + len(value) for name, value in told) > MAX_FIELDS:
            return AccessUnknown("its fields are too large")
        if any(value.translate(None, FIELD_VALUE) for _, value in told):
            return AccessUnknown("its fields hold what may not stand there")
        return LetIn(told)

    def kept_for(self, headers: Headers) -> float:
        """Seconds for which an answer that lets in counts: what the operator says, or less."""
        seconds = self.service.cache
        for name, value in headers:
            if name.lower() != b"cache-control":
                continue
            for part in value.lower().split(b","):
                directive, _, number = part.strip().partition(b"=")
                if directive in (b"no-store", b"no-cache"):
                    return 0.0
                if directive == b"max-age" and number.isdigit():
                    seconds = min(seconds, float(number[:9]))
        return seconds


def service_question(service: AuthService, request: RequestHead) -> ServiceQuestion:
    """
    What is asked about C{request}.

    @param request: without the tokens of links.
    """
    host = next((value for name, value in request.headers if name.lower() == b"host"), request.host)
    fields = [pair for pair in request.headers if not _is_dropped(pair[0], service)]
    fields += [(name, request.method) for name in _METHOD]
    fields += [(name, request.target) for name in _TARGET]
    fields.append((_URL, request.scheme + b"://" + host + request.target))
    return ServiceQuestion(service, fields, request.client)


def _is_dropped(name: bytes, service: AuthService) -> bool:
    plain = cgi_name(name)
    if plain == b"authorization":
        # A service may answer with another one, and knows by this who came.
        return False
    return plain in _NOT_SENT or plain in service.dropped
