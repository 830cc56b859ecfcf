"""Large bodies come whole, or are seen to be short; asserts no times, and may run beside others."""

from __future__ import annotations

import socket
from http.client import HTTPException

from tests.integration.bodies_app import content
from tests.integration.bodies_case import MB, BodiesTestCase, descriptors, digest


class WholeTests(BodiesTestCase):
    def test_downloads(self) -> None:
        """Every kind of body, at every size round a threshold, on kept connections."""
        self.start()
        client = self.client()
        for size in (1, 65_535, 65_536, 65_537, 131_071, 131_073, 200_000, MB, 5 * MB + 1):
            for kind in ("file", "bytes", "pieces", "stream"):
                got = self.get(client, f"/{kind}/{size}")
                self.assertTrue(got == content(size), (kind, size, len(got)))
        for kind in ("file", "bytes"):
            got = self.get(client, f"/{kind}/{64 * MB}")
            self.assertEqual(digest(got), digest(content(64 * MB)))
            del got

    def test_uploads(self) -> None:
        """By length and in chunks; asked for by Expect, and not."""
        self.start()
        client = self.client()
        for size in (1, 65_535, 65_536, 131_073, 300_000, 3 * MB + 7, 64 * MB):
            body = content(size)
            self.assertEqual(self.put(client, body), digest(body), size)
            if size <= 4 * MB:
                self.assertEqual(self.put(client, body, Expect="100-continue"), digest(body))
                client.request(
                    "PUT",
                    "/digest",
                    iter([body[:100], body[100:]]),
                    {"Host": "blog.example", "Transfer-Encoding": "chunked"},
                    encode_chunked=True,
                )
                self.assertEqual(client.getresponse().read().decode(), digest(body))
        self.assertEqual(self.get(client, "/small"), b"small")

    def test_pipelined_behind_a_body(self) -> None:
        """What follows an upload, or comes while a download is under way, is the next request."""
        self.start()
        body = content(MB)
        with socket.create_connection(("127.0.0.1", self.world.port), 30) as client:
            head = b"PUT /digest HTTP/1.1\r\nHost: blog.example\r\nContent-Length: %d\r\n\r\n"
            last = b"GET /small HTTP/1.1\r\nHost: blog.example\r\nConnection: close\r\n\r\n"
            large = b"GET /bytes/%d HTTP/1.1\r\nHost: blog.example\r\n\r\n" % MB
            client.sendall((head % MB) + body + large + (head % MB) + body + last)
            got = b"".join(iter(lambda: client.recv(MB), b""))
        self.assertEqual(got.count(digest(body).encode()), 2)
        self.assertIn(body, got)
        self.assertTrue(got.endswith(b"small"))

    def test_ranges_and_conditions(self) -> None:
        """A file is answered in part, or not at all, as the request wants."""
        self.start()
        host = {"Host": "blog.example"}
        status, headers, _ = self.world.ask("/file/1000000")
        self.assertEqual((status, headers["accept-ranges"]), (200, "bytes"))
        status, part, body = self.world.ask(
            "/file/1000000", headers={**host, "Range": "bytes=200000-799999"}
        )
        self.assertEqual((status, part["content-range"]), (206, "bytes 200000-799999/1000000"))
        self.assertEqual(body, content(1_000_000)[200_000:800_000])
        for name, value, wanted in (
            ("If-None-Match", headers["etag"], 304),
            ("If-Match", '"other"', 412),
            ("Range", "bytes=1000000-", 416),
        ):
            status, _, body = self.world.ask("/file/1000000", headers={**host, name: value})
            self.assertEqual((status, body), (wanted, b""), name)
        status, headers, body = self.world.ask("/file/1000000", method="HEAD")
        self.assertEqual((status, headers["content-length"], body), (200, "1000000", b""))


class WholeEpollTests(WholeTests):
    """The same on Twisted's own transports."""

    reactor = "epoll"


class ShortTests(BodiesTestCase):
    def test_a_short_body_is_seen(self) -> None:
        """An application that says more than it gives: the client sees a truncation."""
        self.start()
        client = self.client()
        try:
            body = self.get(client, f"/short/{4 * MB}")
        except (HTTPException, ConnectionError):
            return
        raise AssertionError(f"{len(body)} bytes look whole")

    def test_unread_uploads(self) -> None:
        """An application answers without reading: the answer comes, nothing stays behind."""
        proxy, guest = self.start()
        self.get(self.client(), "/small")
        before = len(descriptors(proxy)) + 40, len(descriptors(guest)) + 12
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", self.world.port), 30) as client:
                client.sendall(
                    b"PUT /ignore HTTP/1.1\r\nHost: blog.example\r\n"
                    b"Content-Length: 80000000\r\n\r\n" + bytes(100_000)
                )
                self.assertIn(b" 200 ", client.recv(1000))
        self.assertCalm(proxy, guest, before)

    def test_no_connection_to_be_had(self) -> None:
        """A guest over its quota of connections sends frames instead; nothing breaks."""
        policy = self.world.folder / "policy.toml"
        vsock = self.world.vsock
        policy.write_text(
            f'[[guest]]\nidentity = "path:{vsock}"\nhosts = ["blog.example"]\nconnections = 1\n'
        )
        try:
            self.start(f"--policy={policy}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{policy.read_text()}") from None
        client = self.client()
        body = content(2 * MB)
        for kind in ("file", "pieces", "stream"):
            self.assertTrue(self.get(client, f"/{kind}/{2 * MB}") == body, kind)
        self.assertEqual(self.put(client, body), digest(body))
        assert self.world.proxy is not None
        self.world.proxy.wait_for("connections already")
