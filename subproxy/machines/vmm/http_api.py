"""The API of a VMM: HTTP over a unix socket, JSON both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from subproxy.core.printable import printable
from subproxy.machines.vmm.driver import VmmError
from subproxy.response_body import read_body

TIME_LIMIT: Final = 10.0
"""Seconds for an answer. The slowest call measured, a boot, took 0.22."""

LONGEST: Final = 1 << 16
"""Bytes of an answer. A VMM may be what its guest has made of it."""


@dataclass(frozen=True)
class ApiCall:
    """
    One request.

    @ivar body: becomes JSON; C{None}: there is none.
    @ivar limit: seconds for an answer.
    """

    method: str
    path: str
    body: Mapping[str, object] | None = None
    limit: float = TIME_LIMIT


class HttpApi:
    """
    Asks a VMM: a connection for each request, since there are few.

    @param endpoint: where it listens.
    @param explain: what the body of a refusal says, for a person.
    """

    def __init__(
        self, reactor: Any, endpoint: IStreamClientEndpoint, explain: Callable[[bytes], str]
    ) -> None:
        self._reactor = reactor
        self._explain = explain
        self._agent = Agent.usingEndpointFactory(reactor, _Always(endpoint))

    def ask(self, call: ApiCall) -> Deferred[bytes]:
        """
        Fires with the body of a successful answer.

        Fails with L{VmmError}: it refuses, or does not answer in time. Fails with errors
        of connections and of C{twisted.web.client} too: nobody listens, or it ended meanwhile.
        """

        def too_late(result: bytes | Failure, seconds: float) -> bytes:
            if isinstance(result, bytes):
                return result
            raise VmmError(f"{call.method} {call.path}: no answer within {seconds:g} seconds")

        asked = Deferred.fromCoroutine(self._ask(call))
        return asked.addTimeout(call.limit, self._reactor, too_late)

    async def _ask(self, call: ApiCall) -> bytes:
        headers = Headers({b"accept": [b"application/json"]})
        body = None
        if call.body is not None:
            headers.addRawHeader(b"content-type", b"application/json")
            body = _Json(call.body)
        response = await self._agent.request(
            call.method.encode(), b"http://localhost" + call.path.encode(), headers, body
        )
        answer = await read_body(response, LONGEST, _cut_off)
        if not 200 <= response.code < 300:
            said = printable(self._explain(answer))
            raise VmmError(said or f"{call.method} {call.path}: status {response.code}")
        return answer


@implementer(IAgentEndpointFactory)
class _Always:
    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return self._endpoint


@implementer(IBodyProducer)
class _Json:
    """A body of known length: these servers take no chunks."""

    def __init__(self, body: Mapping[str, object]) -> None:
        self._body = json.dumps(body).encode()
        self.length = len(self._body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


def _cut_off(reason: Failure) -> VmmError:
    return VmmError("the VMM's answer is cut off, or too long")
