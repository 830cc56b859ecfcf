"""Emulated vsock over real unix sockets and real processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import protocol
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from subproxy.endpoints.addresses import HybridVsockAddress
from subproxy.endpoints.errors import CannotListenAt, HandshakeFailed
from subproxy.endpoints.hybrid import HybridVsockServerEndpoint
from subproxy.endpoints.hybridclient import HybridVsockClientEndpoint
from subproxy.endpoints.socketfile import FolderLock

reactor: Any = installed

ROOT = str(Path(__file__).parents[2])

STARTER = """
import sys
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol

def say(word):
    print(word, flush=True)

say("ready")
sys.stdin.readline()
endpoint = serverFromString(reactor, sys.argv[1])
endpoint.listen(Factory.forProtocol(Protocol)).addCallbacks(
    lambda _: say("listening"), lambda why: say(why.getErrorMessage()))
reactor.run()
"""


class Starter(ProcessProtocol):
    """Another proxy, as far as the socket goes: says ready, and listens when told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ended: Deferred[None] = Deferred()
        self.errors = b""
        self._rest = b""

    def outReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += [line.decode() for line in lines]

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)


class Collector(Protocol):
    """Keeps what it receives, and its end."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self.lost = reason


class SocketFolderTestCase(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.vm = os.path.join(self.folder, "cid10.sock")
        self.path = self.vm + "_12345"
        self.accepted: list[Any] = []
        self.addCleanup(self.ended)

    def ended(self) -> Deferred[None]:
        """Every connection is over, whatever turns that takes the reactor."""
        return Deferred.fromCoroutine(
            self.until(lambda: all(served.lost for _, served in self.accepted), "all ended")
        )

    def factory(self) -> Factory:
        factory = Factory()
        factory.noisy = False

        def build(address: Any) -> Collector:
            made = Collector()
            self.accepted.append((address, made))
            return made

        factory.buildProtocol = build  # type: ignore[method-assign]
        return factory

    async def listening(self, **options: Any) -> Any:
        endpoint = HybridVsockServerEndpoint(reactor, self.vm, **options)
        port: Any = await endpoint.listen(self.factory())
        self.addCleanup(port.stopListening)
        return port

    async def dial(self, path: str = "") -> Any:
        """As the VMM does for its guest."""
        client = await connectProtocol(
            clientFromString(reactor, "unix:" + (path or self.path)), Collector()
        )
        self.addCleanup(client.transport.abortConnection)
        return client

    async def until(self, condition: Callable[[], object], what: str, seconds: float = 20) -> None:
        deadline = reactor.seconds() + seconds
        while not condition():
            if reactor.seconds() > deadline:
                self.fail(f"not within {seconds} s: {what}")
            await deferLater(reactor, 0.005)

    async def starter(self) -> Starter:
        starter = Starter()
        process = reactor.spawnProcess(
            starter,
            sys.executable,
            [sys.executable, "-c", STARTER, f"hvsock:{self.vm}:port=12345"],
            env={**os.environ, "PYTHONPATH": ROOT},
        )

        def end() -> Deferred[Any]:
            if process.pid:
                process.signalProcess("KILL")
            return starter.ended

        self.addCleanup(end)
        await self.until(lambda: starter.lines, "the other process is ready")
        return starter

    async def started(self, starter: Starter) -> str:
        starter.transport.write(b"go\n")  # type: ignore[union-attr]
        await self.until(lambda: len(starter.lines) > 1, "the other process says what it did")
        return starter.lines[1]


class ServerTests(SocketFolderTestCase):
    async def test_guestConnects(self) -> None:
        """A connection of the guest arrives under the path of its VM, and bytes go both ways."""
        port = await self.listening()
        self.assertEqual(port.getHost(), HybridVsockAddress(self.vm, 12345))
        guest = await self.dial()
        guest.transport.write(b"hello")
        await self.until(lambda: self.accepted and self.accepted[0][1].received, "hello")
        address, served = self.accepted[0]
        self.assertEqual(address, HybridVsockAddress(self.vm))
        self.assertEqual(served.transport.getPeer(), address)
        self.assertEqual(served.transport.getHost(), HybridVsockAddress(self.vm, 12345))
        self.assertEqual(served.transport.getPeer().identity, f"path:{self.vm}")
        served.transport.write(b"welcome")
        served.transport.loseConnection()
        await self.until(lambda: guest.lost, "the end")
        self.assertEqual(guest.received, b"welcome")

    async def test_transportMethods(self) -> None:
        """What Twisted programs call on a stream transport does not break."""
        await self.listening()
        guest = await self.dial()
        await self.until(lambda: self.accepted, "a connection")
        transport = self.accepted[0][1].transport
        transport.setTcpNoDelay(True)
        self.assertFalse(transport.getTcpNoDelay())
        transport.setTcpKeepAlive(True)
        self.assertTrue(transport.getTcpKeepAlive())
        self.assertIn("Collector", repr(transport))
        transport.abortConnection()
        await self.until(lambda: guest.lost, "the abort")
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_beforeTheVm(self) -> None:
        """It listens before the VM's own socket exists, and whether it comes or goes."""
        await self.listening()
        self.assertEqual(os.listdir(self.folder), ["cid10.sock_12345"])

    async def test_backlog(self) -> None:
        """A thousand guests connect while nothing is accepted: a full backlog would freeze a VM."""
        port = await self.listening(backlog=5)
        port.stopReading()
        guests = []
        for _ in range(1000):
            guest = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            self.addCleanup(guest.close)
            guest.connect(self.path)
            guests.append(guest)
        port.startReading()
        await self.until(lambda: len(self.accepted) == 1000, "all accepted")

    async def test_cleanStop(self) -> None:
        """A clean stop removes the socket; connections live on; the path can be used again."""
        port = await self.listening()
        guest = await self.dial()
        await self.until(lambda: self.accepted, "a connection")
        await port.stopListening()
        self.assertEqual(os.listdir(self.folder), [])
        self.accepted[0][1].transport.write(b"still here")
        await self.until(lambda: guest.received == b"still here", "bytes")
        await self.listening()
        await self.dial()

    async def test_cleanStopLeavesAnothers(self) -> None:
        """A clean stop leaves a socket that is no longer ours."""
        port = await self.listening()
        os.unlink(self.path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(self.path)
            await port.stopListening()
            self.assertTrue(stat.S_ISSOCK(os.lstat(self.path).st_mode))

    async def test_staleAfterKill(self) -> None:
        """The socket of a proxy killed by SIGKILL is taken over by the next one."""
        starter = await self.starter()
        self.assertEqual(await self.started(starter), "listening")
        starter.transport.signalProcess(signal.SIGKILL)  # type: ignore[union-attr]
        await starter.ended
        self.assertEqual(os.listdir(self.folder), ["cid10.sock_12345"])
        await self.listening()
        await self.dial()

    async def test_liveIsNotStolen(self) -> None:
        """A proxy that runs keeps its socket, and the second one is told so in one line."""
        starter = await self.starter()
        self.assertEqual(await self.started(starter), "listening")
        inode = os.lstat(self.path).st_ino
        error = await self.assertFailure(
            HybridVsockServerEndpoint(reactor, self.vm).listen(self.factory()), CannotListenAt
        )
        self.assertEqual(
            str(error), f"Couldn't listen on {self.path}: another process listens there."
        )
        self.assertEqual(os.lstat(self.path).st_ino, inode)
        await self.dial()

    async def test_startersRace(self) -> None:
        """Of proxies that start at once over a stale socket exactly one gets it, and serves."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
            killed.bind(self.path)
            killed.listen()
        starters = await gatherResults(
            [Deferred.fromCoroutine(self.starter()) for _ in range(4)], consumeErrors=True
        )
        said = await gatherResults(
            [Deferred.fromCoroutine(self.started(starter)) for starter in starters],
            consumeErrors=True,
        )
        losers = [line for line in said if line != "listening"]
        self.assertEqual(len(losers), 3, said)
        for line in losers:
            self.assertEqual(
                line, f"Couldn't listen on {self.path}: another process listens there."
            )
        await self.dial()
        self.assertEqual(os.listdir(self.folder), ["cid10.sock_12345"])

    async def test_waitsForTheLock(self) -> None:
        """While another proxy is starting it waits, without holding up the reactor."""
        lock = FolderLock(self.folder)
        self.assertTrue(lock.acquire())
        listening = Deferred.fromCoroutine(self.listening())
        await deferLater(reactor, 0.05)
        self.assertFalse(listening.called)
        lock.release()
        await listening
        await self.dial()

    async def test_neverConnectableUnguarded(self) -> None:
        """Whoever hammers the path while it appears never sees another mode than the final one."""
        modes: set[int] = set()
        done = threading.Event()

        def hammer() -> None:
            while not done.is_set():
                try:
                    modes.add(stat.S_IMODE(os.lstat(self.path).st_mode))
                except FileNotFoundError:
                    pass

        thread = threading.Thread(target=hammer)
        thread.start()
        try:
            for _ in range(50):
                port = await self.listening(mode=0o601)
                await port.stopListening()
        finally:
            done.set()
            thread.join()
        self.assertLessEqual(modes, {0o601})

    async def test_peerUids(self) -> None:
        """Only the users told may connect; others are closed, and logged with a limit."""
        lines: list[Any] = []

        def observe(event: Any) -> None:
            if "refused a connection of user" in (event.get("log_format") or ""):
                lines.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        await self.listening(peerUids=[os.getuid() + 1])
        began = reactor.seconds()
        guests = [await self.dial() for _ in range(30)]
        await self.until(lambda: all(guest.lost for guest in guests), "all closed")
        self.assertEqual(self.accepted, [])
        seconds = int(reactor.seconds() - began) + 2
        self.assertIn(len(lines), range(1, min(30, 10 * seconds) + 1))
        self.assertEqual((lines[0]["uid"], lines[0]["pid"]), (os.getuid(), os.getpid()))

    async def test_peerUidAllowed(self) -> None:
        """The user that is told may connect."""
        await self.listening(peerUids={os.getuid()})
        await self.dial()
        await self.until(lambda: self.accepted, "a connection")

    async def test_openFolder(self) -> None:
        """A folder in which anybody can replace our socket is worth a warning."""
        lines: list[str] = []

        def observe(event: Any) -> None:
            lines.append(event.get("log_format") or "")

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        os.chmod(self.folder, 0o777)
        await self.listening()
        self.assertTrue([line for line in lines if "writable by everybody" in line])

    async def test_errors(self) -> None:
        """What can't work is told in one line."""
        for options, why in (
            ({"owner": "nobody-of-that-name"}, "there is no user 'nobody-of-that-name'"),
            ({"group": "nothing-of-that-name"}, "there is no group 'nothing-of-that-name'"),
        ):
            error = await self.assertFailure(
                HybridVsockServerEndpoint(reactor, self.vm, **options).listen(self.factory()),
                CannotListenAt,
            )
            self.assertIn(why, str(error))
        missing = os.path.join(self.folder, "missing")
        error = await self.assertFailure(
            HybridVsockServerEndpoint(reactor, missing + "/a").listen(self.factory()),
            CannotListenAt,
        )
        self.assertIn(f"{missing}: no such file or directory", str(error))

    async def test_string(self) -> None:
        """The endpoint string finds the plugin, and does the same."""
        endpoint = serverFromString(reactor, f"hvsock:{self.vm}:port=99:mode=600")
        port: Any = await endpoint.listen(self.factory())
        self.addCleanup(port.stopListening)
        self.assertEqual(stat.S_IMODE(os.lstat(self.vm + "_99").st_mode), 0o600)
        await self.dial(self.vm + "_99")


class Vmm(Protocol):
    """The host's end of a VMM: takes CONNECT, answers as it is told, and then echoes."""

    answer: bytes = b"OK 1073741824\n"
    pieces = False

    def __init__(self) -> None:
        self.request = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        if self.request.endswith(b"\n"):
            self.transport.write(data)  # type: ignore[union-attr]
            return
        self.request += data
        if self.request.endswith(b"\n"):
            self.transport.write(self.answer)  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self.lost = True


class ClientTests(SocketFolderTestCase):
    async def vmm(self, answer: bytes) -> list[Vmm]:
        made: list[Vmm] = []

        def build(address: Any) -> Vmm:
            vmm = Vmm()
            vmm.answer = answer
            made.append(vmm)
            return vmm

        factory = Factory()
        factory.buildProtocol = build  # type: ignore[method-assign,assignment]
        port = reactor.listenUNIX(self.vm, factory)
        self.addCleanup(port.stopListening)
        return made

    def connect(self, **options: Any) -> Deferred[Any]:
        endpoint = HybridVsockClientEndpoint(reactor, self.vm, 99, **options)
        return connectProtocol(endpoint, Collector())  # type: ignore[arg-type]

    async def test_dialsTheGuest(self) -> None:
        """It asks for the port, and what follows the answer belongs to the protocol."""
        vmm = await self.vmm(b"OK 1073741824\nhello")
        guest = await self.connect()
        self.assertEqual(vmm[0].request, b"CONNECT 99\n")
        self.assertEqual(guest.transport.getPeer(), HybridVsockAddress(self.vm, 99))
        self.assertEqual(guest.received, b"hello")
        guest.transport.write(b" echo")
        await self.until(lambda: guest.received == b"hello echo", "the echo")
        guest.transport.loseConnection()
        await self.until(lambda: guest.lost and vmm[0].lost, "the end")

    async def test_string(self) -> None:
        """The endpoint string dials too."""
        await self.vmm(b"OK 5\n")
        guest = await connectProtocol(
            clientFromString(reactor, f"hvsock:{self.vm}:port=99"), Collector()
        )
        guest.transport.abortConnection()  # type: ignore[union-attr]
        await self.until(lambda: guest.lost, "the end")

    async def test_wrongAnswer(self) -> None:
        """What is not OK and a number ends the connection."""
        vmm = await self.vmm(b"HTTP/1.1 400 Bad Request\n")
        error = await self.assertFailure(self.connect(), HandshakeFailed)
        self.assertIn("its answer was b'HTTP/1.1 400 Bad Request\\n'", str(error))
        await self.until(lambda: vmm[0].lost, "the end")

    async def test_silence(self) -> None:
        """A VMM that never answers is given up on."""
        vmm = await self.vmm(b"OK")
        error = await self.assertFailure(self.connect(timeout=0.2), ConnectError)
        self.assertIn("did not answer within 0.2 s", str(error))
        await self.until(lambda: vmm[0].lost, "the end")

    async def test_cancelled(self) -> None:
        """A connection that is no longer wanted is closed."""
        vmm = await self.vmm(b"")
        connecting = self.connect()
        await self.until(lambda: vmm and vmm[0].request, "the request")
        connecting.cancel()
        await self.assertFailure(connecting, Exception)
        await self.until(lambda: vmm[0].lost, "the end")

    async def test_nobody(self) -> None:
        """Without a VMM it fails as any unix endpoint does."""
        await self.assertFailure(self.connect(), ConnectError)
