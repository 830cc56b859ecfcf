"""Tests of subproxy.core.http.cgi_name."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.cgi_name import cgi_name


class CgiNameTests(SynchronousTestCase):
    def test_one_spelling(self) -> None:
        for name in b"X-User", b"x_user", b"X_USER", b"x-user":
            self.assertEqual(cgi_name(name), b"x-user")
        self.assertNotEqual(cgi_name(b"xuser"), b"x-user")
