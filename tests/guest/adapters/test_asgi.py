"""Tests for L{guest.adapters.asgi}: applications that speak ASGI, to a proxy in memory."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from typing import Any

from guest.adapters.asgi_cycle import ClientDisconnected
from subproxy.wire import messages as m
from subproxy.wire.frames import encode
from tests.frontend.tls.client_certificate_case import ALICE, der
from tests.rigs.asgi_case import START, AsgiTestCase, body, request


class ScopeTests(AsgiTestCase):
    def test_all(self) -> None:
        scope = self.scope(
            b"/a%20b/\xc3\xa9?x=%20", headers=[(b"Host", b"b.example:8443"), (b"X-A", b"1")]
        )
        extensions = scope.pop("extensions")
        self.assertEqual(
            scope,
            {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "https",
                "path": "/a b/é",
                "raw_path": b"/a%20b/\xc3\xa9",
                "query_string": b"x=%20",
                "root_path": "",
                "headers": [(b"host", b"b.example:8443"), (b"x-a", b"1")],
                "client": ("192.0.2.7", 0),
                "server": ("b.example", 8443),
            },
        )
        self.assertEqual(
            sorted(extensions),
            ["http.response.early_hint", "http.response.pathsend", "http.response.trailers"],
        )

    def test_tls(self) -> None:
        """The extension is there for who came over TLS, if the guest is told of that."""
        self.assertNotIn("tls", self.scope()["extensions"])
        none = {"server_cert": None, "client_cert_chain": (), "client_cert_name": None,
                "client_cert_error": None, "tls_version": 0x0303, "cipher_suite": None}  # fmt: skip
        told: dict[bytes, Any] = {b"version": b"1.2", b"sni": b"blog.example"}
        for content in (b"", None):  # whole, and not
            extensions = self.scope(info={b"tls": told}, content=content)["extensions"]
            self.assertEqual(extensions["tls"], none)
            self.assertIn("http.response.trailers", extensions)
        shown = {b"version": b"1.3", b"verified": True, b"cert": der(ALICE), b"sha256": bytes(32)}
        found = self.scope(info={b"tls": shown})["extensions"]["tls"]
        self.assertEqual((found["tls_version"], found["client_cert_name"]), (0x0304, "CN=alice"))
        [text] = found["client_cert_chain"]
        self.assertIn(text.encode(), ALICE)

    def test_server(self) -> None:
        self.assertEqual(self.scope()["server"], ("blog.example", 443))
        self.assertEqual(self.scope(headers=[(b"Host", b"[::1]:80")])["server"], ("[::1]", 80))
        self.assertIsNone(self.scope(headers=[])["server"])
        self.assertIsNone(self.scope(info={b"client": b""})["client"])

    def test_root_path(self) -> None:
        """A path without it has it set before; one that has it stays."""
        for target in (b"/app/x", b"/x"):
            scope = self.scope(target, "/app")
            found = (scope["root_path"], scope["path"], scope["raw_path"])
            self.assertEqual(found, ("/app", "/app/x", b"/app/x"))
        self.assertEqual(self.scope(b"/apples", "/app")["path"], "/app/apples")

    def test_state(self) -> None:
        """Each request has a copy of its own."""
        seen: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            seen.append(dict(scope["state"]))
            scope["state"]["mine"] = 1
            await send(START)
            await send(body())

        guest = self.serve(application)
        self.adapter.state = {"shared": 1}
        guest.send(request(number=1) + request(number=2))
        self.assertEqual(seen, [{"shared": 1}, {"shared": 1}])

    def test_an_unusual_request_has_the_same(self) -> None:
        streamed = self.scope(b"/x?y", content=None, method=b"POST")
        whole = self.scope(b"/x?y", method=b"POST")
        self.assertEqual(streamed, whole)


class AsgiResponseTests(AsgiTestCase):
    def answer(self, *messages: dict[str, Any], method: bytes = b"GET") -> list[Any]:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            for message in messages:
                await send(message)

        return self.ask(self.serve(application), method=method)

    def test_whole(self) -> None:
        self.assertEqual(
            self.answer(START, body(b"hello")),
            [[b"response", 1, 200, [[b"content-type", b"t/x"]], {}, b"hello"]],
        )

    def test_fields_of_any_iterable(self) -> None:
        """Also where the response turns out to be no plain one."""
        for content in (b"ok", bytes(300_000)):

            async def application(scope: Any, receive: Any, send: Any, it: Any = content) -> None:
                fields = (pair for pair in [(b"x-a", b"1")])
                await send({"type": "http.response.start", "status": 200, "headers": fields})
                await send(body(it))

            (response, *_) = self.ask(self.serve(application))
            self.assertIn([b"x-a", b"1"], response[3])

    def test_whole_when_it_had_to_wait(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(0)
            await send(START)
            await send(body(b"hello"))

        frames = self.ask(self.serve(application))
        self.assertEqual(frames, [[b"response", 1, 200, [[b"content-type", b"t/x"]], {}, b"hello"]])

    def test_streamed(self) -> None:
        frames = self.answer(START, body(b"one", True), body(b"", True), body(b"two"))
        self.assertEqual(
            frames,
            [
                [b"response", 1, 200, [[b"content-type", b"t/x"]], {}, None],
                [b"body", 1, b"one"],
                [b"body", 1, b"two"],
                [b"end", 1, [], {}],
            ],
        )

    def test_head_and_no_content(self) -> None:
        self.assertEqual(self.answer(START, body(b"hello"), method=b"HEAD")[0][5], b"")
        frames = self.answer(START, body(b"hel", True), body(b"lo"), method=b"HEAD")
        self.assertEqual([frame[0] for frame in frames], [b"response"])
        empty = {"type": "http.response.start", "status": 204}
        self.assertEqual(self.answer(empty, body())[0][2:], [204, [], {}, b""])

    def test_trailers(self) -> None:
        frames = self.answer(
            {**START, "trailers": True},
            body(b"x"),
            {"type": "http.response.trailers", "headers": [(b"a", b"1")], "more_trailers": True},
            {"type": "http.response.trailers", "headers": [(b"b", b"2")]},
        )
        self.assertEqual(frames[-1], [b"end", 1, [[b"a", b"1"], [b"b", b"2"]], {}])

    def test_early_hints(self) -> None:
        hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}
        frames = self.answer(hint, START, body(b"x"))
        self.assertEqual(frames[0][2:4], [103, [[b"link", b"</a.css>; rel=preload"]]])
        self.assertEqual(frames[1][2], 200)

    def test_pathsend(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"content" * 1000)
            file.flush()
            send = {"type": "http.response.pathsend", "path": file.name}
            frames = self.answer(START, send)
        self.assertIn([b"content-length", b"7000"], frames[0][3])
        self.assertEqual(b"".join(f[2] for f in frames if f[0] == b"body"), b"content" * 1000)

    def test_a_large_body_goes_over_a_data_connection(self) -> None:
        headers = [(b"content-length", b"200000")]

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for _ in range(4):
                await send(body(b"x" * 50_000, True))
            await send(body())

        guest = self.serve(application, bulk=True)
        frames = self.ask(guest)
        self.assertEqual(frames[0][5], {b"length": 200_000})
        guest.send(encode([b"connect", 1, b"t" * 16]))
        (line,) = guest.lines()
        line.receive()
        line.send(encode([b"connect", 1, b"t" * 16]))
        self.assertEqual(len(line.receive()), 200_000)
        self.assertEqual(guest.frames()[-1][0], b"end")

    def test_send_waits_for_credit(self) -> None:
        sent: list[int] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            for number in range(10):
                await send(body(b"x" * 1000, True))
                sent.append(number)
            await send(body())

        guest = self.serve(application, window=2000)
        self.ask(guest)
        self.assertLess(len(sent), 6)
        for _ in range(20):
            guest.send(m.Credit(1, 1000).encode())
        self.assertEqual(len(sent), 10)
        self.assertEqual(guest.frames()[-1][0], b"end")

    def test_wrong_order(self) -> None:
        """The application is told, and the client gets 500."""
        for messages in (
            [body(b"x")],
            [START, START],
            [{"type": "http.response.nonsense"}],
            [START],
            [],
        ):
            self.assertEqual(self.answer(*messages)[0][2], 500, messages)

    def test_a_head_that_can_not_be_sent(self) -> None:
        for headers in ([(b"a b", b"x")], [("str", "str")], [(b"content-length", b"99")]):
            start = {"type": "http.response.start", "status": 200, "headers": headers}
            self.assertEqual(self.answer(start, body(b"x"))[0][2], 500, headers)

    def test_it_fails(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            raise RuntimeError("on purpose")

        def at_once(scope: Any, receive: Any, send: Any) -> Any:
            raise RuntimeError("on purpose")

        for each in (application, at_once):
            self.assertEqual(self.ask(self.serve(each))[0][2], 500)

    def test_a_failure_amid_the_body_is_seen(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await send(body(b"half", True))
            raise RuntimeError("on purpose")

        frames = self.ask(self.serve(application))
        self.assertEqual([frame[0] for frame in frames], [b"response", b"body", b"abort"])

    def test_a_body_that_is_not_completed_is_seen(self) -> None:
        self.assertEqual(self.answer(START, body(b"half", True))[-1][0], b"abort")

    def test_what_follows_the_response_may_fail(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await send(body(b"x"))
            raise RuntimeError("on purpose")

        frames = self.ask(self.serve(application))
        self.assertEqual([frame[2] for frame in frames], [200])


class AsgiReceiveTests(AsgiTestCase):
    def collecting(self) -> tuple[Callable[..., Any], list[Any]]:
        got: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            while True:
                message = await receive()
                got.append((message["type"], message.get("body"), message.get("more_body")))
                if not message.get("more_body"):
                    break
            await send(START)
            await send(body())
            got.append((await receive())["type"])

        return application, got

    def test_whole(self) -> None:
        application, got = self.collecting()
        self.ask(self.serve(application), content=b"four", method=b"POST")
        self.assertEqual(got, [("http.request", b"four", False), "http.disconnect"])

    def test_streamed(self) -> None:
        application, got = self.collecting()
        guest = self.serve(application)
        self.ask(guest, content=None, method=b"POST")
        guest.send(m.Body(1, b"one").encode())
        guest.send(m.Body(1, b"two").encode() + m.End(1).encode())
        self.assertEqual(
            got,
            [("http.request", b"one", True), ("http.request", b"two", False), "http.disconnect"],
        )

    def test_who_leaves(self) -> None:
        """It hears of it, and is not cancelled; what it sends then fails."""
        got: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            got.append((await receive())["type"])
            try:
                await send(START)
            except OSError as error:
                got.append(type(error))
                raise

        guest = self.serve(application)
        self.assertEqual(self.ask(guest), [])
        guest.send(m.Abort(1, b"client").encode())
        self.assertEqual(got, ["http.disconnect", ClientDisconnected])
        self.assertEqual(len(guest.connection.subscription.exchanges), 0)

    def test_who_leaves_amid_the_body(self) -> None:
        application, got = self.collecting()
        guest = self.serve(application)
        self.ask(guest, content=None, method=b"POST")
        guest.send(m.Abort(1, b"client").encode())
        self.assertEqual(got, [("http.disconnect", None, None)])

    def test_who_leaves_while_it_waits_to_send(self) -> None:
        ended: list[str] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            try:
                while True:
                    await send(body(b"x" * 1000, True))
            except OSError:
                ended.append("told")

        guest = self.serve(application, window=1000)
        self.ask(guest)
        self.assertEqual(ended, [])
        guest.send(m.Abort(1, b"client").encode())
        self.assertEqual(ended, ["told"])

    def test_several_may_wait(self) -> None:
        got: list[str] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()

            async def wait() -> None:
                got.append((await receive())["type"])

            await asyncio.gather(wait(), wait())

        guest = self.serve(application)
        self.ask(guest)
        guest.send(m.Abort(1, b"client").encode())
        self.assertEqual(got, ["http.disconnect"] * 2)


class FinishTests(AsgiTestCase):
    async def background(self, scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(body(b"x"))
        await self.release
        self.done = True

    def test_it_waits_for_what_follows_a_response(self) -> None:
        self.done = False
        guest = self.serve(self.background)
        self.release = guest.loop.create_future()
        self.assertEqual(self.ask(guest)[0][2], 200)
        finishing = guest.loop.create_task(self.adapter.finish(10))
        guest.loop.advance()
        self.assertFalse(finishing.done())
        self.release.set_result(None)
        guest.loop.advance()
        self.assertEqual((finishing.done(), self.done), (True, True))

    def test_but_not_for_ever(self) -> None:
        self.done = False
        guest = self.serve(self.background)
        self.release = guest.loop.create_future()
        self.ask(guest)
        finishing = guest.loop.create_task(self.adapter.finish(10))
        guest.wait(11)
        self.assertEqual((finishing.done(), self.done), (True, False))

    def test_nothing_runs(self) -> None:
        guest = self.serve(self.background)
        guest.loop.result(self.adapter.finish(10))
