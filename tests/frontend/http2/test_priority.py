"""Tests of subproxy.frontend.http2.priority."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http2.priority import urgency, urgency_of


class PriorityTests(SynchronousTestCase):
    def test_urgency(self) -> None:
        """RFC 9218 section 4.1; what is not understood is the default."""
        for value, found in (
            *((b"u=0", 0), (b"u=7, i", 7), (b"i, u=1", 1), (b"i", 3), (b"", 3), (b"u=8", 3)),
            *((b"u=1,u=2", 2), (b"xu=1", 3), (b"u=1;a=b", 1), (b"u=12", 3), (b" u=4 ", 4)),
            (b"x" * 64 + b",u=1", 3),
        ):
            self.assertEqual(urgency(value), found, value)

    def test_of_a_request(self) -> None:
        self.assertEqual(urgency_of([(b"x", b"u=1"), (b"priority", b"u=2")]), 2)
        self.assertEqual(urgency_of([]), 3)
