"""Native vsock endpoints against a real kernel, through its loopback (CID 1).

Not a test module: it is run inside a virtual machine that has the modules vsock
and vsock_loopback, because no AF_VSOCK connection may be made on a test machine
itself. It prints a line for each check (C{ok NAME} or C{FAILED NAME: why}), one
line of sum, and exits with 0 if all held.

    python3 guest_native_checks.py --reactor epoll
    python3 guest_native_checks.py --reactor io_uring
"""

from __future__ import annotations

import argparse
import hashlib
import os
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from guest_native_bench import LIMIT, Bench  # beside this file, in the machine

CHECKS: list[Callable[[Any], Coroutine[Any, Any, str | None]]] = []


def check(function: Any) -> Any:
    CHECKS.append(function)
    return function


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@check
async def names(bench: Bench) -> str:
    """Both ends know their addresses, as vsock addresses, and who the peer is."""
    from subproxy.endpoints.addresses import VsockAddress
    from subproxy.endpoints.identity import identity_of_transport

    client, served = await bench.pair()
    ours, theirs = client.transport.getHost(), served.transport.getPeer()
    assert isinstance(ours, VsockAddress), ours
    assert ours.port == theirs.port, (ours, theirs)
    assert theirs.cid == 1, theirs
    assert client.transport.getPeer() == VsockAddress(1, served.transport.getHost().port)
    assert identity_of_transport(served.transport) == "cid:1"
    return f"{type(served.transport).__module__}.{type(served.transport).__name__}"


@check
async def echo(bench: Bench) -> None:
    """A MiB there and back arrives byte for byte."""
    data = os.urandom(1 << 20)
    port = await bench.listen(bench.Server(echo=True))
    client = await bench.dial(port)
    client.transport.write(data)
    await bench.until(lambda: client.received >= len(data), "the echo")
    assert client.digest.digest() == hashlib.sha256(data).digest()


@check
async def lose_connection(bench: Bench) -> None:
    """A connection that is lost on purpose is flushed first, and ends cleanly."""
    from twisted.internet.error import ConnectionDone

    client, served = await bench.pair()
    data = os.urandom(2 << 20)
    served.transport.write(data)
    served.transport.loseConnection()
    await bench.until(lambda: client.lost, "the end")
    assert client.received == len(data), client.received
    assert client.digest.digest() == hashlib.sha256(data).digest()
    assert client.lost.check(ConnectionDone), client.lost
    await bench.until(lambda: served.lost, "the server's end")


@check
async def back_pressure(bench: Bench) -> None:
    """A producer is paused while the peer does not read, and goes on when it does."""
    client, served = await bench.pair()
    client.transport.pauseProducing()
    piece = b"x" * 65536
    calls: list[str] = []

    class Producer:
        def __init__(self) -> None:
            self.sent = 0
            self.flowing = False

        def resumeProducing(self) -> None:
            calls.append("resume")
            self.flowing = True
            while self.flowing and self.sent < 64:
                self.sent += 1
                served.transport.write(piece)
            if self.sent == 64 and self.flowing:
                self.flowing = False
                served.transport.unregisterProducer()

        def pauseProducing(self) -> None:
            calls.append("pause")
            self.flowing = False

        def stopProducing(self) -> None:
            self.flowing = False

    producer = Producer()
    served.transport.registerProducer(producer, True)
    producer.resumeProducing()
    await bench.until(lambda: calls[-1] == "pause", "the pause")
    before = producer.sent
    from twisted.internet.task import deferLater

    await deferLater(bench.reactor, 0.3)
    assert producer.sent - before < 8, (before, producer.sent)
    assert before < 64, before
    client.transport.resumeProducing()
    await bench.until(lambda: client.received == 64 * len(piece), "all of it")


@check
async def abort_by_server(bench: Bench) -> None:
    """An abort closes the connection, at both ends and in the descriptor table."""
    from twisted.internet.error import ConnectionAborted

    client, served = await bench.pair()
    before = descriptors()
    served.transport.abortConnection()
    await bench.until(lambda: client.lost and served.lost, "both ends lost")
    assert served.lost.check(ConnectionAborted), served.lost
    await bench.until(lambda: descriptors() == before - 2, "descriptors closed")


