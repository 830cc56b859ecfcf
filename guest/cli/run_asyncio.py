"""Runs WSGI and ASGI applications, on asyncio."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import Any

from guest.asyncio.address import ProxyAddress
from guest.asyncio.runner import AsyncioRunner, run_in_loop
from guest.asyncio.runtime import asyncio_runtime
from guest.asyncio.subscriber import AsyncioSubscriber
from guest.cli.begin_asyncio import begin_asyncio
from guest.cli.collector import begin_collecting
from guest.cli.interface import Interface
from guest.cli.options import GuestOptions
from guest.core.profile import SubscriberProfile
from guest.core.statuses import FAILED, USAGE, complain
from subproxy.wire.fields import Info
from subproxy.wire.limits import DEFAULT_WEIGHT


def run(asked: GuestOptions, application: Any, interface: Interface, worker: int) -> int:
    """
    Serve C{application} until something ends it.

    @return: the exit status.
    """
    begun = begin_asyncio(asked)
    if begun is None:
        return USAGE
    if asked.passthrough:
        complain("--passthrough is for --to and a program with the keys, or for tlsReceived")
        return USAGE
    address, make = begun
    profile = SubscriberProfile(
        asked.name,
        asked.routes,
        worker=worker,
        concurrency=asked.concurrency,
        weight=asked.weight or DEFAULT_WEIGHT,
        drain_timeout=asked.drain_timeout,
    )
    profile.tls = asked.tls
    begin_collecting()
    serve = _serve_wsgi if interface is Interface.WSGI else _serve_asgi
    return run_in_loop(lambda: serve(asked, application, address, profile), make)


async def _serve_asgi(
    asked: GuestOptions, application: Any, address: ProxyAddress, profile: SubscriberProfile
) -> int:
    from guest.adapters.asgi import WEBSOCKET, AsgiAdapter
    from guest.adapters.lifespan import Lifespan, LifespanFailed

    runtime = asyncio_runtime(asyncio.get_running_loop())
    runner = AsyncioRunner(asked.keep_going)
    if find_spec("wsproto") is not None:
        profile.tunnels = (WEBSOCKET,)
    adapter = AsgiAdapter(application, runtime, asked.root_path)
    lifespan = Lifespan(application, runtime)
    try:
        if not await runner.unless_stopped(lifespan.start()):
            return runner.status
    except LifespanFailed as error:
        complain(f"the application failed to start: {error}")
        return FAILED
    adapter.state = lifespan.state
    status = await runner.run(_subscriber(asked, address, profile, adapter, runner))
    await adapter.finish(asked.drain_timeout)
    await lifespan.stop(asked.drain_timeout)
    return status


async def _serve_wsgi(
    asked: GuestOptions, application: Any, address: ProxyAddress, profile: SubscriberProfile
) -> int:
    from guest.adapters.wsgi import WsgiAdapter

    loop = asyncio.get_running_loop()
    runner = AsyncioRunner(asked.keep_going)
    adapter = WsgiAdapter(
        application,
        asyncio_runtime(loop),
        loop.call_soon_threadsafe,
        root_path=asked.root_path,
        threads=asked.threads,
        hung=asked.hung,
    )

    def pong() -> Info:
        return {b"full": True} if adapter.hung() else {}

    profile.pong = pong  # type: ignore[method-assign]
    status = await runner.run(_subscriber(asked, address, profile, adapter, runner))
    await adapter.finish(asked.drain_timeout)
    return status


def _subscriber(
    asked: GuestOptions,
    address: ProxyAddress,
    profile: SubscriberProfile,
    adapter: Any,
    runner: AsyncioRunner,
) -> AsyncioSubscriber:
    return AsyncioSubscriber(
        address, profile, adapter, runner, where=asked.proxy, retry_refused=asked.keep_going
    )
