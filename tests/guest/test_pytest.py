"""An author's tests in pytest's own style: coroutines and fixtures, driven by pytest-twisted.

L{guest.testing} is for both runners; trial finds no test here, for these are functions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from guest import Request, Response, SubscriberProtocol
from guest.testing import ExchangeFailed, MemoryProxy

PLAIN = [(b"content-type", b"text/plain")]


class Guestbook(SubscriberProtocol):
    """Takes entries, tells them, and can be asked to wait for the next one."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.waiting: list[Deferred[bytes]] = []

    async def requestReceived(self, request: Request) -> Response:
        if request.method == b"POST":
            entry = await request.read(limit=100)
            self.entries.append(entry)
            waiting, self.waiting = self.waiting, []
            for each in waiting:
                each.callback(entry)
            return Response(201, PLAIN, b"thanks")
        if request.path == b"/next":
            return Response(200, PLAIN, await self.next())
        return Response(200, PLAIN, b", ".join(self.entries))

    def next(self) -> Deferred[bytes]:
        self.waiting.append(Deferred())
        return self.waiting[-1]


@pytest_twisted.async_yield_fixture
async def proxy() -> AsyncIterator[MemoryProxy]:
    """A proxy with a guest behind it, which has said goodbye when the test is over."""
    proxy = MemoryProxy(Guestbook)
    yield proxy
    proxy.drain()
    proxy.disconnect()
    await deferLater(reactor, 0, lambda: None)
    assert not proxy.connected


@pytest_twisted.ensureDeferred
async def test_what_is_posted_is_told(proxy: MemoryProxy) -> None:
    for entry in (b"one", b"two"):
        assert (await proxy.request(b"POST", b"/", body=entry)).status == 201
    assert (await proxy.request(b"GET", b"/")).body == b"one, two"


@pytest_twisted.ensureDeferred
async def test_a_request_waits_for_another(proxy: MemoryProxy) -> None:
    """A long poll is answered by what somebody else posts meanwhile."""
    poll = proxy.request(b"GET", b"/next")
    await deferLater(reactor, 0, lambda: None)
    assert not poll.called
    await proxy.request(b"POST", b"/", body=b"news")
    proxy.advance(0)
    assert (await poll).body == b"news"


@pytest.mark.parametrize("size", [100, 101])
@pytest_twisted.ensureDeferred
async def test_the_limit_of_an_entry(proxy: MemoryProxy, size: int) -> None:
    response = await proxy.request(b"POST", b"/", body=b"x" * size)
    assert response.status == (201 if size <= 100 else 413)


@pytest_twisted.ensureDeferred
async def test_a_guest_that_is_lost_fails_what_waits(proxy: MemoryProxy) -> None:
    poll = proxy.request(b"GET", b"/next")
    proxy.disconnect()
    with pytest.raises(ExchangeFailed, match="the guest is gone"):
        await poll
