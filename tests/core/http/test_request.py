"""A request, whatever HTTP version carried it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.request import RequestHead
from subproxy.core.http.upgrade import PASSTHROUGH, Upgrade


class RequestHeadTests(SynchronousTestCase):
    def test_what_nothing_is_said_of(self) -> None:
        """It has no body, no id, no trace, and asks for nothing else."""
        head = RequestHead(b"GET", b"/?a", b"a", b"/", [])
        self.assertEqual((head.client, head.scheme, head.version), (b"", b"http", b"1.1"))
        self.assertEqual((head.request_id, head.length, head.trace), (b"", 0, b""))
        self.assertEqual((head.expect, head.trailers), (False, False))
        self.assertEqual((head.upgrade, head.tls), (None, None))

    def test_passed_through(self) -> None:
        """It stands for a connection then, and no client has written it."""
        for upgrade, passes in ((None, False), (Upgrade((b"tls",)), False), (PASSTHROUGH, True)):
            head = RequestHead(b"CONNECT", b"", b"a", b"/", [], upgrade=upgrade)
            self.assertIs(head.passthrough, passes)
