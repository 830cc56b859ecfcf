"""A subscription at one end, a proxy in memory at the other."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from guest.core.errors import (
    RegistrationRefused,
    RequestAborted,
)
from guest.core.request import Request
from guest.core.response import Response
from guest.core.welcome import Welcome
from guest.testing import MemoryProxy
from guest.twisted.subscriber import SubscriberProtocol


class Application(SubscriberProtocol):
    """Answers what it is told to, and remembers what was said to it."""

    def __init__(self) -> None:
        self.hooks: list[Any] = []
        self.requests: list[Request] = []
        self.answer: Any = lambda request: Response(200, [], b"ok")

    def requestReceived(self, request: Request) -> Any:
        self.requests.append(request)
        return self.answer(request)

    def subscribed(self, welcome: Welcome) -> None:
        self.hooks.append(("subscribed", welcome.identity))

    def registered(self, host: bytes, path: bytes) -> None:
        self.hooks.append(("registered", host, path))

    def refused(self, refusal: RegistrationRefused) -> None:
        self.hooks.append(("refused", refusal.code))

    def requestAborted(self, request: Request, reason: RequestAborted) -> None:
        self.hooks.append(("aborted", request.target, reason.code))

    def subscriptionLost(self, reason: Failure) -> None:
        self.hooks.append(("lost", type(reason.value)))


class SubscriberTestCase(SynchronousTestCase):
    """A subscription and a proxy."""

    def setUp(self) -> None:
        self.memory = MemoryProxy(Application)
        self.guest: Any = self.memory.guest
        self.proxy = self.memory.proxy

    def get(self, target: bytes = b"/") -> Deferred[Any]:
        return self.memory.request(b"GET", target)
