"""Tests of subproxy.frontend.http2.deferred_request."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http2.deferred_request import DeferredRequest
from subproxy.frontend.http2.events import BodyCame, RequestCame
from subproxy.frontend.http2.stream import Http2Stream


class DeferredRequestTests(SynchronousTestCase):
    def test_body(self) -> None:
        """However many pieces came, they are one, with what stands behind the last."""
        stream = Http2Stream(1, 10, 10)
        waits = DeferredRequest(RequestCame(stream, [], False))
        self.assertFalse(waits.has_body)
        waits.body_came(BodyCame(stream, b"a", False, []))
        self.assertEqual(waits.body(), BodyCame(stream, b"a", False, []))
        waits.body_came(BodyCame(stream, b"b", True, [(b"x", b"y")]))
        self.assertEqual(waits.body(), BodyCame(stream, b"ab", True, [(b"x", b"y")]))

    def test_an_end_alone(self) -> None:
        """A body without a byte is one."""
        stream = Http2Stream(1, 10, 10)
        waits = DeferredRequest(RequestCame(stream, [], False))
        waits.body_came(BodyCame(stream, b"", True, []))
        self.assertTrue(waits.has_body)
