"""Heads and framing, as bytes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.response import ResponseHead
from subproxy.frontend.http1.response_writer import (
    Framing,
    choose_framing,
    chunk_head,
    content_length,
    last_chunk,
    write_head,
    write_interim,
)


class ResponseWriterTests(SynchronousTestCase):
    def test_framing(self) -> None:
        for length, bodiless, body, version, framing in (
            (None, False, b"", b"1.1", Framing.LENGTH),
            (None, False, b"x", b"1.0", Framing.LENGTH),
            (5, False, None, b"1.1", Framing.LENGTH),
            (5, False, None, b"1.0", Framing.LENGTH),
            (None, False, None, b"1.1", Framing.CHUNKED),
            (None, False, None, b"1.0", Framing.CLOSE),
            (5, True, None, b"1.1", Framing.NONE),
            (None, True, b"", b"1.1", Framing.NONE),
        ):
            head = ResponseHead(200, b"", [], length, bodiless)
            self.assertIs(choose_framing(head, body, version), framing)

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
