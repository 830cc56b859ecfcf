"""Which hosts may be asked for on a connection over TLS: the same on both paths."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.host_names import HostNames
from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.rigs.fastpath_rig import Pair, response
from tests.rigs.http2_client import GET
from tests.rigs.http2_sides import Http2Side


class HostScopeOnBothPathsTests(SynchronousTestCase):
    def setUp(self) -> None:
        why = unavailable()
        if why is not None:
            raise SkipTest(why)
        self.pair = Pair(tls=ClientTls(HostNames([b"a.example", b"*.b.example"]), b"b.example"))
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


class RedirectToHttpsTests(SynchronousTestCase):
    """A site that sends on who came by http does not cost who came by https the compiled path."""

    SITES = '[[site]]\nhosts = "a.example"\nredirect = "https://{host}{uri}"\n'
    GET = b"GET /x?y HTTP/1.1\r\nHost: a.example\r\n\r\n"

    def serve(self, secure: bool, **options: object) -> Pair:
        why = unavailable()
        if why is not None:
            raise SkipTest(why)
        pair = Pair(sites=options.pop("sites", self.SITES), **options)
        self.addCleanup(pair.close)
        for side in pair.sides:
            side.protocol.tell("192.0.2.9", secure)
        return pair

    def test_http(self) -> None:
        pair = self.serve(False)
        pair.client(self.GET)
        self.assertIn(b"Location: https://a.example/x?y\r\n", pair.last["client"])  # type: ignore[arg-type]

    def test_https(self) -> None:
        pair = self.serve(True)
        pair.client(self.GET)
        pair.guest(response(1))
        self.assertIn(b"200 OK", pair.last["client"])  # type: ignore[arg-type]
        self.assertEqual(pair.stats["requests"], 1)

    def test_the_rule_https(self) -> None:
        """It costs no more than the redirect does."""
        sites = '[[site]]\nhosts = "a.example"\nhttps = true\n'
        pair = self.serve(False, sites=sites)
        pair.client(self.GET)
        self.assertIn(b"308 Permanent", pair.last["client"])  # type: ignore[arg-type]
        pair = self.serve(True, sites=sites)
        pair.client(self.GET)
        pair.guest(response(1))
        self.assertEqual(pair.stats["requests"], 1)

    def test_challenges(self) -> None:
        """They are answered before any route, in the compiled path's cache or not."""
        for known in (False, True):
            pair = self.serve(False, sites='[[site]]\nhosts = "a.example"\nhttps = true\n')
            if known:
                for side in pair.sides:
                    side.world.dispatcher.challenges.append({b"tok": b"tok.key"}.get)
            pair.client(self.GET.replace(b"/x?y", b"/.well-known/acme-challenge/tok"))
            if known:
                self.assertIn(b"\r\n\r\ntok.key", pair.last["client"])  # type: ignore[arg-type]
            else:
                pair.guest(response(1))
                self.assertIn(b"200 OK", pair.last["client"])  # type: ignore[arg-type]

    def test_https_with_other_rules(self) -> None:
        """They are asked each time, so Python asks them all."""
        other = self.SITES.replace("{host}", "{host}:443")
        for sites in (other, f'{self.SITES}strip-prefix = "/x"\n'):
            pair = self.serve(True, sites=sites)
            pair.client(self.GET)
            self.assertEqual(pair.stats["declined_requests"], 1)

    def test_a_trusted_peer_that_came_by_https(self) -> None:
        """Its word counts, and Python hears it."""
        pair = self.serve(True, trust=["192.0.2.0/24"])
        pair.client(self.GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-Proto: http\r\n\r\n"))
        self.assertIn(b"Location: https://", pair.last["client"])  # type: ignore[arg-type]

    def test_http2(self) -> None:
        """Likewise on HTTP/2: served by the compiled path over TLS, sent on without."""
        if unavailable() is not None:
            raise SkipTest("HTTP/2 has no other path")
        get = [GET[0], (b":scheme", b"https"), *GET[2:]]
        for secure, fields, compiled in ((True, get, 1), (False, GET, 0)):
            sides = [SecureHttp2Side(fast, secure, sites=self.SITES) for fast in (True, False)]
            for side in sides:
                side.client.request(1, fields)
                side.say(side.client.take())
                side.answer(*[m.Response(1, 200, [], {}, b"hello")][: len(side.asked)])
            fast, slow = (side.observed() for side in sides)
            self.assertEqual(fast, slow)
            self.assertEqual(sides[0].client.head(1)[b":status"], b"200" if secure else b"307")
            self.assertEqual(sides[0].fastpath.stats()["requests"], compiled)


class SecureHttp2Side(Http2Side):
    """A proxy whose client came by TLS, or not, by the word of a PROXY header."""

    def __init__(self, fast: bool, secure: bool, **options: Any) -> None:
        self.secure = secure
        self.told = False
        super().__init__(fast, **options)

    def say(self, data: bytes) -> None:
        if not self.told:
            self.told = True
            self.protocol.tell("192.0.2.9", self.secure, self.tls)
        super().say(data)
