"""Tests for L{guest.adapters.wsgi}: applications in threads, to a proxy in memory."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

from guest.adapters import wsgi_job
from guest.adapters.wsgi import WsgiAdapter
from subproxy.wire import messages as m
from subproxy.wire.frames import encode
from tests.guest.asyncio.test_connection import LoopTestCase
from tests.rigs.asgi_case import request
from tests.rigs.asyncio_guest import LoopGuest

PLAIN = [("Content-Type", "text/plain")]


class WsgiTestCase(LoopTestCase):
    def serve(
        self, application: Any, bulk: bool = False, threads: int = 1, **options: Any
    ) -> LoopGuest:
        """A guest that has been welcomed, and serves C{application} in one thread."""

        def adapted(runtime: Any, profile: Any, answer: Any, *args: Any) -> Any:
            loop = answer_loop(runtime)
            self.adapter = WsgiAdapter(
                application, runtime, loop.call_soon_threadsafe, threads=threads, **options
            )
            return LoopGuest.plain(runtime, profile, self.adapter, *args)

        guest = self.guest(connection=adapted, bulk=bulk)
        guest.frames()
        welcome: dict[bytes, Any] = {b"version": 1}
        if bulk:
            welcome[b"bulk"] = 100_000
        guest.send(encode([b"welcome", welcome]) + encode([b"registered", 1, {}]))
        self.addCleanup(lambda: guest.loop.create_task(self.adapter.finish(10)))
        return guest

    def ask(
        self, application: Any, target: bytes = b"/", until: bytes = b"response", **more: Any
    ) -> list[Any]:
        guest = self.serve(application)
        guest.send(request(target, **more))
        return guest.until(until)


def answer_loop(runtime: Any) -> Any:
    """The loop of a runtime on asyncio."""
    return runtime.soon.__self__


def hello(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", PLAIN)
    return [b"hel", b"lo"]


class EnvironTests(WsgiTestCase):
    def environ(self, target: bytes = b"/", root_path: str = "", **options: Any) -> dict[str, Any]:
        seen: list[Any] = []

        def application(environ: Any, start_response: Any) -> Any:
            environ["read"] = environ["wsgi.input"].read()
            seen.append(environ)
            return hello(environ, start_response)

        guest = self.serve(application, root_path=root_path)
        guest.send(request(target, **options))
        guest.until(b"response")
        (environ,) = seen
        return environ  # type: ignore[no-any-return]

    def test_all(self) -> None:
        environ = self.environ(
            b"/a%20b/%C3%A9?x=%20",
            method=b"POST",
            headers=[
                (b"Host", b"b.example:8443"),
                (b"Content-Type", b"text/x"),
                (b"Content-Length", b"4"),
                (b"Cookie", b"a=1"),
                (b"cookie", b"b=2"),
                (b"X-A", b"1"),
                (b"X-A", b"\xe9"),
                (b"X_A", b"spoofed"),
                (b"Transfer-Encoding", b"chunked"),
            ],
            content=b"four",
        )
        self.assertEqual(environ.pop("read"), b"four")
        self.assertIs(environ.pop("wsgi.errors"), sys.stderr)
        for key in ("wsgi.input", "wsgi.file_wrapper"):
            environ.pop(key)
        self.assertEqual(
            environ,
            {
                "REQUEST_METHOD": "POST",
                "SCRIPT_NAME": "",
                "PATH_INFO": "/a b/\xc3\xa9",
                "QUERY_STRING": "x=%20",
                "REQUEST_URI": "/a%20b/%C3%A9?x=%20",
                "RAW_URI": "/a%20b/%C3%A9?x=%20",
                "REMOTE_ADDR": "192.0.2.7",
                "SERVER_NAME": "b.example",
                "SERVER_PORT": "8443",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "SERVER_SOFTWARE": "subproxy",
                "GATEWAY_INTERFACE": "CGI/1.1",
                "CONTENT_TYPE": "text/x",
                "CONTENT_LENGTH": "4",
                "HTTP_HOST": "b.example:8443",
                "HTTP_COOKIE": "a=1; b=2",
                "HTTP_X_A": "1,\xe9",
                "wsgi.version": (1, 0),
                "wsgi.url_scheme": "https",
                "wsgi.multithread": False,
                "wsgi.multiprocess": False,
                "wsgi.run_once": False,
                "wsgi.input_terminated": True,
            },
        )

    def test_no_body(self) -> None:
        """Werkzeug looks at whether the key is there."""
        environ = self.environ()
        self.assertNotIn("CONTENT_LENGTH", environ)
        self.assertEqual((environ["read"], environ["SERVER_PORT"]), (b"", "443"))

    def test_a_whole_body_of_which_nobody_told_the_length(self) -> None:
        self.assertEqual(self.environ(method=b"POST", content=b"abc")["CONTENT_LENGTH"], "3")

    def test_root_path(self) -> None:
        for target, path in ((b"/app/x", "/x"), (b"/app", ""), (b"/apples", "/apples")):
            environ = self.environ(target, "/app")
            self.assertEqual((environ["SCRIPT_NAME"], environ["PATH_INFO"]), ("/app", path))


class WsgiResponseTests(WsgiTestCase):
    def test_whole(self) -> None:
        expected = [b"response", 1, 200, [[b"Content-Type", b"text/plain"]], {}, b"hello"]
        self.assertEqual(self.ask(hello), [expected])

    def test_the_validator_is_content(self) -> None:
        @validator
        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [*PLAIN, ("Content-Length", "5")])
            return [environ["wsgi.input"].read(5)]

        frames = self.ask(application, method=b"POST", content=b"01234")
        self.assertEqual(frames[0][2:3] + frames[0][5:], [200, b"01234"])

    def test_a_generator(self) -> None:
        def application(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("201 Created", PLAIN)
            yield b"one"
            yield b""
            yield b"two"

        frames = self.ask(application, until=b"end")
        self.assertEqual(frames[0][2], 201)
        self.assertEqual([f[2] for f in frames if f[0] == b"body"], [b"one", b"two"])

    def test_one_piece_with_its_length(self) -> None:
        def application(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [("Content-Length", "3")])
            yield b"one"

        self.assertEqual(self.ask(application)[0][5], b"one")

    def test_remembered_fields_are_bounded(self) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            for number in range(3000):
                fields = [("X-Number", str(number)), ("X-Long", "x" * 400)]
                try:
                    raise ValueError
                except ValueError:
                    start_response("200 OK", fields, sys.exc_info())
            return [b"x"]

        frames = self.ask(application)
        self.assertEqual(frames[0][3], [[b"X-Number", b"2999"], [b"X-Long", b"x" * 400]])
        self.assertLessEqual(len(wsgi_job._ENCODED), wsgi_job._MOST)
        self.assertNotIn(("X-Long", "x" * 400), wsgi_job._ENCODED)

    def test_a_reason_of_its_own(self) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            start_response("299 As You Like It", PLAIN)
            return [b"x"]

        self.assertEqual(self.ask(application)[0][4], {b"reason": b"As You Like It"})

    def test_write(self) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            write = start_response("200 OK", PLAIN)
            write(b"one")
            write(b"two")
            return [b"three"]

        frames = self.ask(application, until=b"end")
        self.assertEqual([f[2] for f in frames if f[0] == b"body"], [b"one", b"two", b"three"])

    def test_more_than_was_told(self) -> None:
        """What is more would be another response."""

        def application(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [("Content-Length", "4")])
            yield b"one"
            yield b"two"

        frames = self.ask(application, until=b"end")
        self.assertEqual([f[2] for f in frames if f[0] == b"body"], [b"one", b"t"])

    def test_less_than_was_told(self) -> None:
        def application(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [("Content-Length", "9")])
            yield b"one"

        self.assertEqual(self.ask(application, until=b"abort")[0][0], b"response")

    def test_a_failing_generator_is_a_truncation(self) -> None:
        def application(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", PLAIN)
            yield b"half"
            raise RuntimeError("on purpose")

        frames = self.ask(application, until=b"abort")
        self.assertEqual(frames[0][2], 200)

    def test_a_failure_before_the_head(self) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            raise RuntimeError("on purpose")

        def leaving(environ: Any, start_response: Any) -> Any:
            sys.exit(3)

        def silent(environ: Any, start_response: Any) -> Any:
            return [b"x"]

        def strings(environ: Any, start_response: Any) -> Iterator[Any]:
            start_response("200 OK", PLAIN)
            yield "text"

        def wrong(environ: Any, start_response: Any) -> Any:
            start_response("OK", PLAIN)
            return []

        def twice(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", PLAIN)
            start_response("200 OK", PLAIN)
            return []

        def invalid(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [("a b", "c")])
            yield b"x"

        for each in (application, leaving, silent, strings, wrong, twice, invalid):
            self.assertEqual(self.ask(each)[0][2], 500, each)

    def test_another_response_after_an_error(self) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", PLAIN)
            try:
                raise ValueError
            except ValueError:
                start_response("502 Bad Gateway", PLAIN, sys.exc_info())
            return [b"sorry"]

        self.assertEqual(self.ask(application)[0][2], 502)

    def test_but_not_behind_the_head(self) -> None:
        raised: list[Any] = []

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", PLAIN)(b"half")
            try:
                raise ValueError("on purpose")
            except ValueError:
                try:
                    start_response("500 Error", PLAIN, sys.exc_info())
                except ValueError as error:
                    raised.append(error)
                    raise
            return []

        self.ask(application, until=b"abort")
        self.assertEqual(len(raised), 1)

    def test_close(self) -> None:
        closed: list[str] = []

        class Closing:
            def __init__(self, fails: bool) -> None:
                self.fails = fails

            def __iter__(self) -> Iterator[bytes]:
                yield b"x"
                if self.fails:
                    raise RuntimeError("on purpose")

            def close(self) -> None:
                closed.append("closed")

        for fails, until in ((False, b"end"), (True, b"abort")):

            def application(environ: Any, start_response: Any, fails: bool = fails) -> Any:
                start_response("200 OK", PLAIN)
                return Closing(fails)

            guest = self.serve(application)
            guest.send(request())
            guest.until(until)
            guest.loop.run_until_complete(self.adapter.finish(10))
        self.assertEqual(closed, ["closed"] * 2)

    def test_close_that_fails(self) -> None:
        """Behind a body that is complete that is an error of the application, and no truncation."""

        class Failing:
            def __iter__(self) -> Iterator[bytes]:
                yield b"all of it"

            def close(self) -> None:
                raise KeyError("on purpose")

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", PLAIN)
            return Failing()

        guest = self.serve(application)
        with self.assertLogs("guest", "CRITICAL") as logged:
            guest.send(request())
            # The thread has failed before the event loop looks at what it has pushed.
            self.adapter._jobs.put(None)
            self.adapter._threads[0].join(60)
            frames = guest.until(b"end")
            guest.loop.advance()
        self.assertEqual([frame[0] for frame in frames], [b"response", b"body", b"end"])
        self.assertIn("KeyError", logged.output[0])

    def test_who_leaves_closes_it(self) -> None:
        closed = threading.Event()

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", PLAIN)

            class Endless:
                def __iter__(self) -> Iterator[bytes]:
                    while True:
                        yield b"x" * 10_000

                def close(self) -> None:
                    closed.set()

            return Endless()

        guest = self.serve(application)
        guest.send(request())
        guest.until(b"body")
        guest.send(m.Abort(1, b"client").encode())
        self.assertTrue(closed.wait(60))


class FileWrapperTests(WsgiTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = tempfile.NamedTemporaryFile()  # noqa: SIM115
        self.file.write(b"0123456789" * 20_000)
        self.file.seek(10)
        self.addCleanup(self.file.close)

    def application(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", self.headers)
        return environ["wsgi.file_wrapper"](self.file)

    def content(self, *headers: tuple[str, str]) -> tuple[Any, bytes]:
        self.headers = [*PLAIN, *headers]
        guest = self.serve(self.application)
        guest.send(request())
        for _ in range(4):
            guest.send(m.Credit(1, 65_536).encode())
        frames = guest.until(b"end")
        guest.loop.run_until_complete(self.adapter.finish(10))
        return frames[0][3], b"".join(f[2] for f in frames if f[0] == b"body")

    def test_from_where_it_stands(self) -> None:
        fields, body = self.content()
        self.assertIn([b"Content-Length", b"199990"], fields)
        self.assertEqual(body, (b"0123456789" * 20_000)[10:])
        self.assertTrue(self.file.closed)

    def test_a_part(self) -> None:
        self.assertEqual(self.content(("Content-Length", "7"))[1], b"0123456")

    def test_over_a_data_connection(self) -> None:
        self.headers = PLAIN
        guest = self.serve(self.application, bulk=True)
        guest.send(request())
        self.assertEqual(guest.until(b"response")[0][5], {b"length": 199_990})
        guest.send(encode([b"connect", 1, b"t" * 16]))
        (line,) = guest.lines()
        line.send(encode([b"connect", 1, b"t" * 16]))
        self.assertEqual(len(line.receive()), 199_990 + len(encode([b"connect", 1, b"t" * 16])))
        guest.until(b"end")

    def test_what_is_no_file(self) -> None:
        class Reads:
            def __init__(self) -> None:
                self.pieces = [b"one", b"two"]

            def read(self, size: int) -> bytes:
                return self.pieces.pop(0) if self.pieces else b""

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", PLAIN)
            return environ["wsgi.file_wrapper"](Reads())

        frames = self.ask(application, until=b"end")
        self.assertEqual([f[2] for f in frames if f[0] == b"body"], [b"one", b"two"])


class HungTests(WsgiTestCase):
    def test_all_threads(self) -> None:
        now = [0.0]
        release = threading.Event()
        begun = threading.Semaphore(0)

        def application(environ: Any, start_response: Any) -> Any:
            begun.release()
            release.wait(60)
            return hello(environ, start_response)

        guest = self.serve(application, threads=2, hung=30, seconds=lambda: now[0])
        self.assertFalse(self.adapter.hung())
        for number in (1, 2):
            now[0] += 1
            guest.send(request(number=number))
            begun.acquire(timeout=60)
        now[0] = 31.5
        self.assertFalse(self.adapter.hung())
        now[0] = 32.5
        self.assertTrue(self.adapter.hung())
        release.set()
        guest.loop.run_until_complete(self.adapter.finish(10))
        self.assertFalse(self.adapter.hung())
