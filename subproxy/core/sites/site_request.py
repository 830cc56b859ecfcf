"""One request under the rules of a site: whether it passes, as what, what its answer becomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from subproxy.core.balancing.admission import RequestTerms
from subproxy.core.balancing.member import Member, Pool
from subproxy.core.http.navigation import is_navigation
from subproxy.core.http.request import Headers, RequestHead
from subproxy.core.sites.access_question import AccessQuestion
from subproxy.core.sites.client_limits import ClientKey, ClientLimits, ConnectionLimit, client_key
from subproxy.core.sites.local_answer import LocalAnswer
from subproxy.core.sites.site_rules import SiteRules
from subproxy.core.sites.strip_prefix import with_prefix, without_prefix
from subproxy.errors import ProxyError, TooManyRequests

HSTS: Final = b"Strict-Transport-Security"


STARTING_PAGE_AFTER: Final = 1.0
"""Seconds that a browser waits for a machine before it gets a page: some are up by then."""


class SiteRequest:
    """
    One request.

    @ivar rules: those of its host and path.
    @ivar request: as it came; and as it is logged, once it was admitted or not.
    @ivar forwarded: as a guest sees it.
    @ivar give_up: what gives up a question about it; None: nobody is asked.
    """

    __slots__ = (
        "_client",
        "_clients",
        "_counted",
        "forwarded",
        "give_up",
        "request",
        "rules",
    )

    def __init__(self, rules: SiteRules, request: RequestHead) -> None:
        self.rules = rules
        self.request = request
        self.forwarded = request
        self.give_up: Callable[[], None] | None = None
        self._clients: ClientLimits | None = None
        self._counted: ConnectionLimit | None = None
        self._client: ClientKey = b""

    def admit(
        self, clients: ClientLimits, now: float, wall: float
    ) -> ProxyError | LocalAnswer | AccessQuestion | None:
        """
        Decide whether it passes; once, before it waits for anybody.

        @param now: monotonic seconds.
        @param wall: seconds since the epoch.
        @return: its answer; or None: then it goes on as C{forwarded}, and L{release} is called when
            it is over. Of a question, it is not decided yet.
        """
        answer = self._decide(clients, now, wall)
        if self.rules.access is not None:
            self.request = self.rules.access.logged(self.request)
        return answer

    def _decide(
        self, clients: ClientLimits, now: float, wall: float
    ) -> ProxyError | LocalAnswer | AccessQuestion | None:
        rules = self.rules
        answer = rules.answer(self.request)
        if answer is not None:
            return answer
        if not rules.asked_each_time and self.request.upgrade is None:
            return None
        if rules.connections is not None or rules.rate is not None:
            self._client = client_key(self.request.client)
            refusal = self._count(clients, now)
            if refusal is not None:
                return refusal
        if rules.access is not None:
            decided = rules.access.decide(self.request, wall)
            if decided is not None:
                return decided
        if not self.request.passthrough:
            self._rewrite()
        return None

    def let_in(self, fields: Headers) -> None:
        """Somebody was asked, and let it in: it goes on as C{forwarded}, with C{fields}."""
        self._rewrite(fields)

    def trailers(self, trailers: Headers) -> Headers:
        """Its C{trailers} as a guest sees them."""
        rules = self.rules
        if rules.access is not None:
            trailers = rules.access.trailers(trailers)
        if rules.request_headers is not None:
            trailers = rules.request_headers.trailers(trailers)
        return trailers

    def release(self) -> None:
        """It is over. To call it once more does nothing."""
        give_up, self.give_up = self.give_up, None
        if give_up is not None:
            give_up()
        counted, self._counted = self._counted, None
        if counted is not None and self._clients is not None:
            self._clients.end(counted, self._client)

    def terms(self, pool: Pool | None, tried: Sequence[Member]) -> RequestTerms:
        """Who of C{pool} is to have it, and how long it waits."""
        rules = self.rules
        terms = self._terms(rules, pool, tried)
        if rules.wake is not None:
            terms = replace(terms, wake=self.request.method in rules.wake)
        if rules.starting_page and is_navigation(self.request):
            terms = replace(terms, told_after=STARTING_PAGE_AFTER)
        return terms

    def _terms(self, rules: SiteRules, pool: Pool | None, tried: Sequence[Member]) -> RequestTerms:
        if rules.sticky is None or pool is None:
            return rules.terms
        member = rules.sticky.member(self.request, pool)
        if member is None or member in tried:
            return rules.terms
        return RequestTerms(member, rules.queue_timeout, rules.hold)

    def answered(self, headers: Headers, pool: Pool | None, member: Member | None) -> Headers:
        """The fields of an answer as the client gets them; C{member} gave it, if anybody."""
        rules = self.rules
        if rules.hsts is not None and self.request.scheme == b"https":
            # One field (RFC 6797 section 7.1), and none over http (section 7.2).
            headers = [pair for pair in headers if pair[0].lower() != HSTS.lower()]
            headers.append((HSTS, rules.hsts))
        if rules.response_headers is not None:
            headers = rules.response_headers.apply(headers)
        if rules.sticky is not None and pool is not None and member is not None:
            told = rules.sticky.answered(self.request, pool, member)
            if told is not None:
                headers = [*headers, told]
        return headers

    def _count(self, clients: ClientLimits, now: float) -> ProxyError | None:
        rules = self.rules
        if rules.connections is not None:
            if not clients.begin(rules.connections, self._client):
                return TooManyRequests()
            self._clients, self._counted = clients, rules.connections
        if rules.rate is not None:
            wait = clients.take(rules.rate, self._client, now)
            if wait:
                self.release()
                refusal = TooManyRequests()
                refusal.retry_after = max(1, math.ceil(wait))
                return refusal
        return None

    def _rewrite(self, told: Headers | None = None) -> None:
        rules, request = self.rules, self.request
        if rules.access is not None:
            request = rules.access.forwarded(request)
            if told:
                request = replace(request, headers=request.headers + told)
            self.forwarded = request
        target = headers = None
        if rules.strip_prefix is not None:
            target = without_prefix(request, rules.strip_prefix)
            if target is not None:
                headers = with_prefix(request.headers, rules.strip_prefix)
        if rules.host is not None:
            headers = [
                (b"Host", rules.host),
                *(pair for pair in headers or request.headers if pair[0].lower() != b"host"),
            ]
        if rules.request_headers is not None:
            headers = rules.request_headers.apply(headers or request.headers)
        upgrade = request.upgrade
        if rules.upgrade is not None and upgrade is not None:
            upgrade = upgrade.of(rules.upgrade)
        if headers is not None or upgrade is not request.upgrade:
            self.forwarded = replace(
                request,
                target=request.target if target is None else target,
                headers=request.headers if headers is None else headers,
                upgrade=upgrade,
            )
