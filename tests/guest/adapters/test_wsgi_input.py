"""What an application reads of a request: C{wsgi.input}."""

from __future__ import annotations

import threading
from typing import Any

from subproxy.wire import messages as m
from tests.guest.adapters.test_wsgi import PLAIN, WsgiTestCase, hello
from tests.rigs.asgi_case import request


class WsgiInputTests(WsgiTestCase):
    def echo(self, environ: Any, start_response: Any) -> Any:
        self.length = environ.get("CONTENT_LENGTH")
        body = environ["wsgi.input"].read(int(self.length or 0))
        start_response("200 OK", PLAIN)
        return [body]

    def test_streamed_with_a_length(self) -> None:
        guest = self.serve(self.echo)
        headers = [(b"Content-Length", b"6")]
        guest.send(request(method=b"POST", headers=headers, content=None))
        guest.send(m.Body(1, b"one").encode())
        guest.send(m.Body(1, b"two").encode() + m.End(1).encode())
        self.assertEqual(guest.until(b"response")[-1][5], b"onetwo")

    def test_streamed_without_one(self) -> None:
        """It is spooled, and its length is told."""
        for spool in (1 << 20, 4):
            guest = self.serve(self.echo, spool=spool)
            guest.send(request(method=b"POST", content=None))
            guest.send(m.Body(1, b"one").encode())
            guest.send(m.Body(1, b"two").encode() + m.End(1).encode())
            self.assertEqual(guest.until(b"response")[-1][5], b"onetwo")
            self.assertEqual(self.length, "6")

    def test_lines(self) -> None:
        lines: list[Any] = []

        def application(environ: Any, start_response: Any) -> Any:
            lines.append(environ["wsgi.input"].readline())
            lines.extend(environ["wsgi.input"])
            return hello(environ, start_response)

        guest = self.serve(application)
        headers = [(b"Content-Length", b"9")]
        guest.send(request(method=b"POST", headers=headers, content=None))
        guest.send(m.Body(1, b"a\nb").encode())
        guest.send(m.Body(1, b"b\nc\ndd").encode() + m.End(1).encode())
        guest.until(b"response")
        self.assertEqual(lines, [b"a\n", b"bb\n", b"c\n", b"dd"])

    def test_who_leaves_amid_the_body(self) -> None:
        begun, failed = threading.Event(), threading.Event()

        def application(environ: Any, start_response: Any) -> Any:
            begun.set()
            try:
                environ["wsgi.input"].read()
            except OSError:
                failed.set()
                raise
            return hello(environ, start_response)

        guest = self.serve(application)
        headers = [(b"Content-Length", b"9")]
        guest.send(request(method=b"POST", headers=headers, content=None))
        guest.send(m.Body(1, b"a").encode())
        begun.wait(60)
        guest.send(m.Abort(1, b"client").encode())
        guest.loop.run_until_complete(self.adapter.finish(10))
        self.assertTrue(failed.is_set())

    def test_who_leaves_while_it_is_spooled(self) -> None:
        guest = self.serve(self.echo)
        guest.send(request(method=b"POST", content=None))
        guest.send(m.Abort(1, b"client").encode())
        self.assertEqual(len(guest.connection.subscription.exchanges), 0)
