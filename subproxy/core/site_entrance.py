"""What a site has to say of an exchange before anything waits for it, or is woken by it."""

from __future__ import annotations

import math
from collections.abc import Callable

from subproxy.core.exchange import Exchange, ExchangeState
from subproxy.core.sites.access_question import AccessAsker, AccessVerdict, LetIn
from subproxy.core.sites.client_limits import ClientLimits
from subproxy.core.sites.local_answer import LocalAnswer
from subproxy.core.sites.site_request import SiteRequest
from subproxy.core.sites.site_rules import SiteRules
from subproxy.errors import AccessUnknown, ProxyError


class SiteEntrance:
    """
    Lets exchanges in, or answers them.

    @ivar clients: what clients have asked for lately, where sites limit that.
    @ivar wall: seconds since the epoch; where nobody has said them, every link has expired.
    @ivar asker: who finds out who is let in, where a site has to ask; None: nobody is then.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """
        Sites limit nothing so far, and nobody is asked.

        @param now: monotonic seconds.
        """
        self.clients = ClientLimits()
        self.wall: Callable[[], float] = _end_of_time
        self.asker: AccessAsker | None = None
        self._now = now

    def admit(
        self, exchange: Exchange, rules: SiteRules, later: Callable[[Exchange], None]
    ) -> bool:
        """
        Decide whether C{exchange} passes C{rules}; else it is answered, or somebody is asked.

        @param later: called with it if it is let in by who was asked, and still there.
        """
        site = exchange.site = SiteRequest(rules, exchange.request)
        answer = site.admit(self.clients, self._now(), self.wall())
        # The log has what was asked for, without the token of a link.
        exchange.request = site.request
        if answer is None:
            return True
        if isinstance(answer, (ProxyError, LocalAnswer)):
            _answer(exchange, answer)
        elif self.asker is None:
            exchange.fail(AccessUnknown("there is nobody to ask"))
        else:
            give_up = self.asker.ask(answer, lambda verdict: _told(exchange, site, verdict, later))
            if exchange.state is ExchangeState.NEW:
                site.give_up = give_up
        return False


def _told(
    exchange: Exchange,
    site: SiteRequest,
    verdict: AccessVerdict,
    later: Callable[[Exchange], None],
) -> None:
    """What was asked about C{exchange} is known."""
    site.give_up = None
    if exchange.state is not ExchangeState.NEW:
        return
    if not isinstance(verdict, LetIn):
        _answer(exchange, verdict)
        return
    site.let_in(verdict.fields)
    later(exchange)


def _answer(exchange: Exchange, answer: ProxyError | LocalAnswer) -> None:
    if isinstance(answer, ProxyError):
        exchange.fail(answer)
    else:
        exchange.move(ExchangeState.SENT)
        exchange.response_start(answer.status, b"", answer.headers, answer.body)


def _end_of_time() -> float:
    return math.inf
