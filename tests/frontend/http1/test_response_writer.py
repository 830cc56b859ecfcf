"""Heads and framing, as bytes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.response import ResponseHead
from subproxy.frontend.http1.response_writer import (
    Framing,
    Http1Encoder,
    choose_framing,
    chunk_head,
    content_length,
    last_chunk,
    write_head,
    write_interim,
)
from subproxy.frontend.http1.version import HTTP_1_0, HTTP_1_1


class ResponseWriterTests(SynchronousTestCase):
    def test_framing(self) -> None:
        for length, bodiless, body, chunked, framing in (
            (None, False, b"", True, Framing.LENGTH),
            (None, False, b"x", False, Framing.LENGTH),
            (5, False, None, True, Framing.LENGTH),
            (5, False, None, False, Framing.LENGTH),
            (None, False, None, True, Framing.CHUNKED),
            (None, False, None, False, Framing.CLOSE),
            (5, True, None, True, Framing.NONE),
            (None, True, b"", True, Framing.NONE),
        ):
            head = ResponseHead(200, b"", [], length, bodiless)
            self.assertIs(choose_framing(head, body, chunked), framing)

    def test_content_length(self) -> None:
        self.assertEqual(content_length(ResponseHead(200, b"", []), b"abc"), 3)
        self.assertEqual(content_length(ResponseHead(200, b"", [], 9), None), 9)
        self.assertIsNone(content_length(ResponseHead(200, b"", []), None))
        # HEAD says what GET would have had, where the guest told it.
        self.assertEqual(content_length(ResponseHead(200, b"", [], 9, True), b""), 9)
        self.assertIsNone(content_length(ResponseHead(200, b"", [], None, True), b""))
        self.assertIsNone(content_length(ResponseHead(204, b"", [], 9, True), b""))
        self.assertIsNone(content_length(ResponseHead(304, b"", [], 9, True), b""))
        for length in None, 0, 9:
            self.assertEqual(content_length(ResponseHead(205, b"", [], length, True), b""), 0)

    def test_a_head(self) -> None:
        head = ResponseHead(404, b"Nope", [(b"A", b"b"), (b"C", b"")])
        self.assertEqual(
            write_head(head, Framing.LENGTH, 5, b"id", b"now", b"close"),
            b"HTTP/1.1 404 Nope\r\nA: b\r\nC: \r\nDate: now\r\nContent-Length: 5\r\n"
            b"X-Request-Id: id\r\nConnection: close\r\n\r\n",
        )
        head = ResponseHead(200, b"", [(b"date", b"then")])
        self.assertEqual(
            write_head(head, Framing.CHUNKED, None, b"", b"now", None),
            b"HTTP/1.1 200 OK\r\ndate: then\r\nTransfer-Encoding: chunked\r\n\r\n",
        )

    def test_a_status_without_a_phrase_keeps_its_space(self) -> None:
        head = ResponseHead(299, b"", [(b"Date", b"x")])
        self.assertTrue(
            write_head(head, Framing.NONE, None, b"", b"", None).startswith(b"HTTP/1.1 299 \r\n")
        )

    def test_chunks(self) -> None:
        self.assertEqual(chunk_head(255), b"ff\r\n")
        self.assertEqual(last_chunk([]), b"0\r\n\r\n")
        self.assertEqual(last_chunk([(b"A", b"b")]), b"0\r\nA: b\r\n\r\n")

    def test_an_interim_response(self) -> None:
        self.assertEqual(
            write_interim(103, [(b"Link", b"x")]), b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        )


class Http1EncoderTests(SynchronousTestCase):
    def test_who_is_told_that_the_connection_stays(self) -> None:
        for version, length, may_stay, stays, field in (
            (HTTP_1_1, 5, True, True, None),
            (HTTP_1_1, None, True, True, None),
            (HTTP_1_1, 5, False, False, b"close"),
            (HTTP_1_0, 5, True, True, b"keep-alive"),
            (HTTP_1_0, None, True, False, b"close"),
        ):
            encoder = Http1Encoder(version)
            head = ResponseHead(200, b"", [], length)
            [data] = encoder.start(head, None, may_stay, b"id", b"now")
            self.assertEqual(encoder.stays, stays)
            lines = data.split(b"\r\n")
            said = [line for line in lines if line.startswith(b"Connection: ")]
            self.assertEqual(said, [] if field is None else [b"Connection: " + field])

    def test_a_body_of_unknown_length(self) -> None:
        """In chunks, with trailers; plain, and without them, where there are no chunks."""
        head = ResponseHead(200, b"", [])
        for version, data, end in (
            (HTTP_1_1, [b"3\r\nabc\r\n"], b"0\r\nX: y\r\n\r\n"),
            (HTTP_1_0, [b"abc"], b""),
        ):
            encoder = Http1Encoder(version)
            encoder.start(head, None, True, b"", b"now")
            self.assertEqual(encoder.data(b"abc"), data)
            self.assertEqual(encoder.end([(b"X", b"y")]), end)
            self.assertFalse(encoder.plain)
            self.assertTrue(encoder.has_body)
            large = encoder.data(b"x" * 5000)
            self.assertEqual(len(large), 3 if version.chunked else 1)

    def test_small_bodies_are_joined_to_their_head(self) -> None:
        for size, pieces in (0, 1), (4096, 1), (4097, 2):
            encoder = Http1Encoder(HTTP_1_1)
            written = encoder.start(ResponseHead(200, b"", []), b"x" * size, True, b"", b"now")
            self.assertEqual(len(written), pieces)
            self.assertTrue(b"".join(written).endswith(b"\r\n\r\n" + b"x" * size))

    def test_no_body(self) -> None:
        encoder = Http1Encoder(HTTP_1_1)
        encoder.start(ResponseHead(204, b"", [], None, True), b"", True, b"", b"now")
        self.assertFalse(encoder.has_body)

    def test_interim(self) -> None:
        self.assertFalse(Http1Encoder(HTTP_1_0).supports_interim)
        encoder = Http1Encoder(HTTP_1_1)
        self.assertTrue(encoder.supports_interim)
        self.assertEqual(encoder.interim(100, []), b"HTTP/1.1 100 Continue\r\n\r\n")
        hint = encoder.interim(103, [(b"Link", b"x")])
        self.assertEqual(hint, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
