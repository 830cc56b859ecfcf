"""What the versions of HTTP/1 can do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http1.version import HTTP_1_0, HTTP_1_1, VERSIONS


class VersionTests(SynchronousTestCase):
    def test_what_is_spoken(self) -> None:
        self.assertEqual(set(VERSIONS), {b"1.0", b"1.1"})

    def test_capabilities(self) -> None:
        """All that is asked of a version came with 1.1."""
        self.assertEqual(set(HTTP_1_0[1:]), {False})
        self.assertEqual(set(HTTP_1_1[1:]), {True})