@check
async def abort_by_client(bench: Bench) -> None:
    """The same the other way round, with data of the peer unread."""
    from twisted.internet.error import ConnectionAborted

    client, served = await bench.pair()
    before = descriptors()
    client.transport.pauseProducing()
    served.transport.write(b"unread" * 1000)
    client.transport.abortConnection()
    await bench.until(lambda: client.lost and served.lost, "both ends lost")
    assert client.lost.check(ConnectionAborted), client.lost
    await bench.until(lambda: descriptors() == before - 2, "descriptors closed")


@check
async def options(bench: Bench) -> None:
    """Socket options of any type work at both ends; TCP's do nothing."""
    for end in await bench.pair():
        handle = end.transport.getHandle()
        linger = struct.pack("ii", 1, 0)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == linger
        end.transport.setTcpNoDelay(True)
        assert end.transport.getTcpNoDelay() is False
        end.transport.setTcpKeepAlive(True)
        assert end.transport.getTcpKeepAlive() is True
        assert len(handle.getsockname()) == 2, handle.getsockname()


@check
async def buffer_size(bench: Bench) -> str:
    """A buffer above the kernel's maximum is given to each accepted connection."""
    size = 1 << 20
    _, served = await bench.pair(bufferSize=size)
    handle = served.transport.getHandle()
    found = struct.unpack("Q", handle.getsockopt(socket.AF_VSOCK, 0, 8))[0]
    assert found == size, found
    _, plain = await bench.pair()
    default = struct.unpack("Q", plain.transport.getHandle().getsockopt(socket.AF_VSOCK, 0, 8))[0]
    return f"{found}, unasked {default}"


@check
async def local_refused(bench: Bench) -> str:
    """Without allowLocal the loopback is no guest: closed at once, logged ten times a second."""
    from twisted.logger import formatEvent, globalLogPublisher

    lines: list[str] = []

    def observe(event: Any) -> None:
        text = formatEvent(event)
        if "which is no guest" in text:
            lines.append(text)

    publisher: Any = globalLogPublisher
    publisher.addObserver(observe)
    try:
        factory = bench.Server()
        port = await bench.listen(factory, allowLocal=False)
        began = time.monotonic()
        clients = [await bench.dial(port) for _ in range(40)]
        await bench.until(lambda: all(client.lost for client in clients), "all closed")
        seconds = int(time.monotonic() - began) + 2
    finally:
        publisher.removeObserver(observe)
    assert not factory.made, factory.made
    assert 1 <= len(lines) <= 10 * seconds, len(lines)
    return lines[0]


@check
async def nobody_listens(bench: Bench) -> str:
    """A port without a listener is refused, in Twisted's words."""
    from twisted.internet.error import ConnectionRefusedError

    try:
        await bench.dial(54321)
    except ConnectionRefusedError as e:
        return str(e)
    raise AssertionError("connected")


@check
async def unknown_cid(bench: Bench) -> str:
    """A CID that leads nowhere is an error of connecting."""
    from twisted.internet.error import ConnectError

    endpoint = bench.native.VsockClientEndpoint(bench.reactor, 77, 12345, timeout=10)
    try:
        await endpoint.connect(bench.Server())
    except ConnectError as e:
        return f"{type(e).__name__}: {e}"
    raise AssertionError("connected")


@check
async def port_in_use(bench: Bench) -> str:
    """A second listener on the port is told so in one line."""
    from subproxy.endpoints.errors import CannotListenAt

    port = await bench.listen(bench.Server())
    try:
        await bench.listen(bench.Server(), port=port.getHost().port)
    except CannotListenAt as e:
        said = str(e)
    else:
        raise AssertionError("listening")
    assert "another process listens there" in said, said
    return said


