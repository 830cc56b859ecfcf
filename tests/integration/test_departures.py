"""
Clients that leave, in every state, on both reactors and both paths: the guest is told within 1 s.

C{python -m tests.integration.test_departures} prints the times from the close to the guest's abort.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import socket
import ssl
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from tests.integration.admin_client import metric
from tests.integration.certificate import certificate
from tests.integration.harness import Process, World, free_port, wait_until

GET = b"GET %b HTTP/1.1\r\nHost: blog.example\r\n\r\n"
POST = b"POST %b HTTP/1.1\r\nHost: blog.example\r\nContent-Length: 1000000\r\n\r\n"
EVENT = b"data: event\n\n"
SECOND = 1.0


class Proxy:
    """A proxy with a quiet application behind it."""

    def __init__(
        self, world: World, reactor: str, path: str, *options: str, concurrency: int = 0
    ) -> None:
        self.world = world
        self.gone = world.folder / "gone"
        self.gone.touch()
        self.before = 0
        self.admin = world.folder / "admin.sock"
        self.tls = free_port()
        self.unix = world.folder / "http.sock"
        pem = world.folder / "key.pem"
        pem.write_bytes(certificate())
        self.process: Process = world.start_proxy(
            f"--admin={self.admin}",
            f"--http=ssl:{self.tls}:privateKey={pem}:interface=127.0.0.1",
            f"--http=unix:{self.unix}",
            *(["--no-fastpath"] if path == "python" else []),
            *options,
            twistd=(f"--reactor={reactor}",),
        )
        self.process.wait_for("HTTP on", 3)
        self.application: Process = world.start(
            "guest",
            [
                sys.executable,
                *("-m", "guest", f"--proxy=unix:{world.vsock}_12345", "--host=blog\\.example"),
                f"--concurrency={concurrency}",
                "tests.integration.quiet_app:Quiet",
            ],
            QUIET_GONE=str(self.gone),
        )
        self.application.wait_for("registered")

    def connect(self, data: bytes, kind: str = "tcp") -> socket.socket:
        """A client's connection, on which C{data} was sent."""
        if kind == "unix":
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(20)
            client.connect(str(self.unix))
        else:
            port = self.tls if kind == "tls" else self.world.port
            client = socket.create_connection(("127.0.0.1", port), 20)
        if kind == "tls":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            client = context.wrap_socket(client)
        client.sendall(data)
        return client

    def left(self) -> list[tuple[str, str, float]]:
        """The path of each request whose client is gone, the code, and when that was."""
        lines = (line.split() for line in self.gone.read_text().splitlines())
        found = [(path, code, float(when)) for path, code, when in lines]
        return found[self.before :]

    def begin(self) -> None:
        """What is left of earlier tests does not count."""
        wait_until(lambda: not self.in_flight(), "nothing is under way", 5)
        self.before += len(self.left())

    def told(self, client: socket.socket, leave: Callable[[socket.socket], None]) -> float:
        """Seconds from C{leave} to the word that the guest gets."""
        count = len(self.left())
        when = time.monotonic()
        leave(client)
        after = wait_until(lambda: self.left()[count:], "the guest is told", 10)
        # Of a body that was cut off it is told that it is an error.
        assert after[0][1] in ("client", "error"), after
        return float(after[0][2] - when)

    def in_flight(self) -> int:
        """Requests under way, as the metrics page has it."""
        return int(metric(self.admin, "in_flight"))

    def close_wait(self) -> int:
        """Sockets on the port of the proxy whose client has closed, and it has not."""
        port = f":{self.world.port:04X}"
        table = Path(f"/proc/{self.process.child.pid}/net/tcp").read_text().splitlines()[1:]
        rows = (line.split() for line in table)
        return sum(row[1].endswith(port) and row[3] == "08" for row in rows)


def until(client: socket.socket, text: bytes) -> bytes:
    """Read until C{text} has come: what came behind it with it."""
    found = b""
    while text not in found:
        more = client.recv(65536)
        assert more, found
        found += more
    return found.partition(text)[2]


