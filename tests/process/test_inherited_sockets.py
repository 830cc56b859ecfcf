"""What one proxy leaves to the next."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from twisted.internet.defer import succeed
from twisted.internet.protocol import Factory
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from subproxy.app.listener import ListenerService
from subproxy.core.balancing.member import Member
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import Route
from subproxy.endpoints.hybrid import HybridVsockServerEndpoint
from subproxy.process.inherited_sockets import (
    VARIABLE,
    InheritedSockets,
    InheritingReactor,
    SocketHandoff,
    http_endpoint,
    keep_name,
)
from tests.app.test_listener import FakeEndpoint, FakePort


class InheritanceTests(SynchronousTestCase):
    def listening(self) -> socket.socket:
        skt = socket.socket()
        self.addCleanup(skt.close)
        skt.bind(("127.0.0.1", 0))
        skt.listen()
        return skt

    def test_nothing(self) -> None:
        """Usually nobody has left anything."""
        inheritance = InheritedSockets.of_environment()
        self.assertFalse(inheritance)
        self.assertIsNone(inheritance.file("/x"))
        self.assertIsNone(inheritance.socket("tcp:1"))
        self.assertEqual(http_endpoint(None, "tcp:1", inheritance, lambda r, w: (r, w))[1], "tcp:1")
        inheritance.done()

    def test_of_environment(self) -> None:
        """Sockets are taken once, by name; the rest is closed, and readiness told."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        one, other, file = (self.listening().detach() for _ in range(3))
        left = {
            "ports": {"tcp:1": one, "tcp:2": other},
            "files": {"/x": [file, 1, 2]},
            "routes": [["cid:1", "a\\.example", "/.*"], ["cid:1", "(", "/"]],
            "ready": writing,
            "pidfile": "/run/subproxy.pid",
        }
        memory = os.memfd_create("test")
        os.write(memory, json.dumps(left).encode())
        self.patch(os, "environ", {VARIABLE: str(memory)})
        inheritance = InheritedSockets.of_environment()
        self.assertNotIn(VARIABLE, os.environ)
        self.assertTrue(inheritance)
        self.assertEqual(inheritance.pidfile, "/run/subproxy.pid")
        self.assertTrue(inheritance.has("tcp:1"))
        found = inheritance.socket("tcp:1")
        assert found is not None
        with found:
            self.assertEqual(found.fileno(), one)
        self.assertFalse(inheritance.has("tcp:1"))
        endpoint = HybridVsockServerEndpoint(None, "/x")
        inheritance.endow("/x", endpoint)
        made = endpoint.inherited("/x")
        assert made is not None
        self.addCleanup(made.socket.close)
        self.assertEqual((made.device, made.inode, made.socket.fileno()), (1, 2, file))
        registry = Registry()
        inheritance.routes(registry, 5.0)
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        (pool,) = registry.pools()
        self.assertEqual((pool.members, pool.vacant_since), ([], 5.0))
        inheritance.done()
        self.assertEqual(os.read(reading, 100), b"%d\n" % os.getpid())
        self.assertRaises(OSError, os.fstat, other)

    def test_reactor(self) -> None:
        """A listener's own endpoint listens on what was left, then by itself."""

        class Reactor:
            calls: list[tuple[object, ...]] = []

            def adoptStreamPort(self, fd: int, family: int, factory: object) -> str:
                self.calls.append(("adopt", family, factory))
                return "adopted"

            def listenTCP(self, port: int, factory: object, interface: str = "") -> str:
                self.calls.append(("listen", port, factory))
                return "listening"

        inheritance = InheritedSockets({"ports": {"tcp:1": self.listening().detach()}})
        reactor = InheritingReactor(Reactor(), inheritance, "tcp:1")
        self.assertEqual(reactor.listenTCP(1, "f"), "adopted")
        self.assertEqual(reactor.listenTCP(1, "f"), "listening")
        self.assertEqual(Reactor.calls, [("adopt", socket.AF_INET, "f"), ("listen", 1, "f")])


class HandoffTests(SynchronousTestCase):
    def test_write(self) -> None:
        """All listeners, and the routes with whose they are."""
        skt = socket.socket()
        self.addCleanup(skt.close)
        port = FakePort()
        port.fileno = skt.fileno  # type: ignore[attr-defined]
        listener = ListenerService(FakeEndpoint(succeed(port)), None, "HTTP", "tcp:1")  # type: ignore[arg-type]
        listener.port = port  # type: ignore[assignment]
        registry = Registry()
        member = Member("cid:7", b"app", b"i", now=0.0)
        registry.register(member, Route(b"a\\.example", b"/x"), 0.0)
        keys = Route(b"k\\.example", passthrough=True)
        registry.register(member, keys, 0.0)
        legacy = SocketHandoff([listener], {"weights": {"cid:7": 0.5}, "drained": {"cid:8": True}})
        self.assertEqual(legacy.descriptors(), [skt.fileno()])
        memory = legacy.write(registry, 9, "/run/subproxy.pid")
        self.addCleanup(os.close, memory)
        left = json.loads(Path(f"/proc/self/fd/{memory}").read_text())
        self.assertEqual(
            InheritedSockets(left).assigned,
            {"weights": {"cid:7": 0.5}, "drained": {"cid:8": True}},
        )
        self.assertEqual(
            left,
            {
                "files": {},
                "ports": {"tcp:1": skt.fileno()},
                "routes": [["cid:7", "a\\.example", "/x"]],
                "weights": {"cid:7": 0.5},
                "drained": {"cid:8": True},
                "passthrough": [["cid:7", "k\\.example", "/.*", "passthrough"]],
                "ready": 9,
                "pidfile": "/run/subproxy.pid",
            },
        )
        expecting = Registry()
        InheritedSockets(left).routes(expecting, 0.0)
        self.assertEqual(list(registry.owners()), list(expecting.owners()))
        self.assertIsNotNone(expecting.passthrough.find(b"k.example", b"/"))


class KeptNameTests(TestCase):
    async def test_the_name_of_a_unix_socket(self) -> None:
        """It stays, and the log has it."""
        from twisted.internet import reactor

        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        port = reactor.listenUNIX(self.mktemp(), Factory())  # type: ignore[attr-defined]
        path = port.getHost().name.decode()
        keep_name(port)
        await port.stopListening()
        os.unlink(path)
        said = [formatEvent(event) for event in events]
        self.assertIn(f"(UNIX Port {path} Closed)", said)
        self.assertNotIn("\0", "".join(said))


class ExpectTests(SynchronousTestCase):
    def test_expect(self) -> None:
        """A pool that is expected is vacant, counts for its identity, and is taken or forgotten."""
        registry = Registry(linger=10.0)
        one, other = Route(b"a\\.example", b"/"), Route(b"b\\.example", b"/")
        registry.expect("cid:1", one, 0.0)
        registry.expect("cid:1", one, 0.0)
        registry.expect("cid:1", other, 0.0)
        self.assertEqual(list(registry.owners()), [("cid:1", one), ("cid:1", other)])
        member = Member("cid:2", b"app", b"i", now=0.0)
        registry.register(member, one, 1.0)
        self.assertEqual(list(registry.owners()), [("cid:2", one), ("cid:1", other)])
        registry.expire(11.0)
        self.assertEqual(list(registry.owners()), [("cid:2", one)])
