"""What a client is told of the parts of the time that an answer took."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.server_timing import server_timing


class ServerTimingTests(SynchronousTestCase):
    def test_milliseconds(self) -> None:
        """Of seconds, to a thousandth of one."""
        self.assertEqual(
            server_timing(0.25, 1.5, 0.0123456),
            (b"Server-Timing", b"queued;dur=250.000, wake;dur=1500.000, guest;dur=12.346"),
        )
