"""The rules for the requests of one host and path: what sites say of them, put together."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import field, fields
from typing import TYPE_CHECKING, Final

from subproxy.core.balancing.admission import USUAL, RequestTerms
from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.core.http.request import RequestHead
from subproxy.core.sites.client_limits import ConnectionLimit, RateLimit
from subproxy.core.sites.local_answer import LocalAnswer
from subproxy.core.sites.redirect import Redirect, https_location, is_challenge
from subproxy.core.sites.site_access import SiteAccess
from subproxy.errors import BadRequest, ClientError, Forbidden, ProxyError
from subproxy.wire.values import value_class

if TYPE_CHECKING:
    from subproxy.core.sites.affinity import Affinity
    from subproxy.core.sites.header_rules import HeaderRules
    from subproxy.core.sites.origins import Origins


@value_class
class SiteRules:
    """
    What is asked of each request for one host and path, and done to it. None: nothing.

    @ivar networks: whose clients may ask; others get 403.
    @ivar https: the port of https to which those are sent on who came by http.
    @ivar hsts: what C{Strict-Transport-Security} tells who came by https.
    @ivar redirect: where all are sent on to.
    @ivar max_body: bytes of a request body, instead of those of C{[limits]}; 0: no limit.
    @ivar response_timeout: seconds, instead of those of C{[limits]}.
    @ivar queue_timeout: seconds, instead of those of C{[guests]}; so is C{hold}.
    @ivar rate: how often a client may ask; else 429.
    @ivar connections: how many requests of a client may be under way; else 429.
    @ivar access: who is let in, once he may ask; None: everybody.
    @ivar strip_prefix: what is cut off the path before a guest sees it.
    @ivar host: what a guest sees as C{Host}.
    @ivar client_ca: who has to vouch for clients, over TLS; who has nobody gets 403.
    @ivar acme: whether certificates may be ordered for the host; false: they may not.
    @ivar upgrade: the protocols that clients may change to, in lower case; others are not heard.
    @ivar origins: the pages that may open WebSockets; others get 403.
    @ivar request_headers: what becomes of the fields that a guest sees.
    @ivar response_headers: what becomes of those of its answer.
    @ivar sticky: which subscriber a client belongs to.
    @ivar wake: the methods whose requests may start a machine; others get 503 while it is down.
    @ivar starting_page: browsers that go to a page are told that a machine starts, by a page.
    @ivar server_timing: clients are told which parts of the time an answer took.
    @ivar asked_each_time: the rules among them that are asked at each request: the compiled path
        knows none.
    @ivar terms: how long a request waits that belongs to nobody.
    """

    networks: Container[bytes] | None = None
    https: int | None = None
    hsts: bytes | None = None
    redirect: Redirect | None = None
    max_body: int | None = None
    response_timeout: float | None = None
    queue_timeout: float | None = None
    hold: float | None = None
    rate: RateLimit | None = None
    connections: ConnectionLimit | None = None
    access: SiteAccess | None = None
    strip_prefix: bytes | None = None
    host: bytes | None = None
    client_ca: ClientAuthorities | None = None
    acme: bool | None = None
    upgrade: frozenset[bytes] | None = None
    origins: Origins | None = None
    request_headers: HeaderRules | None = None
    response_headers: HeaderRules | None = None
    sticky: Affinity | None = None
    wake: frozenset[bytes] | None = None
    starting_page: bool | None = None
    server_timing: bool | None = None
    asked_each_time: tuple[str, ...] = field(init=False, compare=False)
    terms: RequestTerms = field(init=False, compare=False)

    def __post_init__(self) -> None:
        asked = tuple(name for name in EACH_TIME if getattr(self, name) is not None)
        object.__setattr__(self, "asked_each_time", asked)
        terms = RequestTerms(None, self.queue_timeout, self.hold)
        object.__setattr__(self, "terms", USUAL if terms == USUAL else terms)

    @property
    def only_to_https(self) -> bool:
        """All that is asked each time is whether a client came by https: who did may pass."""
        redirect = self.redirect
        return {"https", "redirect"}.issuperset(self.asked_each_time) and (
            self.https is not None if redirect is None else redirect.to_https
        )

    def answer(self, request: RequestHead) -> ProxyError | LocalAnswer | None:
        """What C{request} gets instead of being passed on, whoever asked how often; or None."""
        if self.networks is not None and request.client not in self.networks:
            return Forbidden()
        if self.origins is not None and not self.origins.allow(request):
            return Forbidden()
        if self.https is not None and request.scheme == b"http" and not is_challenge(request.path):
            if not request.host:
                return BadRequest("no Host")
            return LocalAnswer(308, [(b"Location", https_location(request, self.https))])
        if self.redirect is not None:
            if self.redirect.needs_host and not request.host:
                return BadRequest("no Host")
            location = self.redirect.location(request)
            if location is not None:
                return LocalAnswer(self.redirect.status, [(b"Location", location)])
        authorities = self.client_ca
        # Over TLS the handshake has seen to it: who came by another rule got 421 before. Of a
        # handshake with a guest nothing is known.
        if (
            authorities is not None
            and not authorities.optional
            and (request.tls is None or request.passthrough)
        ):
            return Forbidden()
        if self.max_body and request.length is not None and request.length > self.max_body:
            return ClientError("the request body is too large", 413)
        return None


def key_of(rule: str) -> str:
    """What a rule is called in a configuration file."""
    return rule.replace("_", "-")


AT_ONCE: Final = frozenset(
    {
        *("max_body", "response_timeout", "queue_timeout", "hold", "client_ca", "upgrade"),
        *("origins", "wake", "acme", "starting_page"),
    }
)
"""
Rules that the compiled path need not ask for: numbers, which it compares or leaves to Python to
wait by; what is said of upgrades, none of which is ever its own; whose word for clients counts,
which it compares with what the handshake went by; and of certificates, which no request asks for.
"""

EACH_TIME: Final = tuple(
    each.name for each in fields(SiteRules) if each.init and each.name not in AT_ONCE
)
"""The others: a request to which one of them applies is for the Python path."""
