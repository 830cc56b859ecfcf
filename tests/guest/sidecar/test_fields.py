"""What is changed in heads."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from guest.sidecar.fields import chunk, end_to_end, has_length, last_chunk, request_head

HOST = (b"Host", b"blog.example")


def head(method: bytes = b"GET", *headers: tuple[bytes, bytes], **more: Any) -> list[bytes]:
    text = request_head(method, b"/a?b", list(headers), authority=b"127.0.0.1:3000", **more)
    assert text.endswith(b"\r\n\r\n")
    return text[:-4].split(b"\r\n")


class RequestTests(SynchronousTestCase):
    def test_as_it_came(self) -> None:
        """Host first, the rest in its order, in its case."""
        found = head(b"GET", (b"x-A", b"1"), HOST, (b"X-a", b"2"), (b"Origin", b"http://o"))
        self.assertEqual(
            found,
            [
                b"GET /a?b HTTP/1.1",
                b"Host: blog.example",
                b"x-A: 1",
                b"X-a: 2",
                b"Origin: http://o",
            ],
        )

    def test_host(self) -> None:
        """Another one, or one for who sent none; the client's is told behind the proxy's back."""
        self.assertEqual(head()[1:], [b"Host: 127.0.0.1:3000"])
        self.assertEqual(head(b"GET", host=b"localhost")[1:], [b"Host: localhost"])
        self.assertEqual(
            head(b"GET", HOST, (b"Origin", b"http://blog.example"), host=b"localhost")[1:],
            [
                b"Host: localhost",
                b"Origin: http://blog.example",
                b"X-Forwarded-Host: blog.example",
            ],
        )
        told = (b"X-Forwarded-Host", b"of.the.proxy")
        self.assertEqual(
            head(b"GET", HOST, told, host=b"localhost")[1:],
            [b"Host: localhost", b"X-Forwarded-Host: of.the.proxy"],
        )

    def test_bodies(self) -> None:
        length = (b"Content-Length", b"5")
        self.assertEqual(head(b"GET", HOST)[2:], [])
        self.assertEqual(head(b"POST", HOST)[2:], [b"Content-Length: 0"])
        self.assertEqual(head(b"DELETE", HOST, size=7)[2:], [b"Content-Length: 7"])
        self.assertEqual(head(b"POST", HOST, length, size=5)[2:], [b"Content-Length: 5"])
        self.assertEqual(head(b"POST", HOST, length, streamed=True)[2:], [b"Content-Length: 5"])
        self.assertEqual(head(b"GET", HOST, streamed=True)[2:], [b"Transfer-Encoding: chunked"])

    def test_what_the_client_told_the_proxy(self) -> None:
        self.assertEqual(
            head(b"GET", HOST, expect=True, trailers=True)[2:],
            [b"Expect: 100-continue", b"TE: trailers", b"Connection: TE"],
        )

    def test_chunks(self) -> None:
        self.assertEqual(chunk(b"a" * 17), b"11\r\n" + b"a" * 17 + b"\r\n")
        self.assertEqual(last_chunk([]), b"0\r\n\r\n")
        self.assertEqual(last_chunk([(b"A", b"b"), (b"C", b"")]), b"0\r\nA: b\r\nC: \r\n\r\n")


class ResponseTests(SynchronousTestCase):
    def test_what_goes_on(self) -> None:
        plain = [(b"Content-Type", b"a"), (b"Set-Cookie", b"b"), (b"Set-Cookie", b"c")]
        self.assertEqual(end_to_end(plain), plain)
        keeping = [(b"Connection", b"Keep-Alive"), (b"Keep-Alive", b"timeout=5")]
        self.assertEqual(end_to_end([*keeping, *plain]), plain)
        dropped = [
            (b"connection", b"close, X-Hop , content-length"),
            (b"Keep-Alive", b"timeout=5"),
            (b"Transfer-Encoding", b"chunked"),
            (b"Upgrade", b"h2c"),
            (b"x-hop", b"1"),
            (b"Proxy-Connection", b"close"),
            (b"TE", b"trailers"),
        ]
        trailer = [(b"Trailer", b"X-T"), (b"Content-Length", b"3")]
        self.assertEqual(end_to_end([*dropped, *plain, *trailer]), plain + trailer)

    def test_length(self) -> None:
        self.assertTrue(has_length([(b"A", b"b"), (b"CONTENT-LENGTH", b"1")]))
        self.assertFalse(has_length([(b"A", b"b")]))
