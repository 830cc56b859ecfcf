"""
The pages of machines:

    GET /api/machines
    GET /api/machines/NAME/console[?instance=N&from=BYTE&part=whole]
    POST /api/machines               makes one: its table in JSON
    POST /api/machines/NAME          changes it: all of its table
    DELETE /api/machines/NAME
    POST /api/machines/NAME/start
    POST /api/machines/NAME/stop
    POST /api/machines/NAME/restart
    POST /api/machines/NAME/snapshot
    DELETE /api/machines/NAME/snapshot
"""

from __future__ import annotations

from urllib.parse import unquote

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Request

from subproxy.admin.guarded import LONGEST_FORM
from subproxy.admin.pages import Operations, Reply, later, told
from subproxy.core.printable import printable

VERBS = ("start", "stop", "restart", "snapshot")

SEPARATORS = frozenset(" /")
"""What stands behind a name where operations are asked for: no machine's name has any of them."""

NO_MACHINES = "no machine is declared ([[machine]] of the configuration file)"


class MachinesPage(Resource):
    """All of them."""

    isLeaf = True

    def __init__(self, admin: Operations) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._admin = admin

    def render_GET(self, request: Request) -> bytes | int:
        """All machines, or the console of one."""
        parts = _parts(request)
        if not parts:
            return _told(request, self._admin.reply("machines"))
        if SEPARATORS & set(parts[0]):
            return _unknown(request, parts[0])
        if len(parts) == 2 and parts[1] == "console":
            names = (b"instance", b"from", b"part")
            about = "/".join([parts[0], *(_argument(request, each) for each in names)])
            return _told(request, self._admin.reply("machine-console", about))
        if len(parts) == 2 and parts[1] in VERBS:
            request.setHeader(b"allow", b"POST")
            return _told(request, ({"error": "POST does it"}, 405))
        return _told(request, ({"error": "no such page"}, 404))

    def render_POST(self, request: Request) -> bytes | int:
        """Start, stop, or both; have it frozen; or make one, or change it."""
        parts = _parts(request)
        if parts and SEPARATORS & set(parts[0]):
            return _unknown(request, parts[0])
        if len(parts) < 2:
            return self._change("machine-change" if parts else "machine-add", parts, request)
        if len(parts) != 2 or parts[1] not in VERBS:
            return _told(request, ({"error": "no such page"}, 404))
        return _told(request, self._admin.reply(f"machine-{parts[1]}", parts[0]))

    def render_DELETE(self, request: Request) -> bytes | int:
        """It is no longer declared, or has no snapshot any more."""
        parts = _parts(request)
        if len(parts) != 1 and parts[1:] != ["snapshot"]:
            return _told(request, ({"error": "no such page"}, 404))
        if SEPARATORS & set(parts[0]):
            return _unknown(request, parts[0])
        if len(parts) == 2:
            return _told(request, self._admin.reply("machine-drop-snapshot", parts[0]))
        return _told(request, self._admin.reply("machine-remove", f"{parts[0]} "))

    def _change(self, what: str, parts: list[str], request: Request) -> bytes | int:
        length = request.getHeader("content-length")
        if length is None:
            return _told(request, ({"error": "a machine in JSON is needed, and its length"}, 411))
        body = b"" if request.content is None else request.content.read()
        if len(body) != int(length):
            return _told(request, ({"error": f"more than {LONGEST_FORM} bytes"}, 413))
        about = f"{''.join(parts)} {body.decode('utf-8', 'replace')}"
        return _told(request, self._admin.reply(what, about))


def _told(request: Request, reply: Reply | Deferred[Reply]) -> bytes | int:
    return later(request, told(request, reply))


def _unknown(request: Request, name: str) -> bytes | int:
    return _told(request, ({"error": f"no machine is called '{printable(name)}'"}, 404))


def _parts(request: Request) -> list[str]:
    path = (request.path or b"").decode("ascii", "replace").removeprefix("/api/machines")
    return [unquote(part) for part in path.strip("/").split("/") if part]


def _argument(request: Request, name: bytes) -> str:
    found: bytes = (request.args or {}).get(name, [b""])[0]
    return found.decode("latin-1").replace("/", "")
