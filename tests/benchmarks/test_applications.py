"""Tests of benchmarks.applications: its figures, and that all of it answers the same."""

from __future__ import annotations

import asyncio
import contextlib
import io
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import applications, hello_applications
from guest.cli.loading import load
from guest.cli.options import parse
from guest.core.request import Request


class FigureTests(SynchronousTestCase):
    def test_ratios_are_of_rounds(self) -> None:
        """Not of medians: what disturbs a round disturbs both."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            applications.tell({"guest-asgi": [10, 40, 30], "uvicorn": [20, 50, 20], "other": [1]})
        self.assertIn("guest-asgi             30.0 µs  (10.0 to 40.0)\n", said.getvalue())
        self.assertTrue(said.getvalue().endswith("guest-asgi / uvicorn: 0.800\n"), said.getvalue())
        self.assertEqual(said.getvalue().count(" / "), 1)

    def test_each_ratio_is_of_somebody(self) -> None:
        for one, other in applications.BESIDE:
            self.assertIn(one, applications.GUESTS)
            self.assertIn(other, applications.PEERS)


class HelloTests(SynchronousTestCase):
    def test_the_same_answer(self) -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(hello_applications.asgi({"type": "http"}, None, send))
        asyncio.run(hello_applications.asgi({"type": "lifespan"}, None, send))
        started: list[Any] = []
        body = hello_applications.wsgi({}, lambda *args: started.append(args))
        hello = hello_applications.Hello()
        request: Any = Request(b"GET", b"/", [], {}, None, None)  # type: ignore[arg-type]
        response = hello.requestReceived(request)
        self.assertEqual([sent[1]["body"], response.body], body * 2)
        self.assertEqual(sent[0]["headers"], response.headers)
        (status, fields) = started[0]
        self.assertEqual(status, "200 OK")
        lower = [(name.lower().encode(), value.encode()) for name, value in fields]
        self.assertEqual(lower, response.headers)
        self.assertRaises(AttributeError, getattr, hello_applications, "Other")

    def test_the_guest_sees_what_they_are(self) -> None:
        for given in applications.GUESTS.values():
            asked = parse(["--host=a", *(each.format(socket="/tmp/a.sock") for each in given)])
            self.assertTrue(asked.sidecar or load(asked.target))
