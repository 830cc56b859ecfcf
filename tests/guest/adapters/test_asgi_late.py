"""Tests for L{guest.adapters.asgi_cycle}: what comes late of a response, or never."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

from guest.adapters.asgi_cycle import HEAD_DELAY
from subproxy.wire import messages as m
from tests.rigs.asgi_case import START, AsgiTestCase, body
from tests.rigs.asyncio_guest import LoopGuest


class LostPathsendTests(AsgiTestCase):
    """Somebody in the application drops what he does not know, as those do who compress."""

    def losing(self, called: list[bool]) -> Any:
        async def inner(scope: Any, receive: Any, send: Any) -> None:
            offered = "http.response.pathsend" in scope["extensions"]
            called.append(offered)
            await send(START)
            if offered:
                await send({"type": "http.response.pathsend", "path": __file__})
            else:
                await send(body(b"content"))

        async def outer(scope: Any, receive: Any, send: Any) -> None:
            held: list[Any] = []

            async def compress(message: Any) -> None:
                if message["type"] == "http.response.start":
                    held.append(message)
                elif message["type"] == "http.response.body":
                    await send(held.pop())
                    await send(message)

            await inner(scope, receive, compress)

        return outer

    def test_it_is_asked_again(self) -> None:
        called: list[bool] = []
        guest = self.serve(self.losing(called))
        with self.assertLogs("guest", "WARNING") as logged:
            frames = self.ask(guest)
        self.assertEqual([(f[0], f[2], f[5]) for f in frames], [(b"response", 200, b"content")])
        self.assertEqual((called, len(logged.output)), ([True, False], 1))
        self.assertEqual(self.ask(guest, number=2)[0][5], b"content")
        self.assertEqual(called, [True, False, False])

    def test_one_that_is_not_plain_is_too(self) -> None:
        """It has an exchange from the start."""
        guest = self.serve(self.losing([]), bulk=True)
        (response,) = self.ask(guest, info={b"what": [b"nobody knows"]})
        self.assertEqual(response[5], b"content")

    def test_all_that_were_under_way_are(self) -> None:
        """Not only the first of them."""
        called: list[bool] = []
        losing = self.losing(called)

        async def later(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(1)
            await losing(scope, receive, send)

        guest = self.serve(later)
        for number in (1, 2):
            self.ask(guest, number=number)
        guest.loop.advance(1)
        self.assertEqual(guest.frames(), [])
        guest.loop.advance(1)
        self.assertEqual([(f[1], f[5]) for f in guest.frames()], [(1, b"content"), (2, b"content")])

    def test_a_head_that_was_let_pass(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            if "http.response.pathsend" not in scope["extensions"]:
                await send(body(b"content"))

        self.assertEqual(self.ask(self.serve(application))[0][5], b"content")

    def test_what_may_not_be_repeated(self) -> None:
        called: list[bool] = []
        guest = self.serve(self.losing(called))
        self.assertEqual(self.ask(guest, method=b"POST")[0][2], 500)
        self.assertEqual(self.ask(guest, method=b"POST", number=2)[0][5], b"content")
        self.assertEqual(called, [True, False])

    def test_who_never_answers(self) -> None:
        called: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            called.append((await receive())["type"])

        guest = self.serve(application)
        self.assertEqual([self.ask(guest)[0][2], self.ask(guest, number=2)[0][2]], [500, 500])
        self.assertEqual(called, ["http.request"] * 3)


class LateBodyTests(AsgiTestCase):
    """A head goes without a body when that does not come: of a stream of events, say."""

    def late(self, *messages: Any, waits: bool = False, delay: float = 2.0) -> LoopGuest:
        """A guest of which one has asked: it gives a head, and C{messages} after a while."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if waits:
                await asyncio.sleep(0)
            await send(START)
            await asyncio.sleep(delay)
            for message in messages:
                await send(message)

        guest = self.serve(application)
        self.assertEqual(self.ask(guest), [])
        return guest

    def test_head_then_body(self) -> None:
        for waits in (False, True):
            guest = self.late(body(b"one", True), body(b"two"), waits=waits)
            guest.loop.advance(HEAD_DELAY)
            head = [b"response", 1, 200, [[b"content-type", b"t/x"]], {}, None]
            self.assertEqual(guest.frames(), [head])
            guest.loop.advance(HEAD_DELAY)
            frames = guest.frames()
            self.assertEqual(frames[:2], [[b"body", 1, b"one"], [b"body", 1, b"two"]])
            self.assertEqual(frames[2][0], b"end")

    def test_a_body_in_time(self) -> None:
        guest = self.late(body(b"one"), delay=HEAD_DELAY / 2)
        guest.loop.advance(HEAD_DELAY / 2)
        self.assertEqual([frame[5] for frame in guest.frames()], [b"one"])
        guest.loop.advance(HEAD_DELAY)
        self.assertEqual(guest.frames(), [])

    def test_a_file(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"content" * 9_000)
            file.flush()
            guest = self.late({"type": "http.response.pathsend", "path": file.name})
            guest.loop.advance(HEAD_DELAY)
            guest.loop.advance(HEAD_DELAY)
        frames = guest.frames()
        self.assertEqual(b"".join(f[2] for f in frames if f[0] == b"body"), b"content" * 9_000)
        self.assertEqual(frames[-1][0], b"end")

    def test_a_file_is_all_of_a_body(self) -> None:
        send = {"type": "http.response.pathsend", "path": __file__}
        guest = self.late(body(b"one", True), send)
        guest.loop.advance(2 * HEAD_DELAY)
        self.assertEqual(guest.frames()[-1][0], b"abort")

    def test_a_failure_behind_the_head_is_seen(self) -> None:
        guest = self.late({"type": "http.response.nonsense"})
        guest.loop.advance(HEAD_DELAY)
        guest.loop.advance(HEAD_DELAY)
        self.assertEqual([frame[0] for frame in guest.frames()], [b"response", b"abort"])

    def test_a_head_that_can_not_be_sent(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({**START, "headers": [(b"a b", b"x")]})
            await asyncio.sleep(2)
            await send(body(b"x"))

        guest = self.serve(application)
        self.ask(guest)
        guest.loop.advance(HEAD_DELAY)
        self.assertEqual(guest.frames(), [])
        guest.loop.advance(HEAD_DELAY)
        self.assertEqual(guest.frames()[0][2], 500)

    def test_who_leaves_before(self) -> None:
        guest = self.late(body(b"x"))
        guest.send(m.Abort(1, b"client").encode())
        guest.loop.advance(HEAD_DELAY)
        guest.loop.advance(HEAD_DELAY)
        self.assertEqual(guest.frames(), [])
        self.assertEqual(guest.loop.failures, [])
