"""Tests of subproxy.frontend.http2.response_encoder and body_framing."""

from __future__ import annotations

from hpack import Decoder
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.response import ResponseHead
from subproxy.errors import ClientError
from subproxy.frontend.http2.body_framing import StreamBody
from subproxy.frontend.http2.response_encoder import HeaderBlock, Http2Encoder, TrailerBlock


def decoded(block: bytes) -> list[tuple[bytes, bytes]]:
    return [tuple(pair) for pair in Decoder().decode(block, raw=True)]  # type: ignore[misc]


class EncoderTests(SynchronousTestCase):
    def test_head_and_body(self) -> None:
        """Names in lower case, no reason, our own fields behind the guest's."""
        encoder = Http2Encoder()
        head = ResponseHead(404, b"Nope", [(b"X-A", b"b")])
        block, body = encoder.start(head, b"body", True, b"id", b"today")
        self.assertEqual(
            decoded(block),
            [
                *[(b":status", b"404"), (b"x-a", b"b"), (b"date", b"today")],
                *[(b"content-length", b"4"), (b"x-request-id", b"id")],
            ],
        )
        self.assertEqual((body, type(block)), (b"body", HeaderBlock))

    def test_bodiless(self) -> None:
        """No body, whatever was given; a date that the guest has sent stays."""
        encoder = Http2Encoder()
        head = ResponseHead(304, b"", [(b"Date", b"then")], 7, True)
        (block,) = encoder.start(head, b"", True, b"", b"today")
        self.assertEqual(decoded(block), [(b":status", b"304"), (b"date", b"then")])
        self.assertFalse(encoder.has_body)

    def test_streamed(self) -> None:
        encoder = Http2Encoder()
        (block,) = encoder.start(ResponseHead(200, b"", [], 9), None, True, b"", b"d")
        self.assertIn((b"content-length", b"9"), decoded(block))
        self.assertEqual(encoder.data(b"x"), [b"x"])
        self.assertEqual(encoder.end([]), b"")
        trailers = encoder.end([(b"X-T", b"1")])
        self.assertEqual((decoded(trailers), type(trailers)), ([(b"x-t", b"1")], TrailerBlock))
        self.assertEqual(decoded(encoder.interim(103, [(b"Link", b"l")]))[0], (b":status", b"103"))


class StreamBodyTests(SynchronousTestCase):
    def test_length(self) -> None:
        """What is left of it, and whether what came agrees with it."""
        body = StreamBody(5, 0)
        self.assertEqual(body.feed(b"abc"), (b"abc", b""))
        self.assertEqual((body.left, body.agrees), (2, True))
        body.complete = True
        self.assertFalse(body.agrees)
        body.complete = False
        body.feed(b"abc")
        self.assertEqual((body.left, body.agrees), (0, False))

    def test_unknown_length(self) -> None:
        body = StreamBody(None, 4)
        body.feed(b"abcd")
        self.assertEqual((body.left, body.agrees), (0, True))
        self.assertEqual(self.assertRaises(ClientError, body.feed, b"e").status, 413)
        self.assertRaises(AssertionError, body.skip, 1)
