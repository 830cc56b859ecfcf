"""
Asks the services that say who is let in: L{twisted.web.client.Agent}, which is there wherever
Twisted is, with connections that stay open.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final
from typing import Protocol as Interface

from twisted.internet.defer import Deferred, TimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, _HTTP11ClientFactory
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from subproxy.core.access.log_limit import LogLimit
from subproxy.core.printable import printable
from subproxy.core.sites.access_question import AccessVerdict, LetIn
from subproxy.core.sites.client_limits import ClientKey, client_key
from subproxy.core.sites.forward_auth import ServiceQuestion
from subproxy.core.sites.open_questions import OpenQuestions
from subproxy.errors import AccessUnknown
from subproxy.response_body import read_body

MAX_ASKED: Final = 512
"""Questions at a time; about who comes then it cannot be found out."""

MAX_OF_CLIENT: Final = 128
"""Those about one client: where the service is slow, the others still have room."""

MAX_BODY: Final = 65_536
"""Bytes of an answer."""

REMEMBERED: Final = 4096
"""Answers that are kept: what was asked last is last to be forgotten."""

IDLE: Final = 16
"""Connections to a service that stay open."""

Told = Callable[[AccessVerdict], None]


class Requests(Interface):
    """What makes requests: an C{Agent}."""

    def request(self, method: bytes, uri: bytes, headers: Headers) -> Deferred[IResponse]:
        """See L{twisted.web.iweb.IAgent}."""


class AuthServiceClient:
    """
    Asks.

    @param reactor: what it runs on.
    @param agent: what makes requests; None: Twisted's.
    """

    _log = Logger()

    def __init__(self, reactor: Any, agent: Requests | None = None) -> None:
        self._reactor = reactor
        self._agent = agent or self._twisted_agent()
        self._open = OpenQuestions(MAX_ASKED, MAX_OF_CLIENT)
        self._kept: OrderedDict[bytes, tuple[float, AccessVerdict]] = OrderedDict()
        self._limit = LogLimit(10)

    def _twisted_agent(self) -> Agent:
        pool = HTTPConnectionPool(self._reactor)
        pool.maxPersistentPerHost = IDLE
        pool._factory = _QuietFactory
        self._reactor.addSystemEventTrigger("during", "shutdown", pool.closeCachedConnections)
        return Agent(self._reactor, pool=pool)

    @property
    def asked(self) -> int:
        """How many questions are open."""
        return self._open.count

    def ask(self, question: ServiceQuestion, told: Told) -> Callable[[], None]:
        """See L{subproxy.core.sites.access_question.AccessAsker}."""
        digest = question.digest if question.service.cache else b""
        known = self._known(digest)
        if known is not None:
            told(known)
            return _nothing
        client = client_key(question.client)
        if not self._open.begin(client):
            told(AccessUnknown("too many are asked about"))
            return _nothing
        waits = [told]
        asked = Deferred.fromCoroutine(self._ask(question, digest))
        asked.addTimeout(question.service.timeout, self._reactor, _too_late)
        asked.addErrback(lambda failure: self._failed(failure, question, waits))
        asked.addCallback(self._over, client, waits)
        asked.addErrback(lambda failure: self._log.failure("what follows an answer", failure))

        def give_up() -> None:
            if waits:
                waits.clear()
                asked.cancel()

        return give_up

    async def _ask(self, question: ServiceQuestion, digest: bytes) -> AccessVerdict:
        headers = Headers()
        for name, value in question.fields:
            headers.addRawHeader(name, value)
        response = await self._agent.request(b"GET", question.service.url, headers)
        body = await read_body(response, MAX_BODY, _cut_off, by_close=True)
        fields = [
            (name, value)
            for name, values in response.headers.getAllRawHeaders()
            for value in values
        ]
        verdict = question.verdict(response.code, fields, body)
        if isinstance(verdict, AccessUnknown):
            self._tell(question, str(verdict))
        elif digest and isinstance(verdict, LetIn):
            seconds = question.kept_for(fields)
            if seconds:
                self._kept[digest] = (self._reactor.seconds() + seconds, verdict)
                if len(self._kept) > REMEMBERED:
                    self._kept.popitem(last=False)
        return verdict

    def _failed(
        self, failure: Failure, question: ServiceQuestion, waits: list[Told]
    ) -> AccessVerdict:
        if waits:
            self._tell(question, _why(failure))
        return AccessUnknown()

    def _over(self, verdict: AccessVerdict, client: ClientKey, waits: list[Told]) -> None:
        self._open.end(client)
        if waits:
            waits.pop()(verdict)

    def _known(self, digest: bytes) -> AccessVerdict | None:
        until, verdict = self._kept.get(digest, (0.0, None))
        if verdict is None or until > self._reactor.seconds():
            return verdict
        del self._kept[digest]
        return None

    def _tell(self, question: ServiceQuestion, why: str) -> None:
        held = self._limit.admit(self._reactor.seconds())
        if held is not None:
            self._log.warn(
                "{url} does not say who is let in: {why}{more}",
                url=question.service.url.decode("latin-1"),
                why=printable(why)[:200],
                more=f" (and {held} more)" if held else "",
            )


class _QuietFactory(_HTTP11ClientFactory):
    """Says nothing of each connection."""

    noisy = False


def _why(failure: Failure) -> str:
    """What an operator is told: an C{Agent} has the reason in a list, or in a list in that."""
    while reasons := getattr(failure.value, "reasons", None):
        failure = reasons[0]
    return failure.getErrorMessage() or str(failure.type and failure.type.__name__)


def _cut_off(reason: Failure) -> AccessUnknown:
    return AccessUnknown("its answer is cut off, or too long")


def _too_late(result: object, seconds: float) -> Failure:
    """An C{Agent} says in errors of its own that it was cancelled."""
    return Failure(TimeoutError(f"no answer within {seconds:g} seconds"))


def _nothing() -> None:
    """There is nothing to give up."""
