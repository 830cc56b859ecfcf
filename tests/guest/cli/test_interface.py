"""Tests for L{guest.cli.interface}: what an application is."""

from __future__ import annotations

import functools
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from guest.cli.interface import Interface, InterfaceUnclear, interface_of
from guest.twisted.factory import SubscriberFactory
from guest.twisted.subscriber import SubscriberProtocol


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


def plain_asgi(scope: Any, receive: Any, send: Any) -> Any: ...


def wsgi(environ: Any, start_response: Any) -> Any: ...


def anything(*args: Any) -> Any: ...


def maker() -> Any: ...


@functools.wraps(asgi)
def wrapped(*args: Any) -> Any: ...


class AsyncCalled:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Called:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...

    def view(self, environ: Any, start_response: Any) -> Any: ...


class OptionalArguments:
    def __call__(self, environ: Any, start_response: Any, more: Any = None) -> Any: ...


class OnTwisted(SubscriberProtocol):
    pass


class InterfaceTests(SynchronousTestCase):
    def test_asgi(self) -> None:
        partial = functools.partial(asgi)
        for found in (asgi, plain_asgi, AsyncCalled(), partial, wrapped):
            self.assertIs(interface_of(found), Interface.ASGI, found)

    def test_wsgi(self) -> None:
        partial = functools.partial(plain_asgi, {})
        for found in (wsgi, Called(), Called().view, OptionalArguments(), partial):
            self.assertIs(interface_of(found), Interface.WSGI, found)

    def test_twisted(self) -> None:
        factory = SubscriberFactory(OnTwisted, "a", clock=Clock())
        for found in (OnTwisted, factory):
            self.assertIs(interface_of(found), Interface.TWISTED)
            self.assertIs(interface_of(found, "twisted"), Interface.TWISTED)

    def unclear(self, found: Any, asked: str = "auto") -> str:
        return str(self.assertRaises(InterfaceUnclear, interface_of, found, asked))

    def test_what_was_said_decides(self) -> None:
        self.assertIn("--interface=asgi or wsgi", self.unclear(anything))
        self.assertIs(interface_of(anything, "wsgi"), Interface.WSGI)
        self.assertIs(interface_of(anything, "asgi"), Interface.ASGI)
        self.assertIs(interface_of(AsyncCalled, "asgi"), Interface.ASGI)

    def test_what_can_not_be(self) -> None:
        self.assertIn("runs on Twisted", self.unclear(OnTwisted, "wsgi"))
        self.assertIn("nor a SubscriberFactory", self.unclear(wsgi, "twisted"))
        self.assertIn("can't be called", self.unclear(7))
        self.assertIn("can't be called", self.unclear(7, "wsgi"))

    def test_a_class(self) -> None:
        self.assertIn("it is a class", self.unclear(AsyncCalled))

    def test_a_function_that_makes_one(self) -> None:
        self.assertIn("with () behind it", self.unclear(maker))
