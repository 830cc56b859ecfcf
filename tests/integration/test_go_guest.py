"""A guest in Go behind the real proxy: what a guest in Python does, an http.Handler does too."""

from __future__ import annotations

import os
import signal
import socket
from http.client import HTTPException
from threading import Thread

from tests.integration.admin_client import metric
from tests.integration.bodies_app import content
from tests.integration.bodies_case import MB, BodiesTestCase, descriptors, digest, memory
from tests.integration.golang import built
from tests.integration.harness import Process, wait_until

HEAD = b"%b %b HTTP/1.1\r\nHost: blog.example\r\n%b\r\n"


KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def tunnel(port: int, host: str, path: bytes) -> bytes:
    """What comes back when a megabyte follows an upgrade, and then the client ends its half."""
    more = b"Upgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n"
    head = b"GET %b HTTP/1.1\r\nHost: %b\r\n%bSec-WebSocket-Key: %b\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(head % (path, host.encode(), more, KEY))
        said = client.recv(MB)
        if b" 101 " in said:
            sender = Thread(target=send_and_end, args=(client, content(MB)))
            sender.start()
            while piece := client.recv(MB):
                said += piece
            sender.join()
        else:
            while piece := client.recv(MB):
                said += piece
    return said


def send_and_end(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


class GoGuestTestCase(BodiesTestCase):
    timeout = 120

    def guest(self, name: str = "battery") -> Process:
        where = f"unix:{self.world.vsock}_12345"
        guest = self.world.start(name, [str(built("./internal/battery")), where, name])
        guest.wait_for("registered")
        return guest

    def raw(self, method: bytes, path: bytes, more: bytes = b"", body: bytes = b"") -> bytes:
        """One request by hand: all that comes until the proxy closes."""
        head = HEAD % (method, path, b"Connection: close\r\n" + more)
        with socket.create_connection(("127.0.0.1", self.world.port), 30) as client:
            client.sendall(head + body)
            return b"".join(iter(lambda: client.recv(MB), b""))


class GoBodiesTests(GoGuestTestCase):
    def test_downloads(self) -> None:
        """Every way that a body can go, round each threshold, on one kept connection."""
        self.start()
        client = self.client()
        for size in (1, 16_384, 16_385, 65_535, 65_536, 200_000, 5 * MB + 1):
            for kind in ("file", "bytes", "pieces", "stream", "frames"):
                got = self.get(client, f"/{kind}/{size}")
                self.assertTrue(got == content(size), (kind, size, len(got)))

    def test_uploads(self) -> None:
        """By length and in chunks; asked for by Expect, and not; and both ways at once."""
        self.start()
        client = self.client()
        for size in (1, 65_535, 65_536, 131_073, 3 * MB + 7):
            body = content(size)
            self.assertEqual(self.put(client, body), digest(body), size)
            self.assertEqual(self.put(client, body, Expect="100-continue"), digest(body))
            for path in ("/digest", "/echo"):
                client.request(
                    "PUT", path, iter([body[:100], body[100:]] if size > 100 else [body]),
                    {"Host": "blog.example", "Transfer-Encoding": "chunked"}, encode_chunked=True,
                )  # fmt: skip
                got = client.getresponse().read()
                wanted = digest(body).encode() if path == "/digest" else body
                self.assertTrue(got == wanted, (path, size, len(got)))

    def test_hundreds_of_megabytes(self) -> None:
        """Both ways, and the guest holds next to nothing of them."""
        _, guest = self.start()
        size = 256 * MB
        self.get(self.client(), "/small")
        before = memory(guest)
        with socket.create_connection(("127.0.0.1", self.world.port), 60) as client:
            client.sendall(HEAD % (b"GET", b"/pieces/%d" % size, b"Connection: close\r\n"))
            got = 0
            while more := client.recv(MB):
                got += len(more)
        self.assertGreater(got, size)
        piece = content(MB)
        with socket.create_connection(("127.0.0.1", self.world.port), 60) as client:
            client.sendall(HEAD % (b"PUT", b"/digest", b"Content-Length: %d\r\n" % (64 * MB)))
            for _ in range(64):
                client.sendall(piece)
            self.assertIn(b" 200 ", client.recv(1000))
        self.assertLess(memory(guest) - before, 40 * MB)

    def test_breaks(self) -> None:
        """A body that is not whole is seen: too short, or a handler that panics amid it."""
        self.start()
        for path in (f"/short/{4 * MB}", "/short/1000000", "/break"):
            try:
                body = self.get(self.client(), path)
            except (HTTPException, ConnectionError):
                continue
            raise AssertionError(f"{path}: {len(body)} bytes look whole")
        self.assertEqual(self.world.ask("/panic")[0], 500)
        self.assertEqual(self.world.ask("/small")[2], b"small")

    def test_unread_uploads(self) -> None:
        """A handler answers without reading: the answer comes, and nothing stays behind."""
        proxy, guest = self.start()
        self.get(self.client(), "/small")
        before = len(descriptors(proxy)) + 4, len(descriptors(guest)) + 12
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", self.world.port), 30) as client:
                client.sendall(HEAD % (b"PUT", b"/ignore", b"Content-Length: 80000000\r\n"))
                client.sendall(bytes(100_000))
                self.assertIn(b" 200 ", client.recv(1000))
        self.assertCalm(proxy, guest, (before[0] + 40, before[1]))

    def test_client_leaves(self) -> None:
        """The request's context is done, and says why; a data connection is closed."""
        _, guest = self.start()
        with socket.create_connection(("127.0.0.1", self.world.port), 30) as client:
            client.sendall(HEAD % (b"GET", b"/wait", b""))
            guest.wait_for("waiting")
        guest.wait_for("done: client")
        before = len(descriptors(guest))
        client = socket.create_connection(("127.0.0.1", self.world.port), 30)
        client.sendall(HEAD % (b"GET", b"/pieces/500000000", b""))
        self.assertTrue(client.recv(MB))
        client.close()
        wait_until(lambda: len(descriptors(guest)) <= before, "closed", 10)


class GoHttpTests(GoGuestTestCase):
    def test_semantics(self) -> None:
        """Interim responses, trailers, HEAD, streams as they come, and what a request says."""
        self.start()
        said = self.raw(b"GET", b"/early")
        self.assertTrue(said.startswith(b"HTTP/1.1 103 "), said)
        self.assertIn(b"</style.css>; rel=preload", said)
        self.assertTrue(said.endswith(b"early"), said)

        chunked = b"TE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n"
        said = self.raw(b"PUT", b"/echo", chunked, b"3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n")
        self.assertIn(b"3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n", said)

        said = self.raw(b"HEAD", b"/small")
        self.assertIn(b"content-length: 5\r\n", said.lower())
        self.assertTrue(said.endswith(b"\r\n\r\n"))

        with socket.create_connection(("127.0.0.1", self.world.port), 30) as client:
            client.sendall(HEAD % (b"GET", b"/slowly", b"Connection: close\r\n"))
            first = client.recv(MB)
            self.assertNotIn(b"4\n", first)
            rest = b"".join(iter(lambda: client.recv(MB), b""))
        self.assertIn(b"4\n", rest)
        self.assertEqual(
            self.world.ask("/told")[2], b"HTTP/1.1 blog.example 127.0.0.1:0 false 127.0.0.1\n"
        )

    def test_upgrade(self) -> None:
        """A handler that hijacks has a tunnel: both ways, each half with its own end."""
        _, guest = self.start()
        said = tunnel(self.world.port, "blog.example", b"/upgrade")
        self.assertTrue(said.startswith(b"HTTP/1.1 101 "), said[:500])
        self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", said[:500])
        self.assertIn(b"sec-websocket-protocol: echo\r\n", said[:500].lower())
        self.assertTrue(said.partition(b"\r\n\r\n")[2] == b"welcome\n" + content(MB))
        guest.wait_for("the tunnel is over")
        said = tunnel(self.world.port, "blog.example", b"/upgrade/no")
        self.assertTrue(said.startswith(b"HTTP/1.1 403 "), said)
        said = tunnel(self.world.port, "blog.example", b"/small")
        self.assertTrue(said.endswith(b"small"), said)


class GoLifeTests(GoGuestTestCase):
    def test_signal(self) -> None:
        """SIGTERM: what is under way is finished; who has nothing to do leaves at once."""
        admin = self.world.folder / "admin"
        _, guest = self.start(f"--admin={admin}")
        other = self.guest("other")
        other.signal(signal.SIGTERM)
        self.assertEqual(other.wait(), 0)
        with socket.create_connection(("127.0.0.1", self.world.port), 30) as client:
            client.sendall(HEAD % (b"GET", b"/sleep/2000", b"Connection: close\r\n"))
            wait_until(lambda: metric(admin, "in_flight") == 1, "it to be under way")
            guest.signal(signal.SIGTERM)
            said = b"".join(iter(lambda: client.recv(MB), b""))
        self.assertTrue(said.endswith(b"slept 2000"), said)
        self.assertEqual(guest.wait(), 0)

    def test_killed(self) -> None:
        """The proxy sees it at once: a GET goes to the other, and none is lost."""
        _, guest = self.start()
        other = self.guest("other")
        os.kill(guest.child.pid, signal.SIGKILL)
        for _ in range(20):
            self.assertEqual(self.world.ask("/pid")[2], b"%d" % other.child.pid)

    def test_proxy_starts_anew(self) -> None:
        """The guest dials again, also when it hears nothing of the end."""
        proxy, guest = self.start()
        proxy.signal(signal.SIGKILL)
        proxy.wait()
        self.world.start_proxy("--access-log=none")
        guest.wait_for("registered", 2)
        self.assertEqual(self.world.ask("/small")[2], b"small")
        assert self.world.proxy is not None
        self.world.proxy.signal(signal.SIGTERM)
        self.world.proxy.wait()
        self.world.start_proxy("--access-log=none")
        guest.wait_for("registered", 3)
        body = content(MB)
        self.assertEqual(self.put(self.client(), body), digest(body))

    def test_replaced(self) -> None:
        """A newer instance of the same application takes its place, for good."""
        _, guest = self.start()
        self.guest()
        self.assertEqual(guest.wait(), 4)
        guest.wait_for("replaced")
