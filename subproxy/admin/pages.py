"""What the pages of the admin listener are made of: a function each, which may answer later."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from subproxy.admin.view import Data

_log = Logger()

Reply = tuple[Data, int]
"""Plain data, and the status of HTTP that goes with it."""


class Operations(Protocol):
    """
    What the pages do. What is not known here, but has to be asked for, comes later.

    @ivar ready: whether new requests are taken.
    """

    ready: Callable[[], bool]

    def metrics(self) -> bytes | Deferred[bytes]:
        """The page of Prometheus."""

    def reply(self, what: str, about: str = "") -> Reply | Deferred[Reply]:
        """
        Look, or do something.

        @param what: C{routes}, C{subscribers}, C{certificates}, C{overview}, C{log}, C{machines},
            C{reload}; C{explain}, about a URL; C{request}, about the id of one, or a trace;
            C{drain} and C{undrain}, about the name of subscribers; C{machine-start},
            C{machine-stop}, C{machine-restart} and C{machine-console}, about a machine;
            C{machine-add}, C{machine-change} and C{machine-remove}, about its name, a space, and
            its table in JSON; C{weight}, about a weight or nothing, and the name of subscribers
            behind a space.
        """


class Page(Resource):
    """A leaf that is a function of the request."""

    isLeaf = True

    def __init__(self, render: Callable[[Request], bytes | Deferred[bytes]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._render = render

    def render_GET(self, request: Request) -> bytes | int:
        """Answer GET (and HEAD)."""
        return later(request, self._render(request))


class Folder(Resource):
    """Pages by name; another name is not found."""

    def getChild(self, path: bytes, request: Request) -> Resource:
        """There is none of that name."""
        return Page(lambda request: answer(request, {"error": "no such page"}, 404))


def later(request: Request, body: bytes | Deferred[bytes]) -> bytes | int:
    """C{body}, or what the pages of twisted.web return for one that comes later."""
    if isinstance(body, bytes):
        return body
    gone: list[Failure] = []
    request.notifyFinish().addErrback(gone.append)

    def written(found: bytes) -> None:
        if not gone:
            request.write(found)
            request.finish()

    def failed(failure: Failure) -> None:
        _log.failure("a page of the admin listener failed", failure)
        if not gone:
            written(answer(request, {"error": "it failed; the log says why"}, 500))

    body.addCallback(written).addErrback(failed)
    return NOT_DONE_YET


def told(request: Request, reply: Reply | Deferred[Reply]) -> bytes | Deferred[bytes]:
    """C{reply} as JSON."""
    if isinstance(reply, Deferred):
        return reply.addCallback(lambda found: answer(request, *found))
    return answer(request, *reply)


def answer(request: Request, data: Data, status: int = 200) -> bytes:
    """JSON."""
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    return json.dumps(data, indent=1).encode() + b"\n"


def plain(request: Request, said: bytes) -> bytes:
    """Text."""
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return said
