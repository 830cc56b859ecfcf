"""
HTTP to etcd: L{twisted.web.client.Agent}, which is there wherever Twisted is.

The gateway speaks JSON, so a client of gRPC, whose packages bring a C++ library and an event loop
of their own, is not needed. treq would add nothing but a dependency: what it does better are
redirects, cookies and forms, of which etcd has none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Final, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS

from subproxy.cluster import etcd_messages as em
from subproxy.cluster.store import LeaseLost, StoreError
from subproxy.core.printable import printable
from subproxy.response_body import read_body

ANSWER_TIMEOUT: Final = 5.0
"""Seconds for an answer, all of it."""

MAX_ANSWER: Final = 64 << 20
"""Bytes of an answer at most: etcd says a page of records at once."""


class EtcdClient:
    """
    Asks one member of etcd, and the next one if that does not answer.

    @param urls: of the members, such as C{http://127.0.0.1:2379}.
    @param credentials: reads a user's name and password anew; None: nobody needs to say who he is.
    @param policy: whom to trust over TLS; None: as the system does.
    """

    def __init__(
        self,
        reactor: Any,
        urls: Sequence[str],
        credentials: Callable[[], tuple[str, str]] | None = None,
        policy: IPolicyForHTTPS | None = None,
    ) -> None:
        self._reactor = reactor
        self._urls = list(urls)
        self._credentials = credentials
        self._token = ""
        self._pool = HTTPConnectionPool(reactor)
        # One that the other side closes just then is told from a request that failed by nobody.
        self._pool.retryAutomatically = False
        more = {} if policy is None else {"contextFactory": policy}
        self._agent = Agent(reactor, connectTimeout=ANSWER_TIMEOUT, pool=self._pool, **more)

    @property
    def url(self) -> str:
        """The member that is asked next."""
        return self._urls[0]

    def close(self) -> Deferred[Any]:
        """Close the connections that wait to be used again."""
        return cast("Deferred[Any]", self._pool.closeCachedConnections())

    def ask(self, path: str, body: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """
        The answer to C{body}.

        @return: fails with L{StoreError}, or L{LeaseLost}.
        """
        return Deferred.fromCoroutine(self._ask(path, body))

    async def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self._credentials is None:
            return await self._once(path, body)
        if not self._token:
            await self._authenticate()
        try:
            return await self._once(path, body)
        except em.TokenRefused:
            await self._authenticate()
            return await self._once(path, body)

    async def _authenticate(self) -> None:
        """Get a token: etcd's own kind is good for five minutes."""
        assert self._credentials is not None
        try:
            name, password = self._credentials()
        except (OSError, ValueError) as error:
            raise StoreError(f"nobody says who we are: {error}") from None
        self._token = ""
        said = await self._once(em.AUTHENTICATE, {"name": name, "password": password})
        self._token = str(said.get("token", ""))

    async def _once(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        whole = Deferred.fromCoroutine(self._answer(path, json.dumps(body).encode()))
        whole.addTimeout(ANSWER_TIMEOUT, self._reactor)
        try:
            status, answer = await whole
        except Exception as error:
            raise self.gone(error) from None
        said = em.parse(answer)
        if status != 200:
            raise em.refusal(status, said)
        return said

    async def _answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        response = await self.post(path, body)
        return response.code, await read_body(response, MAX_ANSWER, lambda reason: reason)

    def post(self, path: str, body: bytes) -> Deferred[Any]:
        """Ask; what comes is a response of L{Agent}, without its body."""
        headers = Headers({b"Content-Type": [b"application/json"]})
        if self._token:
            headers.setRawHeaders(b"Authorization", [self._token.encode()])
        producer = FileBodyProducer(BytesIO(body))
        url = self._urls[0] + path
        return cast(
            "Deferred[Any]", self._agent.request(b"POST", url.encode("ascii"), headers, producer)
        )

    def forget_token(self) -> None:
        """The token is good no more."""
        self._token = ""

    def gone(self, error: BaseException) -> StoreError:
        """Why there is no answer; the next member is asked next."""
        where = self._urls[0]
        self._urls.append(self._urls.pop(0))
        if isinstance(error, StoreError):
            return error
        return StoreError(f"{where}: {reason_of(error)}")

    def stream(
        self, path: str, body: bytes, line: Callable[[bytes], None], ended: Callable[[str], None]
    ) -> EtcdStream:
        """
        Ask, and hear each line of the answer as it comes.

        @param ended: hears once why there is no more.
        """
        return EtcdStream(self, path, body, line, ended)


class EtcdStream:
    """An answer that goes on; see L{EtcdClient.stream}."""

    def __init__(
        self,
        client: EtcdClient,
        path: str,
        body: bytes,
        line: Callable[[bytes], None],
        ended: Callable[[str], None],
    ) -> None:
        self._client = client
        self._line = line
        self._ended: Callable[[str], None] | None = ended
        self._body: _Stream | None = None
        self._asked = client.post(path, body)
        self._asked.addCallback(self._answered).addErrback(self._failed)

    def cancel(self) -> None:
        """Hear no more."""
        self._ended = None
        if self._body is not None:
            self._body.stop()
        else:
            self._asked.cancel()

    def _answered(self, response: Any) -> None:
        self._body = _Stream(self, self._line)
        response.deliverBody(self._body)
        if self._ended is None:
            self._body.stop()

    def _failed(self, failure: Failure) -> None:
        if self._ended is not None:
            self.end(str(self._client.gone(cast("BaseException", failure.value))))

    def refused(self, error: Exception) -> None:
        """What came is an error."""
        if isinstance(error, em.TokenRefused):
            self._client.forget_token()
        self.end(str(error))

    @property
    def heard(self) -> bool:
        """Whether somebody wants to hear more."""
        return self._ended is not None

    def end(self, reason: str) -> None:
        """There is no more."""
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(reason)


class _Stream(Protocol):
    """Cuts an answer into lines."""

    transport: Any

    def __init__(self, stream: EtcdStream, line: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._line = line
        self._lines = em.LineSplitter()

    def stop(self) -> None:
        """Read no more of it."""
        if self.transport is not None:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Some of it."""
        try:
            for each in self._lines.feed(data):
                if self._stream.heard:
                    self._line(each)
        except (StoreError, LeaseLost) as error:
            self._stream.refused(error)
            self.stop()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """It ended, or broke off."""
        self._stream.end("the stream has ended")


def reason_of(error: BaseException) -> str:
    """What went wrong, in a few words for a person."""
    if isinstance(error, CancelledError) or type(error).__name__ == "TimeoutError":
        return "no answer in time"
    reasons = getattr(error, "reasons", None)
    if reasons:
        return printable(str(reasons[0].value))
    return printable(str(error) or type(error).__name__)