@check
async def stop_listening(bench: Bench) -> None:
    """A port that stops refuses new connections, keeps the old, and can be had again."""
    from twisted.internet.error import ConnectionRefusedError

    factory = bench.Server(echo=True)
    port = await bench.listen(factory)
    number = port.getHost().port
    client = await bench.dial(port)
    await bench.until(lambda: factory.made, "accepted")
    await port.stopListening()
    try:
        await bench.dial(number)
    except ConnectionRefusedError:
        pass
    else:
        raise AssertionError("connected")
    client.transport.write(b"still here")
    await bench.until(lambda: client.received == 10, "the echo")
    again = await bench.listen(bench.Server(), port=number)
    await bench.dial(again)


@check
async def many(bench: Bench) -> None:
    """Three hundred connections at once are accepted and served."""
    from twisted.internet.defer import Deferred, gatherResults

    factory = bench.Server(echo=True)
    port = await bench.listen(factory)
    dialling = [Deferred.fromCoroutine(bench.dial(port)) for _ in range(300)]
    clients = await gatherResults(dialling, consumeErrors=True)
    for client in clients:
        client.transport.write(b"hello")
    await bench.until(lambda: all(client.received == 5 for client in clients), "all echoes")
    assert len({peer.port for peer in factory.peers}) == 300


@check
async def strings(bench: Bench) -> None:
    """The endpoint strings work as the classes do."""
    from twisted.internet.endpoints import clientFromString, serverFromString

    factory = bench.Server(echo=True)
    server: Any = serverFromString(bench.reactor, "vsock:23456:local=yes:backlog=64")
    bench.ports.append(await server.listen(factory))
    client: Any = await clientFromString(bench.reactor, "vsock:1:23456").connect(bench.Server())
    bench.clients.append(client)
    client.transport.write(b"hello")
    await bench.until(lambda: client.received == 5, "the echo")


@check
async def out_of_descriptors(bench: Bench) -> None:
    """Without descriptors connections are shed, and later ones are served again."""
    import resource

    factory = bench.Server(echo=True)
    port = await bench.listen(factory)
    await bench.dial(port)
    await bench.until(lambda: factory.made, "accepted")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    dialled = []
    for _ in range(3):
        skt = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        skt.setblocking(False)
        dialled.append(skt)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() - 1, limits[1]))
    try:
        for skt in dialled:
            skt.connect_ex((1, port.getHost().port))
        ends = []
        for skt in dialled:

            def closed(skt: socket.socket = skt) -> bool:
                try:
                    return skt.recv(1) == b""
                except BlockingIOError:
                    return False
                except OSError:
                    return True

            ends.append(closed)
        await bench.until(lambda: all(end() for end in ends), "shed")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for skt in dialled:
            skt.close()
    client = await bench.dial(port)
    client.transport.write(b"hello")
    await bench.until(lambda: client.received == 5, "served again")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--reactor", default="epoll", help="epoll, poll, select or io_uring")
    name = parser.parse_args().reactor
    from twisted.application.reactors import installReactor

    reactor: Any = installReactor(name)
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    failed: list[str] = []
    logged: list[Any] = []
    from twisted.logger import globalLogPublisher

    def errors(event: Any) -> None:
        if "log_failure" in event:
            logged.append(event["log_failure"])

    publisher: Any = globalLogPublisher
    publisher.addObserver(errors)

    async def all_checks() -> None:
        bench = Bench(reactor)
        for each in CHECKS:
            word = each.__name__
            began = time.monotonic()
            logged.clear()
            try:
                running = Deferred.fromCoroutine(each(bench))
                running.addTimeout(LIMIT, reactor)
                said = await running
                await bench.clean()
                if logged:
                    raise AssertionError(f"logged: {logged[0].getTraceback()}")
                took = time.monotonic() - began
                print(f"ok {word} ({took:.1f} s)" + (f": {said}" if said else ""), flush=True)
            except Exception as e:
                failed.append(word)
                print(f"FAILED {word}: {type(e).__name__} {e}", flush=True)
                traceback.print_exc(file=sys.stdout)

    def ended(result: Any) -> None:
        if isinstance(result, Failure):
            failed.append("all")
            result.printTraceback(sys.stdout)
        reactor.callLater(0, reactor.stop)

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(all_checks()).addBoth(ended))
    reactor.run()
    held = len(CHECKS) - len(failed)
    print(
        f"native checks on {type(reactor).__name__}: {held} held, {len(failed)} failed", flush=True
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
