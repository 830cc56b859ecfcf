"""
Tests for L{guest.core.framework}: the same core under asyncio, without Twisted.

Each runs in a process of its own, which says whether Twisted was imported.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT

CORE = """
import asyncio, hashlib, sys
from guest.core.exchange import GuestExchange
from guest.framework import Framework, asyncio_framework, framework_of
from guest.core.response import Response
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.states import Role

BODY = bytes(range(256)) * 2000

async def application(request):
    digest = hashlib.sha256()
    async for piece in request:
        digest.update(piece)
    async def answer():
        for start in range(0, len(BODY), 10_000):
            await asyncio.sleep(0)
            yield BODY[start:start + 10_000]
    return Response(200, [(b"x-digest", digest.hexdigest().encode())], answer())

async def main(framework):
    proxy, guest = WireConnection(Role.PROXY), WireConnection(Role.GUEST)
    guest.send(m.Hello({**limits_info(guest.limits), b"application": b"a", b"instance": b"1"}))
    exchanges, tasks, head, got = {}, [], None, b""

    async def run(exchange):
        response = await application(exchange.request)
        outgoing = exchange.begin(response)
        await exchange.stream(outgoing, response)

    ended = False
    for turn in range(100_000):
        proxy.feed(guest.data_to_send())
        while (event := proxy.next_event()) is not None:
            match event:
                case m.Hello():
                    proxy.send(m.Welcome(limits_info(proxy.limits)))
                    proxy.send(m.Request(1, b"POST", b"/", [], {}, None))
                    proxy.write_body(1, BODY)
                    proxy.end_body(1)
                case m.Response():
                    head = event
                case m.Body():
                    got += event.data
                    proxy.consumed(1, len(event.data))
                case m.End():
                    ended = True
        if ended:
            break
        guest.feed(proxy.data_to_send())
        while (event := guest.next_event()) is not None:
            match event:
                case m.Request():
                    exchange = GuestExchange(guest, event, framework, lambda: None)
                    exchanges[event.exchange] = exchange
                    tasks.append(asyncio.ensure_future(run(exchange)))
                case m.Body():
                    exchanges[event.exchange].body_received(event.data)
                case m.End():
                    exchanges[event.exchange].body_ended(event.trailers)
                case m.Credit():
                    exchanges[event.exchange].wake()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert got == BODY, len(got)
    assert head.headers == [(b"x-digest", hashlib.sha256(BODY).hexdigest().encode())]
"""

PLAIN = """
async def start():
    await main(asyncio_framework(asyncio.get_running_loop()))
asyncio.run(start())
print("twisted" in sys.modules)
"""

TXAIO = """
import txaio
txaio.use_asyncio()
async def start():
    loop = asyncio.get_running_loop()
    txaio.config.loop = loop
    await main(Framework(txaio.create_future, txaio.resolve, loop.call_soon))
    await main(framework_of(txaio, loop.call_soon))
asyncio.run(start())
print("twisted" in sys.modules)
"""

CANCELLED = """
from guest.core.request_body import IncomingBody
async def start():
    framework = asyncio_framework(asyncio.get_running_loop())
    body = IncomingBody(framework, lambda amount: None, None)
    reading = asyncio.ensure_future(body.read())
    await asyncio.sleep(0)
    reading.cancel()
    body.received(b"late")
    try:
        await reading
    except asyncio.CancelledError:
        pass
    body.ended([])
    assert await body.read() == b"late"
asyncio.run(start())
print("twisted" in sys.modules)
"""


class AsyncioTests(SynchronousTestCase):
    """Wire, requests, responses and exchanges serve any framework."""

    def run_alone(self, code: str) -> None:
        child = subprocess.run(
            [sys.executable, "-c", CORE + code],
            capture_output=True,
            check=False,
            cwd=ROOT,
            text=True,
            timeout=120,
        )
        self.assertEqual((child.returncode, child.stdout), (0, "False\n"), child.stderr)

    def test_with_asyncio_itself(self) -> None:
        self.run_alone(PLAIN)

    def test_with_txaio(self) -> None:
        self.run_alone(TXAIO)

    def test_a_reader_that_is_cancelled(self) -> None:
        self.run_alone(CANCELLED)
