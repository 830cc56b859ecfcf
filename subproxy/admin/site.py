"""
The admin listener: metrics, health, and what is routed where.

A UNIX socket of mode 0600: who may open it may drain guests. Over TCP all but the first three
need a token; see L{subproxy.admin.guard}.

    GET /metrics                     Prometheus
    GET /healthz                     200 while the process serves
    GET /readyz                      200 if it takes requests, 503 while it stops
    GET /api/routes
    GET /api/subscribers
    GET /api/certificates
    GET /api/explain?url=http://host/path
    POST /api/drain/IDENTITY[/APPLICATION[/WORKER]]
    DELETE /api/drain/...            takes it back
    POST /api/reload                 reads the configuration and the policy again
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from prometheus_client import CollectorRegistry, generate_latest
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from subproxy.admin.guard import Guard
from subproxy.admin.guarded import GuardedSite
from subproxy.admin.view import Data, explain_view, member_id, routes_view, subscribers_view
from subproxy.core.balancing.member import Member, MemberEvent, is_peer
from subproxy.core.printable import printable
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.router import Router

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

        @param what: C{routes}, C{subscribers}, C{certificates}, C{reload}; C{explain}, about a
            URL; C{drain} and C{undrain}, about the name of subscribers.
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


class DrainPage(Resource):
    """Drains the subscriptions that its path names."""

    isLeaf = True

    def __init__(self, admin: Operations) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._admin = admin

    def render_GET(self, request: Request) -> bytes:
        """Looking at it must not drain anybody."""
        request.setHeader(b"allow", b"POST, DELETE")
        return answer(request, {"error": "POST drains, DELETE takes it back"}, 405)

    def render_POST(self, request: Request) -> bytes | int:
        """Give them nothing new."""
        return self._feed(request, "drain")

    def render_DELETE(self, request: Request) -> bytes | int:
        """Use them again."""
        return self._feed(request, "undrain")

    def _feed(self, request: Request, what: str) -> bytes | int:
        path = request.path or b""
        name = unquote(path.decode("ascii", "replace").removeprefix("/api/drain/"))
        return later(request, told(request, self._admin.reply(what, name)))


class ReloadPage(Resource):
    """Reads the files of the proxy again."""

    isLeaf = True

    def __init__(self, admin: Operations) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._admin = admin

    def render_GET(self, request: Request) -> bytes:
        """Looking at it must not reload anything."""
        request.setHeader(b"allow", b"POST")
        return answer(request, {"error": "POST reloads"}, 405)

    def render_POST(self, request: Request) -> bytes | int:
        """Say what has changed, or why nothing has."""
        return later(request, told(request, self._admin.reply("reload")))


class Admin:
    """
    The operations behind the pages.

    @ivar ready: whether new requests are taken.
    @ivar certificates: all certificates as plain data; None if there is no TLS.
    @ivar reload: reads the files again, and says C{problems}, C{applied} and C{hand_over}; None if
        there are none.
    """

    def __init__(
        self,
        registry: Registry,
        router: Router,
        now: Callable[[], float],
        capacity: Callable[[Member], None],
        ready: Callable[[], bool],
        reload: Callable[[], Data] | None = None,
        certificates: Callable[[], list[Data]] | None = None,
    ) -> None:
        self.certificates = certificates
        self.registry = registry
        self.router = router
        self.now = now
        self.ready = ready
        self.reload = reload
        self.collectors: CollectorRegistry | None = None
        self._capacity = capacity

    def metrics(self) -> bytes:
        """See L{Operations}."""
        assert self.collectors is not None
        return generate_latest(self.collectors)

    def reply(self, what: str, about: str = "") -> Reply:
        """See L{Operations}."""
        match what:
            case "routes":
                return routes_view(self.registry, self.now()), 200
            case "subscribers":
                return subscribers_view(self.registry, self.now()), 200
            case "certificates":
                return self._certificates()
            case "explain":
                return self._explain(about)
            case "drain" | "undrain":
                return self._drain(about, MemberEvent[what.upper()])
            case "reload":
                return self._reload()
        return {"error": "no such page"}, 404

    def drain(self, name: str, event: MemberEvent) -> list[Member]:
        """
        Feed C{event} to each member of that identity, identity and application, or id.

        @return: those that there were.
        """
        name = printable(name)
        members = [
            member
            for member in self.registry.members()
            if not is_peer(member) and f"{member_id(member)}/".startswith(f"{name}/")
        ]
        for member in members:
            if member.feed(event, self.now()) and event is MemberEvent.UNDRAIN:
                self._capacity(member)
        return members

    def _drain(self, name: str, event: MemberEvent) -> Reply:
        members = self.drain(name, event)
        if not members:
            return {"error": f"no subscriber is called '{printable(name)}'"}, 404
        return {"subscribers": [member_id(member) for member in members]}, 200

    def _explain(self, url: str) -> Reply:
        """Which route wins."""
        try:
            parts = urlsplit(url if "//" in url else f"//{url}")
            host = parts.netloc.encode("latin-1")
        except ValueError as error:
            return {"error": printable(str(error))}, 400
        if not host:
            return {"error": "a URL with a host is needed, such as http://blog.example/news"}, 400
        path = (parts.path or "/").encode("latin-1")
        return explain_view(self.router, host, path, self.now()), 200

    def _certificates(self) -> Reply:
        if self.certificates is None:
            return {"error": "nothing is served over TLS (see --https)"}, 409
        return {"certificates": self.certificates()}, 200

    def _reload(self) -> Reply:
        if self.reload is None:
            error = "there is no file to read again: neither --config nor --policy was given"
            return {"error": error}, 409
        done = self.reload()
        if done["problems"]:
            return {"error": "nothing has changed", **done}, 422
        return done, 200


def answer(request: Request, data: Data, status: int = 200) -> bytes:
    """JSON."""
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    return json.dumps(data, indent=1).encode() + b"\n"


def plain(request: Request, said: bytes) -> bytes:
    """Text."""
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return said


def admin_site(admin: Admin, collectors: CollectorRegistry, guard: Guard) -> GuardedSite:
    """The site of C{admin} and of what C{collectors} collect, for whom C{guard} lets in."""
    admin.collectors = collectors
    return operations_site(admin, guard)


def operations_site(admin: Operations, guard: Guard) -> GuardedSite:
    """The site of what C{admin} does, for whom C{guard} lets in."""

    def metrics(request: Request) -> bytes | Deferred[bytes]:
        request.setHeader(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
        return admin.metrics()

    def health(request: Request) -> bytes:
        """The process serves."""
        return plain(request, b"ok\n")

    def readiness(request: Request) -> bytes:
        """New requests are taken."""
        if admin.ready():
            return plain(request, b"ready\n")
        request.setResponseCode(503)
        return plain(request, b"stopping\n")

    def explain(request: Request) -> bytes | Deferred[bytes]:
        url = (request.args or {}).get(b"url", [b""])[0].decode("latin-1")
        return told(request, admin.reply("explain", url))

    def page(what: str) -> Page:
        return Page(lambda request: told(request, admin.reply(what)))

    root: Any = Folder()  # type: ignore[no-untyped-call]
    api: Any = Folder()  # type: ignore[no-untyped-call]
    root.putChild(b"metrics", Page(metrics))
    root.putChild(b"healthz", Page(health))
    root.putChild(b"readyz", Page(readiness))
    root.putChild(b"api", api)
    for name in ("routes", "subscribers", "certificates"):
        api.putChild(name.encode(), page(name))
    api.putChild(b"explain", Page(explain))
    api.putChild(b"drain", DrainPage(admin))
    api.putChild(b"reload", ReloadPage(admin))
    return GuardedSite(root, guard)
