"""Which hosts may be asked for on a connection over TLS: the same on both paths."""

from __future__ import annotations

from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.host_names import HostNames, HostScope
from subproxy.fastpath.install import unavailable
from tests.rigs.fastpath_rig import Pair, response


class HostScopeOnBothPathsTests(SynchronousTestCase):
    def setUp(self) -> None:
        why = unavailable()
        if why is not None:
            raise SkipTest(why)
        self.pair = Pair(scope=HostScope(HostNames([b"a.example", b"*.b.example"]), b"b.example"))
        self.addCleanup(self.pair.close)

    def ask(self, host: bytes) -> bytes:
        self.pair.client(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
        found = self.pair.last["client"]
        assert isinstance(found, bytes)
        return found

    def test_in_scope(self) -> None:
        """The compiled path serves it, also where it is spelt in another way."""
        for number, host in enumerate((b"a.example", b"A.example:443", b"a.example", b"b.example")):
            self.assertEqual(self.ask(host), b"")
            self.pair.guest(response(number + 1))
        self.assertEqual(self.pair.stats["requests"], 4)

    def test_out_of_scope(self) -> None:
        self.assertEqual(self.ask(b"a.example"), b"")
        self.pair.guest(response(1))
        self.assertIn(b"421 Misdirected Request", self.ask(b"c.example"))
        self.assertEqual(self.pair.stats["requests"], 1)

    def test_out_of_scope_with_a_request_under_way(self) -> None:
        """What the Python path takes over is held to the same."""
        self.ask(b"a.example")
        self.ask(b"c.example")
        self.pair.guest(response(1))
        self.assertIn(b"421 Misdirected Request", self.pair.last["client"])  # type: ignore[arg-type]
