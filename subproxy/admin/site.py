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
from typing import Any
from urllib.parse import unquote, urlsplit

from prometheus_client import CollectorRegistry, generate_latest
from twisted.web.resource import Resource
from twisted.web.server import Request

from subproxy.admin.guard import Guard
from subproxy.admin.guarded import GuardedSite
from subproxy.admin.view import Data, explain_view, member_id, routes_view, subscribers_view
from subproxy.core.balancing.member import Member, MemberEvent
from subproxy.core.printable import printable
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.router import Router


class Page(Resource):
    """A leaf that is a function of the request."""

    isLeaf = True

    def __init__(self, render: Callable[[Request], bytes]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._render = render

    def render_GET(self, request: Request) -> bytes:
        """Answer GET (and HEAD)."""
        return self._render(request)


class Folder(Resource):
    """Pages by name; another name is not found."""

    def getChild(self, path: bytes, request: Request) -> Resource:
        """There is none of that name."""
        return Page(lambda request: answer(request, {"error": "no such page"}, 404))


class DrainPage(Resource):
    """Drains the subscriptions that its path names."""

    isLeaf = True

    def __init__(self, admin: Admin) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._admin = admin

    def render_GET(self, request: Request) -> bytes:
        """Looking at it must not drain anybody."""
        request.setHeader(b"allow", b"POST, DELETE")
        return answer(request, {"error": "POST drains, DELETE takes it back"}, 405)

    def render_POST(self, request: Request) -> bytes:
        """Give them nothing new."""
        return self._feed(request, MemberEvent.DRAIN)

    def render_DELETE(self, request: Request) -> bytes:
        """Use them again."""
        return self._feed(request, MemberEvent.UNDRAIN)

    def _feed(self, request: Request, event: MemberEvent) -> bytes:
        path = request.path or b""
        name = unquote(path.decode("ascii", "replace").removeprefix("/api/drain/"))
        members = self._admin.drain(name, event)
        if not members:
            return answer(request, {"error": f"no subscriber is called '{printable(name)}'"}, 404)
        return answer(request, {"subscribers": [member_id(member) for member in members]})


class ReloadPage(Resource):
    """Reads the files of the proxy again."""

    isLeaf = True

    def __init__(self, reload: Callable[[], Data] | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reload = reload

    def render_GET(self, request: Request) -> bytes:
        """Looking at it must not reload anything."""
        request.setHeader(b"allow", b"POST")
        return answer(request, {"error": "POST reloads"}, 405)

    def render_POST(self, request: Request) -> bytes:
        """Say what has changed, or why nothing has."""
        if self._reload is None:
            error = "there is no file to read again: neither --config nor --policy was given"
            return answer(request, {"error": error}, 409)
        done = self._reload()
        if done["problems"]:
            return answer(request, {"error": "nothing has changed", **done}, 422)
        return answer(request, done)


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
        self._capacity = capacity

    def drain(self, name: str, event: MemberEvent) -> list[Member]:
        """
        Feed C{event} to each member of that identity, identity and application, or id.

        @return: those that there were.
        """
        name = printable(name)
        members = [
            member
            for member in self.registry.members()
            if f"{member_id(member)}/".startswith(f"{name}/")
        ]
        for member in members:
            if member.feed(event, self.now()) and event is MemberEvent.UNDRAIN:
                self._capacity(member)
        return members

    def explain(self, request: Request) -> bytes:
        """The page that tells which route wins."""
        arguments = request.args or {}
        url = arguments.get(b"url", [b""])[0].decode("latin-1")
        try:
            parts = urlsplit(url if "//" in url else f"//{url}")
            host = parts.netloc.encode("latin-1")
        except ValueError as error:
            return answer(request, {"error": printable(str(error))}, 400)
        if not host:
            wanted = "a URL with a host is needed, such as http://blog.example/news"
            return answer(request, {"error": wanted}, 400)
        path = (parts.path or "/").encode("latin-1")
        return answer(request, explain_view(self.router, host, path, self.now()))

    def health(self, request: Request) -> bytes:
        """The process serves."""
        return plain(request, b"ok\n")

    def readiness(self, request: Request) -> bytes:
        """New requests are taken."""
        if self.ready():
            return plain(request, b"ready\n")
        request.setResponseCode(503)
        return plain(request, b"stopping\n")

    def routes(self, request: Request) -> bytes:
        """All routes."""
        return answer(request, routes_view(self.registry, self.now()))

    def subscribers(self, request: Request) -> bytes:
        """All subscribers."""
        return answer(request, subscribers_view(self.registry, self.now()))

    def shown_certificates(self, request: Request) -> bytes:
        """All certificates."""
        if self.certificates is None:
            return answer(request, {"error": "nothing is served over TLS (see --https)"}, 409)
        return answer(request, {"certificates": self.certificates()})


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

    def metrics(request: Request) -> bytes:
        request.setHeader(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
        return generate_latest(collectors)

    root: Any = Folder()  # type: ignore[no-untyped-call]
    api: Any = Folder()  # type: ignore[no-untyped-call]
    root.putChild(b"metrics", Page(metrics))
    root.putChild(b"healthz", Page(admin.health))
    root.putChild(b"readyz", Page(admin.readiness))
    root.putChild(b"api", api)
    api.putChild(b"routes", Page(admin.routes))
    api.putChild(b"subscribers", Page(admin.subscribers))
    api.putChild(b"certificates", Page(admin.shown_certificates))
    api.putChild(b"explain", Page(admin.explain))
    api.putChild(b"drain", DrainPage(admin))
    api.putChild(b"reload", ReloadPage(admin.reload))
    return GuardedSite(root, guard)
