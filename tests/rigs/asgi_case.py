"""An ASGI application that a guest on an event loop serves, to a proxy in memory."""

from __future__ import annotations

from typing import Any

from guest.adapters.asgi import AsgiAdapter
from subproxy.wire import messages as m
from subproxy.wire.frames import encode
from tests.guest.asyncio.test_connection import LoopTestCase
from tests.rigs.asyncio_guest import LoopGuest

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"t/x")]}


def body(content: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


class AsgiTestCase(LoopTestCase):
    def serve(
        self, application: Any, root_path: str = "", bulk: bool = False, **limits: int
    ) -> LoopGuest:
        """A guest that has been welcomed, and serves C{application}."""

        def adapted(runtime: Any, profile: Any, answer: Any, *args: Any) -> Any:
            self.adapter = AsgiAdapter(application, runtime, root_path)
            return LoopGuest.plain(runtime, profile, self.adapter, *args)

        guest = self.guest(connection=adapted, bulk=bulk)
        guest.frames()
        welcome: dict[bytes, Any] = {b"version": 1}
        if bulk:
            welcome[b"bulk"] = 100_000
        welcome.update({key.encode(): value for key, value in limits.items()})
        guest.send(encode([b"welcome", welcome]) + encode([b"registered", 1, {}]))
        return guest

    def ask(self, guest: LoopGuest, target: bytes = b"/", **options: Any) -> list[Any]:
        guest.send(request(target, **options))
        return guest.frames()

    def scope(self, target: bytes = b"/", root_path: str = "", **options: Any) -> dict[str, Any]:
        """The scope of one request."""
        scopes: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            scopes.append(scope)
            await send(START)
            await send(body())

        self.ask(self.serve(application, root_path), target, **options)
        (scope,) = scopes
        return scope  # type: ignore[no-any-return]


def request(
    target: bytes = b"/",
    method: bytes = b"GET",
    headers: Any = ((b"Host", b"blog.example"),),
    info: Any = None,
    content: bytes | None = b"",
    number: int = 1,
) -> bytes:
    about = {b"client": b"192.0.2.7", b"scheme": b"https", b"version": b"1.1"}
    return m.Request(number, method, target, list(headers), about | (info or {}), content).encode()