def close(client: socket.socket) -> None:
    """Leave, in the way that the kind of connection has."""
    if isinstance(client, ssl.SSLSocket):
        with contextlib.suppress(OSError):
            client.settimeout(0)
            client.unwrap()
    client.close()


def reset(client: socket.socket) -> None:
    """Leave as who is killed with something unread."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def half(client: socket.socket) -> None:
    """Send no more."""
    client.shutdown(socket.SHUT_WR)


def after_an_event(proxy: Proxy, kind: str = "tcp") -> socket.socket:
    """A client that has read one event of an endless, quiet stream."""
    client = proxy.connect(GET % b"/events", kind)
    until(client, EVENT)
    return client


SHARED: dict[tuple[str, str], Proxy] = {}
"""Those without options, of each reactor and path: what leaves nothing behind shares one."""


class Departures:
    """What is tried on each reactor and path."""

    reactor = "io_uring"
    path = "compiled"

    def setUp(self) -> None:
        if self.path == "compiled" and unavailable() is not None:
            raise SkipTest("no compiled path")

    def start(self, *options: str, concurrency: int = 0) -> Proxy:
        """One of its own."""
        world = World()
        self.addCleanup(world.close)
        proxy = Proxy(world, self.reactor, self.path, *options, concurrency=concurrency)
        self.addCleanup(lambda: self.assertNotIn("Traceback", proxy.process.output))
        return proxy

    def shared(self) -> Proxy:
        """One that other tests of this class have used, or will."""
        key = self.reactor, self.path
        proxy = SHARED.get(key)
        if proxy is None:
            world = World()
            atexit.register(world.close)
            proxy = SHARED[key] = Proxy(world, self.reactor, self.path)
        proxy.begin()
        self.addCleanup(lambda: self.assertNotIn("Traceback", proxy.process.output))
        return proxy

    def test_forty_quiet_streams(self) -> None:
        """Nothing is left of them within a second, and the proxy stops at once."""
        proxy = self.start()
        clients = [after_an_event(proxy) for _ in range(40)]
        self.assertEqual(proxy.in_flight(), 40)
        left = time.monotonic()
        for client in clients:
            client.close()
        wait_until(lambda: len(proxy.left()) == 40, "the guest is told of all", 5)
        self.assertLess(max(when for _, _, when in proxy.left()) - left, SECOND)
        self.assertEqual({code for _, code, _ in proxy.left()}, {"client"})
        self.assertEqual(proxy.in_flight(), 0)
        self.assertEqual(proxy.close_wait(), 0)
        proxy.process.signal(signal.SIGTERM)
        self.assertIn(proxy.process.wait(5), (0, -signal.SIGTERM))

    def test_in_every_state(self) -> None:
        proxy = self.shared()

        def told(data: bytes, seen: bytes, leave: Callable[[socket.socket], None] = close) -> None:
            client = proxy.connect(data)
            self.addCleanup(client.close)
            if seen:
                until(client, seen)
            else:
                wait_until(proxy.in_flight, "it is under way")
            name = f"{data[:20]!r}, {leave.__name__}"
            self.assertLess(proxy.told(client, leave), SECOND, name)
            wait_until(lambda: not proxy.in_flight(), name, 5)

        # Behind the head of an answer without a length a FIN is enough.
        told(GET % b"/events", EVENT, half)
        told(GET % b"/carried", EVENT)
        told(GET % b"/events", EVENT, reset)
        # Before the head; bytes of other requests before the FIN, read or not.
        told(GET % b"/never", b"")
        told(GET % b"/never" + GET % b"/quick", b"")
        told(GET % b"/events" + GET % b"/quick", EVENT)
        client = after_an_event(proxy)
        for _ in range(3):
            client.sendall(GET % b"/quick")
            time.sleep(0.02)
        self.assertLess(proxy.told(client, close), SECOND)
        # The request is not whole; the guest does not take it.
        told(POST % b"/never" + b"x", b"")
        told(POST % b"/never" + bytes(500_000), b"")
        told(POST % b"/upload" + bytes(500_000), EVENT)
        self.assertEqual(proxy.close_wait(), 0)

    def test_in_the_queue(self) -> None:
        """Who has not been given to a guest gives up its place."""
        proxy = self.start(concurrency=1)
        first = proxy.connect(GET % b"/never")
        wait_until(lambda: proxy.in_flight() == 1, "it is under way")
        for data in (GET % b"/waits", GET % b"/waits" + GET % b"/quick"):
            waiting = proxy.connect(data)
            wait_until(lambda: proxy.in_flight() == 2, "it waits")
            left = time.monotonic()
            waiting.close()
            wait_until(lambda: proxy.in_flight() == 1, "its place is given up", 5)
            self.assertLess(time.monotonic() - left, SECOND)
        self.assertLess(proxy.told(first, close), SECOND)
        self.assertEqual(proxy.close_wait(), 0)

    def test_with_a_length(self) -> None:
        """The guest is quiet for a second first; framed, and spliced."""
        proxy = self.shared()
        for path in (b"/length", b"/bulk"):
            client = proxy.connect(GET % path)
            size = len(until(client, b"\r\n\r\n"))
            if path == b"/bulk":
                while size < 1_000_000:
                    size += len(client.recv(65536))
            self.assertLess(proxy.told(client, close), 2 * SECOND)
        # It was quiet for long before.
        client = proxy.connect(GET % b"/length")
        until(client, EVENT)
        time.sleep(1.1)
        self.assertLess(proxy.told(client, close), SECOND)
        self.assertEqual(proxy.close_wait(), 0)

    def test_other_listeners(self) -> None:
        proxy = self.shared()
        for kind in ("tls", "unix"):
            self.assertLess(proxy.told(after_an_event(proxy, kind), close), SECOND, kind)
            client = after_an_event(proxy, kind)
            for _ in range(3):
                client.sendall(GET % b"/quick")
                time.sleep(0.02)
            self.assertLess(proxy.told(client, close), SECOND, kind)

    def test_who_half_closes_before_the_head_gets_all(self) -> None:
        proxy = self.shared()
        for more in (b"", GET % b"/quick"):
            client = proxy.connect(GET % b"/late" + more)
            half(client)
            found = b"".join(iter(lambda c=client: c.recv(65536), b""))
            client.close()
            self.assertEqual(found.count(EVENT), 3)
        for kind in ("tcp", "unix"):
            for _ in range(100):
                client = proxy.connect(b"", kind)
                # Together: on a busy machine the answer is here before the second call.
                client.send(GET % b"/three", socket.MSG_MORE if kind == "tcp" else 0)
                half(client)
                found = b"".join(iter(lambda c=client: c.recv(65536), b""))
                client.close()
                self.assertEqual(found.count(EVENT), 3)
        self.assertEqual(proxy.left(), [])

    def test_a_killed_guest(self) -> None:
        """The other way: each client is told within a second, in every state."""
        proxy = self.start("--hold=0")
        small = POST.replace(b"1000000", b"1") + b"x"
        chunked = b"POST %b HTTP/1.1\r\nHost: blog.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        states: list[tuple[bytes, bytes, bytes]] = [
            # What was sent, what was seen of the answer, what is to come: nothing is a reset.
            (GET % b"/never", b"", b"HTTP/1.1 503 "),
            (small % b"/never", b"", b"HTTP/1.1 502 "),
            (POST % b"/never" + bytes(10), b"", b"HTTP/1.1 50"),
            (POST % b"/never" + bytes(500_000), b"", b"HTTP/1.1 50"),
            (chunked % b"/never" + b"5\r\nhello\r\n", b"", b"HTTP/1.1 502 "),
            (GET % b"/events", EVENT, b""),
            (GET % b"/length", EVENT, b""),
            (GET % b"/bulk", b"\r\n\r\n", b""),
            (POST % b"/upload" + bytes(10), EVENT, b""),
            (POST % b"/upload" + bytes(500_000), EVENT, b""),
        ]
        clients = []
        for data, seen, _ in states:
            clients.append(proxy.connect(data))
            if seen:
                until(clients[-1], seen)
        wait_until(lambda: proxy.in_flight() == len(states), "all are under way")
        began = time.monotonic()
        proxy.application.signal(signal.SIGKILL)
        for client, (data, _, expected) in zip(clients, states, strict=True):
            found = b""
            reset = False
            try:
                while not expected or expected not in found:
                    more = client.recv(65536)
                    self.assertTrue(more, (data[:20], found[-100:]))
                    found += more
            except ConnectionResetError:
                reset = True
            self.assertIs(reset, not expected, (data[:20], found[-100:]))
            self.assertLess(time.monotonic() - began, SECOND, data[:20])
            client.close()
        wait_until(lambda: not proxy.in_flight(), "all is over", 5)

    def test_a_frozen_guest(self) -> None:
        """Who is there alone keeps what it has, whatever the method, and answers when it thaws."""
        proxy = self.start("--ping-interval=0.2", "--ping-timeout=0.5", "--hold=1")
        post = POST.replace(b"1000000", b"1") % b"/later" + b"x"
        asked = [proxy.connect(data) for data in (GET % b"/later", post)]
        wait_until(lambda: proxy.in_flight() == 2, "both are under way")
        proxy.application.signal(signal.SIGSTOP)
        proxy.process.wait_for("ejected")
        # As long as one that was taken would have waited for another guest.
        new = proxy.connect(GET % b"/quick")
        until(new, b" 503 ")
        new.close()
        proxy.application.signal(signal.SIGCONT)
        for client in asked:
            until(client, b"200 OK")
            client.close()
        self.assertEqual(proxy.left(), [])

    def test_the_options(self) -> None:
        proxy = self.start("--half-close=deny")
        client = proxy.connect(GET % b"/never")
        wait_until(proxy.in_flight, "it is under way")
        self.assertLess(proxy.told(client, half), SECOND)
        client.close()


class UringCompiledTests(Departures, SynchronousTestCase):
    """io_uring, the compiled path."""


class UringPythonTests(Departures, SynchronousTestCase):
    """io_uring, the Python path."""

    path = "python"


class EpollCompiledTests(Departures, SynchronousTestCase):
    """Epoll, the compiled path."""

    reactor = "epoll"


class EpollPythonTests(Departures, SynchronousTestCase):
    """Epoll, the Python path."""

    reactor = "epoll"
    path = "python"


def measured(proxy: Proxy) -> Iterator[tuple[str, list[float]]]:
    """What was measured, and the seconds."""
    for kind in ("tcp", "unix", "tls"):
        times = [proxy.told(after_an_event(proxy, kind), close) for _ in range(10)]
        yield f"a quiet stream, {kind}", times

    def behind_others() -> socket.socket:
        client = after_an_event(proxy)
        for _ in range(3):
            client.sendall(GET % b"/quick")
            time.sleep(0.02)
        return client

    yield "the same, not read from", [proxy.told(behind_others(), close) for _ in range(10)]
    times = []
    for _ in range(10):
        client = proxy.connect(GET % b"/never")
        time.sleep(0.05)
        times.append(proxy.told(client, close))
    yield "before the head", times
    times = []
    for _ in range(5):
        client = proxy.connect(GET % b"/length")
        until(client, EVENT)
        times.append(proxy.told(client, close))
    yield "an answer with a length", times


def main() -> None:
    """Print the times."""
    for reactor in ("io_uring", "epoll"):
        for path in ("compiled", "python"):
            world = World()
            try:
                for name, times in measured(Proxy(world, reactor, path)):
                    middle, most = statistics.median(times) * 1000, max(times) * 1000
                    print(f"{reactor}, {path}, {name}: {middle:.1f} ms, at most {most:.1f}")
            finally:
                world.close()


if __name__ == "__main__":
    main()
