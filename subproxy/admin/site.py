"""
The admin listener: metrics, health, and what is routed where.

A UNIX socket of mode 0600: who may open it may drain guests. Over TCP all but the first three
need a token; see L{subproxy.admin.guard}.

    GET /                            the page, for browsers
    POST /sign-in, /sign-out         a browser's token becomes a cookie; takes it back
    GET /static/...                  what the page is made of
    GET /metrics                     Prometheus
    GET /healthz                     200 while the process serves
    GET /readyz                      200 if it takes requests, 503 while it stops
    GET /api/routes
    GET /api/subscribers
    GET /api/certificates
    GET /api/overview                all that the page shows
    GET /api/log                     where the access log is
    GET /api/events                  the same again and again, as server-sent events
    GET /api/explain?url=http://host/path, or what /api/request takes
    GET /api/request?id=ID           of a request that has ended, or of a trace
    POST /api/drain/IDENTITY[/APPLICATION[/WORKER]]
    DELETE /api/drain/...            takes it back
    POST /api/weight/NAME?weight=N   as in hello, 100 is usual
    DELETE /api/weight/NAME          what it asks for
    POST /api/reload                 reads the configuration and the policy again
    /api/machines...                 see L{subproxy.admin.machines_page}
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from prometheus_client import CollectorRegistry, generate_latest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import Request

from subproxy.admin.events import EventPage
from subproxy.admin.guard import Guard
from subproxy.admin.guarded import GuardedSite
from subproxy.admin.machines_page import NO_MACHINES, MachinesPage
from subproxy.admin.markup import PAGE_POLICY, asset, overview_page
from subproxy.admin.pages import Folder, Operations, Page, Reply, answer, later, plain, told
from subproxy.admin.request_search import search
from subproxy.admin.view import Data, explain_view, routes_view, subscribers_view
from subproxy.core.balancing.assigned import Assigned, member_names
from subproxy.core.balancing.member import (
    MAX_WEIGHT,
    MIN_WEIGHT,
    Member,
    MemberEvent,
    is_worker,
    member_name,
)
from subproxy.core.printable import printable
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.router import Router

ASSET_TYPES = {
    "page.css": b"text/css; charset=utf-8",
    "page.js": b"text/javascript; charset=utf-8",
    "icon.svg": b"image/svg+xml",
}


NOT_REMEMBERED = "no request of that id is remembered: it has not ended, or many have since"


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


class WeightPage(Resource):
    """Gives the subscriptions that its path names a weight."""

    isLeaf = True

    def __init__(self, admin: Operations) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._admin = admin

    def render_GET(self, request: Request) -> bytes:
        """Looking at it must not change anything."""
        request.setHeader(b"allow", b"POST, DELETE")
        return answer(request, {"error": "POST gives a weight, DELETE takes it back"}, 405)

    def render_POST(self, request: Request) -> bytes | int:
        """Let them have so much of the requests."""
        given = (request.args or {}).get(b"weight", [b""])[0]
        return self._weigh(request, given.decode("ascii", "replace"))

    def render_DELETE(self, request: Request) -> bytes | int:
        """Let them have what they ask for."""
        return self._weigh(request, "")

    def _weigh(self, request: Request, weight: str) -> bytes | int:
        path = request.path or b""
        name = unquote(path.decode("ascii", "replace").removeprefix("/api/weight/"))
        if (weight or request.method == b"POST") and not is_weight(weight):
            error = "a weight is an integer of 1 to 1000; to give nothing, drain"
            return answer(request, {"error": error}, 400)
        return later(request, told(request, self._admin.reply("weight", f"{weight} {name}")))


def is_weight(text: str) -> bool:
    """Whether C{text} is one as in hello: an integer, of which 100 is usual."""
    least, most = MIN_WEIGHT * 100, MAX_WEIGHT * 100
    return text.isdecimal() and len(text) < 6 and least <= int(text) <= most


def assigned(about: str) -> tuple[str, float | None]:
    """The name and the weight of C{about}: an integer, or nothing, and the name behind a space."""
    weight, _, name = about.partition(" ")
    return printable(name), int(weight) / 100 if weight else None


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
    @ivar overview: looks at everything at once.
    @ivar assigned: what an operator has said of subscribers.
    @ivar log: where the access log is, and its format; None if there is none.
    @ivar requests: finds the ways of requests by an id; None if there is no access log.
    @ivar hosts: other hosts as plain data; None if none are named.
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
        overview: Callable[[], Data] | None = None,
        log: Callable[[], Data] | None = None,
        assigned: Assigned | None = None,
    ) -> None:
        self.assigned = assigned or Assigned()
        self.log = log
        self.overview = overview
        self.certificates = certificates
        self.hosts: Callable[[], Data] | None = None
        self.requests: Callable[[str], list[Data]] | None = None
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
            case "hosts":
                return self._hosts()
            case "log":
                if self.log is None:
                    return {"error": "no access log is written (see --access-log)"}, 409
                return self.log(), 200
            case "overview" if self.overview is not None:
                data = self.overview()
                if self.hosts is not None:
                    others = self.hosts()
                    data.update(hosts=others["hosts"], cluster=others["cluster"])
                return data, 200
            case "explain":
                return self._explain(about)
            case "request":
                return self._requests(about)
            case "drain" | "undrain":
                return self._drain(about, MemberEvent[what.upper()])
            case "weight":
                return self._weigh(about)
            case "assigned":
                self._go_by(json.loads(about))
                return {}, 200
            case "reload":
                return self._reload()
        if what.startswith("machine"):
            return {"error": NO_MACHINES}, 409
        return {"error": "no such page"}, 404

    def drain(self, name: str, event: MemberEvent) -> list[Member]:
        """
        Feed C{event} to each member of that identity, identity and application, or id.

        @return: those that there were.
        """
        members = self._called(printable(name))
        for member in members:
            if member.feed(event, self.now()) and event is MemberEvent.UNDRAIN:
                self._capacity(member)
        return members

    def _called(self, name: str) -> list[Member]:
        return [
            member
            for member in self.registry.members()
            if not is_worker(member) and name in member_names(member)
        ]

    def _weigh(self, about: str) -> Reply:
        """C{about}: an integer, or nothing, and the name behind a space."""
        name, weight = assigned(about)
        members = self._called(name)
        # Who has gone would have it again when it comes back: it can be taken back before.
        kept = weight is None and name in self.assigned.weights.given
        if not members and not kept:
            return {"error": f"no subscriber is called '{name}'"}, 404
        self.assigned.weights.set(name, weight)
        for member in members:
            member.assign(self.assigned.weights.of(member))
        return {"subscribers": [member_name(member) for member in members]}, 200

    def _go_by(self, plain: Data) -> None:
        """The parent of this worker tells what all of them go by."""
        members = [member for member in self.registry.members() if not is_worker(member)]
        drained = set(filter(self.assigned.drains, members))
        self.assigned.restore(plain)
        for member in members:
            member.assign(self.assigned.weights.of(member))
            if self.assigned.drains(member):
                member.feed(MemberEvent.DRAIN, self.now())
            elif member in drained and member.feed(MemberEvent.UNDRAIN, self.now()):
                self._capacity(member)

    def _drain(self, name: str, event: MemberEvent) -> Reply:
        """Who is called so may dial again, and is drained then too."""
        name = printable(name)
        members = self.drain(name, event)
        drained = event is MemberEvent.DRAIN
        # What holds for who has gone can be taken back; nobody is drained before it was ever here.
        known = (members or not drained) and self.assigned.drain(name, drained)
        if not members and not known:
            return {"error": f"no subscriber is called '{name}'"}, 404
        return {"subscribers": [member_name(member) for member in members]}, 200

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

    def _requests(self, about: str) -> Reply:
        """Where a request went."""
        if self.requests is None:
            error = "no access log is written (see --access-log), by which requests are found"
            return {"error": error}, 409
        found = self.requests(about)
        if not found:
            return {"error": NOT_REMEMBERED}, 404
        return {"requests": found}, 200

    def _certificates(self) -> Reply:
        if self.certificates is None:
            return {"error": "nothing is served over TLS (see --https)"}, 409
        return {"certificates": self.certificates()}, 200

    def _hosts(self) -> Reply:
        if self.hosts is None:
            return {"error": "no other hosts are named (see --peer-listen)"}, 409
        return self.hosts(), 200

    def _reload(self) -> Reply:
        if self.reload is None:
            error = "there is no file to read again: neither --config nor --policy was given"
            return {"error": error}, 409
        done = self.reload()
        if done["problems"]:
            return {"error": "nothing has changed", **done}, 422
        return done, 200


def admin_site(
    admin: Admin, collectors: CollectorRegistry, guard: Guard, clock: IReactorTime
) -> GuardedSite:
    """The site of C{admin} and of what C{collectors} collect, for whom C{guard} lets in."""
    admin.collectors = collectors
    return operations_site(admin, guard, clock)


def operations_site(admin: Operations, guard: Guard, clock: IReactorTime) -> GuardedSite:
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
        return told(request, search(admin, url))

    def one_request(request: Request) -> bytes | Deferred[bytes]:
        about = (request.args or {}).get(b"id", [b""])[0].decode("latin-1")
        return told(request, admin.reply("request", about))

    def page(what: str) -> Page:
        return Page(lambda request: told(request, admin.reply(what)))

    def index(request: Request) -> bytes | Deferred[bytes]:
        signed_in = guard.cookie is not None

        def written(reply: Reply) -> bytes:
            data, status = reply
            if status != 200:
                return answer(request, data, status)
            request.setHeader(b"content-type", b"text/html; charset=utf-8")
            request.setHeader(b"content-security-policy", PAGE_POLICY)
            return overview_page(data, signed_in=signed_in)

        reply = admin.reply("overview")
        return reply.addCallback(written) if isinstance(reply, Deferred) else written(reply)

    def static(name: str, kind: bytes) -> Page:
        def asked(request: Request) -> bytes:
            request.setHeader(b"content-type", kind)
            return asset(name)

        return Page(asked)

    root: Any = Folder()  # type: ignore[no-untyped-call]
    files: Any = Folder()  # type: ignore[no-untyped-call]
    api: Any = Folder()  # type: ignore[no-untyped-call]
    root.putChild(b"", Page(index))
    root.putChild(b"static", files)
    for name, kind in ASSET_TYPES.items():
        files.putChild(name.encode(), static(name, kind))
    root.putChild(b"metrics", Page(metrics))
    root.putChild(b"healthz", Page(health))
    root.putChild(b"readyz", Page(readiness))
    root.putChild(b"api", api)
    for name in ("routes", "subscribers", "certificates", "hosts", "overview", "log"):
        api.putChild(name.encode(), page(name))
    api.putChild(b"events", EventPage(admin, clock))
    api.putChild(b"explain", Page(explain))
    api.putChild(b"request", Page(one_request))
    api.putChild(b"drain", DrainPage(admin))
    api.putChild(b"weight", WeightPage(admin))
    api.putChild(b"reload", ReloadPage(admin))
    api.putChild(b"machines", MachinesPage(admin))
    return GuardedSite(root, guard, clock)
