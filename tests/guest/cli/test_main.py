"""Tests for L{guest.__main__}: command lines that end before anything runs."""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from guest import __main__ as program
from guest.cli import run_twisted


async def asgi(scope: object, receive: object, send: object) -> None:
    """An application."""


class MainTests(SynchronousTestCase):
    """Command lines that end before anything runs."""

    def run_main(self, *arguments: str) -> tuple[int, str]:
        self.patch(run_twisted, "begin_logging", lambda level: None)
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            status = program.main(arguments)
        return status, stderr.getvalue()

    def test_bad_imports(self) -> None:
        status, said = self.run_main("no_such_module:Application")
        self.assertEqual((status, said.count("\n")), (program.BAD_IMPORT, 1))

    def test_unclear(self) -> None:
        status, said = self.run_main("tests.guest.cli.test_interface:anything")
        self.assertEqual((status, said.count("\n")), (program.BAD_IMPORT, 1))
        self.assertIn("--interface=asgi or wsgi", said)

    def test_bad_endpoints_on_asyncio(self) -> None:
        status, said = self.run_main("--proxy=nonsense:1", "tests.guest.cli.test_main:asgi")
        self.assertEqual((status, said.count("\n")), (program.USAGE, 2))
        self.assertIn("asgi is an ASGI application, on asyncio\n", said)
        self.assertIn("--proxy=nonsense:1: not a client endpoint", said)

    def test_bad_endpoints(self) -> None:
        status, said = self.run_main(
            "--proxy=nonsense:1", "tests.guest.cli.test_loading:Application"
        )
        self.assertEqual((status, said.count("\n")), (program.USAGE, 2))
        self.assertIn("test_loading:Application is a SubscriberProtocol, on Twisted\n", said)
        self.assertIn("--proxy=nonsense:1: not a client endpoint", said)
        said = self.run_main("--proxy=nonsense:1", "tests.guest.cli.test_loading:factory")[1]
        self.assertIn("test_loading:factory is a SubscriberFactory, on Twisted\n", said)
        said = self.run_main("--proxy=/run/a.sock_1", "tests.guest.cli.test_loading:Application")[1]
        self.assertTrue(said.endswith("; of a socket say unix:/run/a.sock_1\n"), said)
