"""
ASGI 3 applications: the scopes C{http} and C{websocket}
(https://asgi.readthedocs.io/en/latest/specs/www.html).

A request that came whole, and is answered whole before the application first waits, has neither
an exchange nor a L{Request<guest.core.request.Request>}: most have not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from guest.adapters.asgi_cycle import AsgiCycle
from guest.adapters.client_certificate import asgi_tls
from guest.core.exchange import GuestExchange
from guest.core.exchanges import Exchanges
from guest.core.runtime import Runtime
from subproxy.wire.fields import Info
from subproxy.wire.whole import WholeRequest

if TYPE_CHECKING:
    from guest.adapters.asgi_websocket import AsgiWebSocket

Scope = MutableMapping[str, Any]
Application = Callable[
    [
        Scope,
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]

ASGI = {"version": "3.0", "spec_version": "2.3"}
"""
As uvicorn says. From 2.4 on Starlette no longer listens for a client that leaves while a stream of
events has nothing to send: its generator would wait on, until it has.
"""

PATHSEND = "http.response.pathsend"

EXTENSIONS: dict[str, dict[str, Any]] = {
    "http.response.early_hint": {},
    PATHSEND: {},
    "http.response.trailers": {},
}

_SAFE = frozenset({b"GET", b"HEAD"})
"""Methods of requests that may be asked for again."""

WEBSOCKET = b"websocket"

_MOST_HOSTS = 256


class AsgiAdapter:
    """
    Serves one ASGI application (L{guest.core.exchanges.ExchangeAdapter}).

    @ivar state: what the application has put there at its start, of which each request has a
        shallow copy; None: the scope has no C{state}.
    @ivar pathsend: whether C{http.response.pathsend} is offered. It is, until such a message was
        lost: between an application that makes use of the offer and us there may be somebody who
        compresses, and drops what he does not know.
    """

    def __init__(self, application: Application, runtime: Runtime, root_path: str = "") -> None:
        """
        Take an application.

        @param root_path: where it is mounted: without a slash at its end.
        """
        self._application = application
        self.runtime = runtime
        self.pathsend = True
        self._extensions = EXTENSIONS
        self._root_path = root_path
        self._hosts: dict[bytes, tuple[str, int | None]] = {}
        self._running: set[AsgiCycle | AsgiWebSocket] = set()
        self._idle: Any = None
        self.state: dict[str, Any] | None = None

    lower_names = True

    # ExchangeAdapter.

    def whole(self, exchanges: Exchanges, found: WholeRequest) -> None:
        """Answer a request that is all here."""
        _, method, target, fields, info, body = found
        cycle = AsgiCycle(self, exchanges, found, body)
        self._run(cycle, self._scope(method, target, fields, info))
        if not cycle.settled:
            cycle.promote()

    def begun(self, exchanges: Exchanges, exchange: GuestExchange) -> None:
        """Answer a request whose body is to come, or that is unusual in another way."""
        request = exchange.request
        if request.tunnel == WEBSOCKET:
            self._web_socket(exchanges, exchange)
            return
        self._ask(exchanges, exchange)

    def _ask(self, exchanges: Exchanges, exchange: GuestExchange) -> None:
        request = exchange.request
        fields = [(name.lower(), value) for name, value in request.headers]
        cycle = AsgiCycle(self, exchanges, None, request.body.whole, exchange)
        self._run(
            cycle, self._scope(request.method, request.target, fields, request.connection_info())
        )

    def ask_again(self, cycle: AsgiCycle) -> bool:
        """See L{guest.adapters.asgi_cycle.CycleHost}."""
        if self.pathsend:
            self.pathsend = False
            self._extensions = {name: {} for name in EXTENSIONS if name != PATHSEND}
            self.runtime.log.warn(
                "the application returned without a response: from now on it is not offered to"
                " send files by {message}, as a middleware may have dropped that",
                message=PATHSEND,
            )
        exchange = cycle.promote()
        if exchange.request.method not in _SAFE or exchange.request.body.whole is None:
            return False
        self._ask(cycle.exchanges, exchange)
        return True

    def _web_socket(self, exchanges: Exchanges, exchange: GuestExchange) -> None:
        # Nobody needs wsproto for anything else.
        from guest.adapters.asgi_websocket import AsgiWebSocket
        from guest.core.web_socket_handshake import offered_subprotocols

        request = exchange.request
        scheme = b"wss" if request.scheme == b"https" else b"ws"
        info: Info = {**request.connection_info(), b"scheme": scheme}
        fields = [(name.lower(), value) for name, value in request.headers]
        scope = self._scope(request.method, request.target, fields, info)
        del scope["method"]
        scope["type"] = "websocket"
        scope["subprotocols"] = offered_subprotocols(request.headers)
        scope["extensions"] = {"websocket.http.response": {}}
        self._run(AsgiWebSocket(self.runtime, exchanges, exchange), scope)

    def _run(self, cycle: AsgiCycle | AsgiWebSocket, scope: Scope) -> None:
        try:
            running: Any = self._application(scope, cycle.receive, cycle.send)
            if not isinstance(running, Coroutine):
                running = _awaited(running)
        except Exception as error:
            cycle.over(error)
            return
        runtime = self.runtime
        task = runtime.start(running)
        if runtime.is_called(task):
            runtime.when_done(task, cycle.over)
        else:
            cycle.task = task
            self._running.add(cycle)
            runtime.when_done(task, partial(self._over, cycle))

    def _over(self, cycle: AsgiCycle | AsgiWebSocket, error: BaseException | None) -> None:
        self._running.discard(cycle)
        # Its error has the frames of the application, and these have the cycle: no circle.
        cycle.task = None
        cycle.over(error)
        if not self._running and self._idle is not None:
            idle, self._idle = self._idle, None
            self.runtime.resolve(idle, None)

    async def finish(self, timeout: float) -> None:
        """
        Wait until nothing of the application runs: it may do so after its last response.

        @param timeout: seconds after which what still runs is cancelled.
        """
        if not self._running:
            return
        self._idle = idle = self.runtime.future()
        timer = self.runtime.later(timeout, self.runtime.resolve, idle, None)
        await idle
        timer.cancel()
        for cycle in list(self._running):
            cycle.task.cancel()

    # The scope.

    def _scope(
        self, method: bytes, target: bytes, fields: list[tuple[bytes, bytes]], info: Info
    ) -> Scope:
        raw_path, _, query = target.partition(b"?")
        if b"%" in raw_path or not raw_path.isascii():
            from urllib.parse import unquote_to_bytes  # few paths need it

            path = unquote_to_bytes(raw_path).decode("utf-8", "replace")
        else:
            path = raw_path.decode("ascii")
        root_path = self._root_path
        if root_path and path != root_path and not path.startswith(root_path + "/"):
            path = root_path + path
            raw_path = root_path.encode("utf-8") + raw_path
        client: bytes = info.get(b"client", b"")
        scheme: bytes = info.get(b"scheme", b"http")
        version: bytes = info.get(b"version", b"1.1")
        scope: Scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": version.decode("latin-1"),
            "method": method.decode("latin-1"),
            "scheme": scheme.decode("latin-1"),
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": root_path,
            "headers": fields,
            "client": (client.decode("latin-1"), 0) if client else None,
            "server": self._server(fields, scheme),
            "extensions": self._extensions,
        }
        if b"tls" in info:
            scope["extensions"] = {**self._extensions, "tls": asgi_tls(info)}
        if self.state is not None:
            scope["state"] = self.state.copy()
        return scope

    def _server(
        self, fields: list[tuple[bytes, bytes]], scheme: bytes
    ) -> tuple[str, int | None] | None:
        """What the client takes us for."""
        for name, value in fields:
            if name == b"host":
                known = self._hosts.get(value)
                return known if known is not None else self._learn(value, scheme)
        return None

    def _learn(self, host: bytes, scheme: bytes) -> tuple[str, int | None]:
        name, colon, port = host.rpartition(b":")
        if not colon or not port.isdigit() or len(port) > 5:
            name, port = host, b"443" if scheme in (b"https", b"wss") else b"80"
        server = (name.decode("latin-1"), int(port))
        if len(self._hosts) >= _MOST_HOSTS:
            self._hosts.clear()
        self._hosts[host] = server
        return server


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable
